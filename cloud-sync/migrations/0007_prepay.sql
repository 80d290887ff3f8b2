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
