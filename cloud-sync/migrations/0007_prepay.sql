-- Rides that are paid in advance.

-- Entries whose fare is to be held, by the id of the hold; gone once it is opened, or not wanted any more.
CREATE TABLE core.hold_wanted (
    hold uuid PRIMARY KEY,
    body text NOT NULL -- Tap
);

-- Money that went back through an acquirer, and when that was booked.
ALTER TABLE core.remedy ADD COLUMN refunded_at bigint;
CREATE INDEX remedy_refunded ON core.remedy (refunded_at, id) WHERE refunded_at IS NOT NULL;

-- The day that is being closed, if one is. Whoever adds items to any day shares the row until he commits.
CREATE TABLE core.closing (
    sole boolean PRIMARY KEY DEFAULT true CHECK (sole),
    day text COLLATE "C",
    holder text,
    until bigint
);
INSERT INTO core.closing DEFAULT VALUES;

-- Taps that are to be looked at for risk.
CREATE TABLE core.look (
    gate text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    due bigint NOT NULL,
    body text NOT NULL, -- Look
    PRIMARY KEY (gate, epoch, sequence)
);
CREATE INDEX look_due ON core.look (due, gate, epoch, sequence);

-- Money set aside for charges that were wrong. Whoever adds to it holds the lock of the row beside it.
CREATE TABLE core.funding (
    id uuid PRIMARY KEY,
    asked_at bigint NOT NULL,
    body text NOT NULL -- Funding
);
CREATE INDEX funding_by_time ON core.funding (asked_at DESC, id);
CREATE TABLE core.funding_turn (sole boolean PRIMARY KEY DEFAULT true CHECK (sole));
INSERT INTO core.funding_turn DEFAULT VALUES;
