-- What comes after a charge: what riders are told, money given back, disputes.

-- Notices that wait for their delivery, numbered for each rider without a gap. The queue's row is the lock under which
-- numbers are given, and stays when all are delivered.
CREATE TABLE core.notice_queue (
    rider uuid PRIMARY KEY,
    written bigint NOT NULL,   -- number of the last one
    delivered bigint NOT NULL, -- all up to this one are delivered, and gone
    due bigint NOT NULL,       -- when the first one waiting is to be tried
    troubles bigint NOT NULL,
    closed boolean NOT NULL    -- the rider was erased
);
CREATE INDEX notice_due ON core.notice_queue (due, rider) WHERE delivered < written;
CREATE TABLE core.notice (
    rider uuid NOT NULL,
    number bigint NOT NULL,
    body text NOT NULL, -- Notice
    PRIMARY KEY (rider, number)
);

-- Refunds, credits and waivers. Whoever adds one of a charge holds the lock of the charge's row, so that all of them
-- together stay within what was captured.
CREATE TABLE core.remedy (
    id uuid PRIMARY KEY,
    rider uuid NOT NULL,
    charge uuid REFERENCES core.charge (id),
    asked_at bigint NOT NULL,
    next_at bigint NOT NULL,
    under_way boolean NOT NULL, -- the scheduler has something to do
    awaiting boolean NOT NULL,  -- a second person has to decide
    body text NOT NULL          -- Remedy
);
CREATE INDEX remedy_of_rider ON core.remedy (rider, asked_at, id);
CREATE INDEX remedy_of_charge ON core.remedy (charge);
CREATE INDEX remedy_due ON core.remedy (next_at, id) WHERE under_way;
CREATE INDEX remedy_awaiting ON core.remedy (asked_at, id) WHERE awaiting;

CREATE TABLE core.dispute (
    id uuid PRIMARY KEY,
    charge uuid NOT NULL REFERENCES core.charge (id),
    rider uuid NOT NULL,
    opened_at bigint NOT NULL,
    open boolean NOT NULL,
    body text NOT NULL -- Dispute
);
CREATE INDEX dispute_of_charge ON core.dispute (charge);
CREATE INDEX dispute_of_rider ON core.dispute (rider, opened_at, id);
CREATE INDEX dispute_open ON core.dispute (opened_at, id) WHERE open;

-- What was decided about risk, one line a tap.
CREATE TABLE core.risk (
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL, -- the authorisation's
    at bigint NOT NULL,
    rider uuid NOT NULL,
    body text NOT NULL, -- RiskDecision
    PRIMARY KEY (gate, epoch, sequence)
);
CREATE INDEX risk_by_time ON core.risk (at DESC);
CREATE INDEX risk_of_rider ON core.risk (rider);

-- Until when a rider's face alone opens no entry: a fact that stations hold, with a change of the feed.
CREATE TABLE core.face_capped (rider uuid PRIMARY KEY, until bigint NOT NULL);
