-- Rides that are paid in advance.

-- Entries whose fare is to be held, by the id of the hold; gone once it is opened, or not wanted any more.
CREATE TABLE core.hold_wanted (
    hold uuid PRIMARY KEY,
    body text NOT NULL -- Tap
);
