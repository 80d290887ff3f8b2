-- What passes between the cloud and its acquirers beside the charges themselves.

-- What was asked under which key, before it was asked.
CREATE TABLE core.asked_of_acquirer (
    acquirer text COLLATE "C",
    key text COLLATE "C",
    reference text COLLATE "C", -- the acquirer's own name for it
    body text NOT NULL, -- AskedOf
    PRIMARY KEY (acquirer, key)
);
CREATE INDEX asked_as ON core.asked_of_acquirer (acquirer, reference);

-- Events that were told by webhook, for longer than their signatures count.
CREATE TABLE core.told_event (
    acquirer text COLLATE "C",
    event text COLLATE "C",
    told_at bigint NOT NULL,
    PRIMARY KEY (acquirer, event)
);
CREATE INDEX told_event_at ON core.told_event (told_at);

-- Orders to banks that take one file a day.
CREATE TABLE core.debit (
    acquirer text COLLATE "C",
    key text COLLATE "C",
    ordered boolean NOT NULL, -- to be in the next file
    body text NOT NULL, -- DebitOrder
    PRIMARY KEY (acquirer, key)
);
CREATE INDEX debit_ordered ON core.debit (acquirer, key) WHERE ordered;

CREATE TABLE core.debit_file (
    acquirer text COLLATE "C",
    day text COLLATE "C",
    body text NOT NULL, -- DebitFile
    PRIMARY KEY (acquirer, day)
);

CREATE TABLE core.debit_answer (
    acquirer text COLLATE "C",
    number bigint,
    digest text NOT NULL,
    PRIMARY KEY (acquirer, number)
);

-- Locked by whoever changes orders of an acquirer or cuts a file of them.
CREATE TABLE core.debit_turn (acquirer text COLLATE "C" PRIMARY KEY);
