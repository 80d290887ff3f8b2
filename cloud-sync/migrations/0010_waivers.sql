-- Waivers that people asked for; one that holds is in core.waiver too. Whoever adds to them holds the lock of the tariff.
CREATE TABLE core.proposed_waiver (
    id uuid PRIMARY KEY,
    asked_at bigint NOT NULL,
    awaiting boolean NOT NULL, -- a second person has to decide
    body text NOT NULL -- ProposedWaiver
);
CREATE INDEX proposed_waiver_by_time ON core.proposed_waiver (asked_at DESC, id);
CREATE INDEX proposed_waiver_awaiting ON core.proposed_waiver (asked_at, id) WHERE awaiting;
