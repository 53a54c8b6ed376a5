-- Whose a login is, from this version on: '\x00' is in every row from before.
ALTER TABLE users ADD COLUMN owner_digest BYTEA NOT NULL DEFAULT '\x00';
