-- What the cloud keeps, in PostgreSQL. Times are milliseconds since 1970; bodies are JSON text of the type named; sealed
-- values are opened with the cloud's keys only. The unique keys are the point: a second copy of a record, a tap, a
-- journey of a tap, a charge of a journey or a ledger entry cannot be in here, whatever the program does.

CREATE SCHEMA core;
CREATE SCHEMA faces;
CREATE SCHEMA identity;

-- Sealed values, one schema and one key each, joined to the rest by a random id alone.
CREATE TABLE faces.key_check (one boolean PRIMARY KEY CHECK (one), sealed bytea NOT NULL);
CREATE TABLE faces.face (template uuid PRIMARY KEY, sealed bytea NOT NULL);
CREATE TABLE identity.key_check (one boolean PRIMARY KEY CHECK (one), sealed bytea NOT NULL);
CREATE TABLE identity.sealed (
    rider uuid NOT NULL,
    kind text NOT NULL, -- profile, account, password
    sealed bytea NOT NULL,
    PRIMARY KEY (rider, kind)
);

CREATE TABLE core.key_use (purpose text NOT NULL, key bytea NOT NULL, since bigint NOT NULL, PRIMARY KEY (purpose, key));

-- Counters are spread over rows, so that commands which count do not wait for each other; the sum is what counts.
CREATE TABLE core.counter (
    name text NOT NULL,
    part smallint NOT NULL,
    value bigint NOT NULL,
    PRIMARY KEY (name, part)
);

-- Riders.
CREATE TABLE core.rider (id uuid PRIMARY KEY, body text NOT NULL); -- Rider
CREATE TABLE core.face (
    template uuid PRIMARY KEY,
    rider uuid NOT NULL,
    model text COLLATE "C" NOT NULL,
    content bigint NOT NULL -- checksum of what is sealed, for the digests
);
CREATE INDEX face_of_rider ON core.face (rider);
CREATE TABLE core.leaving (rider uuid PRIMARY KEY); -- erased, account kept until nothing is owed on it
CREATE TABLE core.erasure (id uuid PRIMARY KEY, final boolean NOT NULL, body text NOT NULL); -- ErasureReceipt
CREATE INDEX erasure_outstanding ON core.erasure (id) WHERE NOT final;
CREATE TABLE core.denied (rider uuid PRIMARY KEY);
CREATE TABLE core.issuer_keys (one boolean PRIMARY KEY CHECK (one), body text NOT NULL);

-- The change feed. A writer takes its versions by updating the one row of `feed_head`, whose lock it keeps until it has
-- committed: versions become visible in their order, and no reader can pass one that is still to come.
CREATE TABLE core.feed_head (
    one boolean PRIMARY KEY CHECK (one),
    version bigint NOT NULL,
    gone bigint NOT NULL, -- the last version that is in the log no more
    log uuid NOT NULL, -- names this log
    roots text NOT NULL -- Roots: of the digests below, by set
);
INSERT INTO core.feed_head VALUES (true, 0, 0, gen_random_uuid(), '{}');
CREATE TABLE core.change (version bigint PRIMARY KEY, body text NOT NULL); -- Logged

-- Digests over the facts that stations hold: the exclusive or of the hashes of a bucket's facts, kept with the feed.
CREATE TABLE core.digest (
    facts_of text COLLATE "C" NOT NULL,
    bucket integer NOT NULL,
    hashes bigint NOT NULL,
    PRIMARY KEY (facts_of, bucket)
);
CREATE TABLE core.digest_at (version bigint PRIMARY KEY, roots text NOT NULL); -- Roots as of that version
CREATE TABLE core.told (place text COLLATE "C" PRIMARY KEY, is_fares boolean NOT NULL, body text NOT NULL); -- Instruction

CREATE TABLE core.station (
    id text COLLATE "C" PRIMARY KEY,
    last_seen bigint NOT NULL,
    report text, -- StationReport
    installation text NOT NULL DEFAULT '',
    lease text -- Leasehold; none: the default
);

-- The tier of regulars, and which stations a rider is in it at, so that an erasure finds them.
CREATE TABLE core.regulars (
    station text COLLATE "C" PRIMARY KEY,
    body text NOT NULL, -- list of Regular
    root bigint NOT NULL -- of the digest over them
);
CREATE TABLE core.regular_of (rider uuid NOT NULL, station text COLLATE "C" NOT NULL, PRIMARY KEY (rider, station));
CREATE TABLE core.regulars_computed (one boolean PRIMARY KEY CHECK (one), at bigint NOT NULL);

