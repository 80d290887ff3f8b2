-- The mode of the gate when the rider was authorised: fares follow it.
ALTER TABLE core.tap ADD COLUMN mode text NOT NULL DEFAULT 'normal';
