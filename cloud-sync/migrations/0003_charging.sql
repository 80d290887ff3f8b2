-- Charges by rider, what he is behind with, what he has to his credit, and whether he was ever shown to pay.

ALTER TABLE core.charge
    ADD COLUMN rider uuid,
    ADD COLUMN opened_at bigint,
    ADD COLUMN owed boolean NOT NULL DEFAULT false; -- a debt, also while it is tried again
CREATE INDEX charge_of_rider ON core.charge (rider, opened_at, id);
CREATE INDEX charge_owed ON core.charge (rider) WHERE owed;

-- Why a rider is in `denied`; he is as long as there is a reason.
CREATE TABLE core.denied_for (
    rider uuid NOT NULL,
    reason text COLLATE "C" NOT NULL,
    PRIMARY KEY (rider, reason)
);
INSERT INTO core.denied_for SELECT rider, 'operator' FROM core.denied;

CREATE TABLE core.credit (
    rider uuid NOT NULL,
    currency text COLLATE "C" NOT NULL,
    body text NOT NULL, -- Credit
    PRIMARY KEY (rider, currency)
);

CREATE TABLE core.paid (rider uuid PRIMARY KEY); -- a charge of his was captured
CREATE TABLE core.verified (rider uuid NOT NULL, instrument uuid NOT NULL, PRIMARY KEY (rider, instrument));
-- Riders whose instrument is verified when they ride; `entry` is where one has begun to.
CREATE TABLE core.unverified (rider uuid PRIMARY KEY, entry text);
CREATE INDEX unverified_rides ON core.unverified (rider) WHERE entry IS NOT NULL;

CREATE INDEX posting_of_wallet ON core.posting (account, entry) WHERE account LIKE '{"account":"wallet"%';