-- Records and taps lie apart by gate: every unique key that they need starts with it.
CREATE TABLE core.journal (
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    next bigint NOT NULL,    -- all below are here
    highest bigint NOT NULL, -- the highest seen; at or above `next` only if there is a gap
    PRIMARY KEY (gate, epoch)
);
CREATE TABLE core.record (
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    content bytea NOT NULL, -- facegate.v1.GateRecord
    PRIMARY KEY (gate, epoch, sequence)
) PARTITION BY HASH (gate);
CREATE TABLE core.record_0 PARTITION OF core.record FOR VALUES WITH (MODULUS 8, REMAINDER 0);
CREATE TABLE core.record_1 PARTITION OF core.record FOR VALUES WITH (MODULUS 8, REMAINDER 1);
CREATE TABLE core.record_2 PARTITION OF core.record FOR VALUES WITH (MODULUS 8, REMAINDER 2);
CREATE TABLE core.record_3 PARTITION OF core.record FOR VALUES WITH (MODULUS 8, REMAINDER 3);
CREATE TABLE core.record_4 PARTITION OF core.record FOR VALUES WITH (MODULUS 8, REMAINDER 4);
CREATE TABLE core.record_5 PARTITION OF core.record FOR VALUES WITH (MODULUS 8, REMAINDER 5);
CREATE TABLE core.record_6 PARTITION OF core.record FOR VALUES WITH (MODULUS 8, REMAINDER 6);
CREATE TABLE core.record_7 PARTITION OF core.record FOR VALUES WITH (MODULUS 8, REMAINDER 7);
-- Passages that came before their authorisation.
CREATE TABLE core.early_passage (
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    authorisation bigint NOT NULL,
    sequence bigint NOT NULL,
    outcome text NOT NULL, -- passed, turned_back, timed_out, unknown
    PRIMARY KEY (gate, epoch, authorisation, sequence)
);
CREATE TABLE core.tap (
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL, -- the authorisation's
    rider uuid NOT NULL,
    at bigint NOT NULL,
    station text COLLATE "C" NOT NULL,
    direction text NOT NULL CHECK (direction IN ('entry', 'exit')),
    medium text NOT NULL CHECK (medium IN ('face', 'code')),
    PRIMARY KEY (gate, epoch, sequence)
) PARTITION BY HASH (gate);
CREATE TABLE core.tap_0 PARTITION OF core.tap FOR VALUES WITH (MODULUS 8, REMAINDER 0);
CREATE TABLE core.tap_1 PARTITION OF core.tap FOR VALUES WITH (MODULUS 8, REMAINDER 1);
CREATE TABLE core.tap_2 PARTITION OF core.tap FOR VALUES WITH (MODULUS 8, REMAINDER 2);
CREATE TABLE core.tap_3 PARTITION OF core.tap FOR VALUES WITH (MODULUS 8, REMAINDER 3);
CREATE TABLE core.tap_4 PARTITION OF core.tap FOR VALUES WITH (MODULUS 8, REMAINDER 4);
CREATE TABLE core.tap_5 PARTITION OF core.tap FOR VALUES WITH (MODULUS 8, REMAINDER 5);
CREATE TABLE core.tap_6 PARTITION OF core.tap FOR VALUES WITH (MODULUS 8, REMAINDER 6);
CREATE TABLE core.tap_7 PARTITION OF core.tap FOR VALUES WITH (MODULUS 8, REMAINDER 7);
CREATE INDEX tap_of_rider ON core.tap (rider, at);
-- Taps that no journey has used.
CREATE TABLE core.open_tap (
    rider uuid NOT NULL,
    at bigint NOT NULL,
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    direction text NOT NULL,
    PRIMARY KEY (rider, at, gate, epoch, sequence)
);
-- The latest tap of each rider, and the entry that stations know him to be inside by. `erased` bars hints for ever.
CREATE TABLE core.place (
    rider uuid PRIMARY KEY,
    at bigint NOT NULL,
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    direction text NOT NULL,
    inside boolean NOT NULL,
    erased boolean NOT NULL
);
CREATE INDEX place_inside ON core.place (rider) WHERE inside;
CREATE TABLE core.nonce (
    nonce bytea PRIMARY KEY,
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    at bigint NOT NULL
);
CREATE INDEX nonce_by_time ON core.nonce (at, nonce);
CREATE TABLE core.replay ( -- a code that opened two gates
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    nonce bytea NOT NULL,
    PRIMARY KEY (gate, epoch, sequence)
);
CREATE TABLE core.unknown_passage (
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL, -- the authorisation's
    body text NOT NULL, -- UnknownPassage
    PRIMARY KEY (gate, epoch, sequence)
);
CREATE TABLE core.conflict (
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    sha256 bytea NOT NULL,
    body text NOT NULL, -- Conflict
    PRIMARY KEY (gate, epoch, sequence, sha256)
);

