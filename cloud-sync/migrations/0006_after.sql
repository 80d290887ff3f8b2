-- What comes after a charge: what riders are told.

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
