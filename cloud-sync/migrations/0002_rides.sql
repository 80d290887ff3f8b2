-- What decides what riders pay, what is waived, and whose rides are to be priced anew because of it.

CREATE TABLE core.terms (rider uuid PRIMARY KEY, body text NOT NULL); -- KeptTerms
CREATE TABLE core.waiver (id uuid PRIMARY KEY, body text NOT NULL); -- KeptWaiver
CREATE TABLE core.again (rider uuid PRIMARY KEY, since bigint NOT NULL, version bigint NOT NULL);

ALTER TABLE core.journey ADD COLUMN held boolean NOT NULL DEFAULT false;
ALTER TABLE core.journey ADD COLUMN elsewhere boolean NOT NULL DEFAULT false;
CREATE INDEX journey_elsewhere ON core.journey (id) WHERE elsewhere;
CREATE INDEX journey_held ON core.journey (id) WHERE held;
CREATE INDEX journey_ended ON core.journey (left_at, id);