-- What the end-of-day audit asks and finds. Days are texts like 2026-11-29.
CREATE TABLE core.word (
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    day text COLLATE "C" NOT NULL,
    next bigint NOT NULL,
    body text NOT NULL, -- JournalWord
    PRIMARY KEY (gate, epoch, day)
);
CREATE TABLE core.wanted (
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    body text NOT NULL, -- Wanted
    PRIMARY KEY (gate, epoch, first, last)
);
CREATE TABLE core.audited (
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    day text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    body text NOT NULL, -- AuditedDay
    PRIMARY KEY (gate, epoch, day, revision)
);
CREATE TABLE core.skewed (
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    body text NOT NULL, -- SkewedRecord
    PRIMARY KEY (gate, epoch, sequence)
);

-- Rides, whole or with one end missing. Whichever ride that stands a tap is in, it is the only one: that is the primary
-- key of `settled_tap`.
CREATE TABLE core.journey (
    id uuid PRIMARY KEY,
    rider uuid NOT NULL,
    left_at bigint NOT NULL, -- its last tap
    body text NOT NULL -- PricedRide
);
CREATE INDEX journey_of_rider ON core.journey (rider, left_at, id);
CREATE TABLE core.settled_tap (
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    journey uuid REFERENCES core.journey (id), -- null: a second presentation
    PRIMARY KEY (gate, epoch, sequence)
);
-- A settlement rests on those before it; of two made at once one comes too late.
CREATE TABLE core.settled_rider (rider uuid PRIMARY KEY, settlements bigint NOT NULL);

CREATE TABLE core.charge (
    id uuid PRIMARY KEY,
    next_at bigint NOT NULL,
    finished boolean NOT NULL,
    body text NOT NULL -- Charge
);
CREATE INDEX charge_due ON core.charge (next_at, id) WHERE NOT finished;

-- What bills are made of. An item is in one charge at most.
CREATE TABLE core.item (
    id uuid PRIMARY KEY,
    rider uuid NOT NULL,
    ride uuid REFERENCES core.journey (id),
    day text COLLATE "C" NOT NULL,
    bill_at bigint NOT NULL,
    charge uuid REFERENCES core.charge (id),
    body text NOT NULL -- Item
);
CREATE INDEX item_uncharged ON core.item (bill_at, id) WHERE charge IS NULL;
CREATE INDEX item_uncharged_of ON core.item (rider, bill_at, id) WHERE charge IS NULL;

-- The books. Numbers are taken under the lock of `ledger_head`, kept until commit, as versions of the feed are.
CREATE TABLE core.ledger_head (one boolean PRIMARY KEY CHECK (one), entries bigint NOT NULL);
INSERT INTO core.ledger_head VALUES (true, 0);
CREATE TABLE core.entry (id text COLLATE "C" PRIMARY KEY, number bigint NOT NULL UNIQUE, body text NOT NULL); -- Entry
CREATE TABLE core.posting (
    entry text COLLATE "C" NOT NULL REFERENCES core.entry (id),
    line smallint NOT NULL,
    account text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    amount bigint NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (entry, line)
);
CREATE TABLE core.balance (
    account text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (account, currency)
);

-- A posted entry stays as it is; only another one can undo it.
CREATE FUNCTION core.is_never_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what is written in % is never changed or removed: post a reversal', TG_TABLE_NAME;
END $$;
CREATE TRIGGER entry_is_never_changed BEFORE UPDATE OR DELETE ON core.entry
    FOR EACH ROW EXECUTE FUNCTION core.is_never_changed();
CREATE TRIGGER posting_is_never_changed BEFORE UPDATE OR DELETE ON core.posting
    FOR EACH ROW EXECUTE FUNCTION core.is_never_changed();

-- Looked at when a transaction commits: each entry has postings, of one currency, that sum to zero.
CREATE FUNCTION core.is_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    total numeric;
    currencies bigint;
BEGIN
    SELECT sum(amount), count(DISTINCT currency) INTO total, currencies FROM core.posting WHERE entry = NEW.id;
    IF currencies <> 1 OR total <> 0 THEN
        RAISE EXCEPTION 'ledger entry % does not balance', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER entry_is_balanced AFTER INSERT ON core.entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION core.is_balanced();

-- The audit log; `audit_head` is the last line, and its lock the chain's.
CREATE TABLE core.audit (
    number bigint PRIMARY KEY,
    at bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    hash text NOT NULL
);
CREATE TABLE core.audit_head (one boolean PRIMARY KEY CHECK (one), lines bigint NOT NULL, hash text NOT NULL);
INSERT INTO core.audit_head VALUES (true, 0, '');

-- Who does what only one replica should do at a time.
CREATE TABLE core.lease (name text PRIMARY KEY, holder text NOT NULL, until bigint NOT NULL);
