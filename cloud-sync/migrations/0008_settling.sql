-- What rides are priced by has a revision: a settlement by an older one than this is refused.
CREATE TABLE core.tariff (alone boolean PRIMARY KEY DEFAULT true CHECK (alone), revision bigint NOT NULL);
INSERT INTO core.tariff (revision) VALUES (0);

-- An entry that came after a later tap of its rider: what was settled may change at once.
ALTER TABLE core.open_tap ADD COLUMN late boolean NOT NULL DEFAULT false;
