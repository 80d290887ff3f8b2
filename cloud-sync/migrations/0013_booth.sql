-- What an attendant wrote down at a ticket booth is a tap like others.
ALTER TABLE core.tap DROP CONSTRAINT tap_medium_check;
ALTER TABLE core.tap ADD CONSTRAINT tap_medium_check CHECK (medium IN ('face', 'code', 'booth'));
