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
