-- The books: what an account held at any moment in the past.

-- Entries by their moment. They are never changed, but for this once.
ALTER TABLE core.entry ADD COLUMN at bigint;
ALTER TABLE core.entry DISABLE TRIGGER entry_is_never_changed;
UPDATE core.entry SET at = (body::json ->> 'at')::bigint;
ALTER TABLE core.entry ENABLE TRIGGER entry_is_never_changed;
ALTER TABLE core.entry ALTER COLUMN at SET NOT NULL;
CREATE INDEX entry_at ON core.entry (at, number);

-- What each control account moved in each hour (of 3,600,000 ms) since 1970, with the entries that were made in it.
CREATE TABLE core.ledger_hour (
    hour bigint NOT NULL,
    control text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    debits bigint NOT NULL,
    credits bigint NOT NULL,
    PRIMARY KEY (hour, control, currency)
);
INSERT INTO core.ledger_hour
    SELECT floor(e.at / 3600000.0)::bigint, p.account::json ->> 'account', p.currency,
        sum(greatest(p.amount, 0)), sum(greatest(-p.amount, 0))
    FROM core.posting p JOIN core.entry e ON e.id = p.entry GROUP BY 1, 2, 3;

-- What acquirers have settled. Lines count once their file is finished.
CREATE TABLE core.settlement (
    day text COLLATE "C" NOT NULL,
    acquirer text COLLATE "C" NOT NULL,
    body text, -- SettlementFile; none while its lines are being taken over
    PRIMARY KEY (day, acquirer)
);
CREATE TABLE core.settled_line (
    acquirer text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    reference text COLLATE "C" NOT NULL, -- the acquirer's; one line of each kind has it, in all files together
    day text COLLATE "C" NOT NULL, -- of the file
    subject uuid NOT NULL, -- the charge or refund that its key names; all zeros if it names none
    body text NOT NULL, -- SettledLine
    PRIMARY KEY (acquirer, kind, reference)
);
CREATE INDEX settled_line_of_file ON core.settled_line (acquirer, day, subject, kind, reference);
CREATE INDEX settled_line_about ON core.settled_line (subject);

-- Days that are closed stay as they are.
CREATE TABLE core.closed_day (day text COLLATE "C" PRIMARY KEY, body text NOT NULL); -- DayClose
CREATE TRIGGER closed_day_is_never_changed BEFORE UPDATE OR DELETE ON core.closed_day
    FOR EACH ROW EXECUTE FUNCTION core.is_never_changed();

-- Items of days that were closed before they came.
CREATE TABLE core.late_item (item uuid PRIMARY KEY REFERENCES core.item (id), at bigint NOT NULL);
CREATE INDEX late_item_at ON core.late_item (at, item);

-- Taps of a day. A B-tree, since not every wire-compatible engine has block ranges (BRIN).
CREATE INDEX tap_at ON core.tap (at);
