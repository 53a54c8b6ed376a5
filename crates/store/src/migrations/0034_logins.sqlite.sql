-- Whose a login is, from this version on: x'00' is in every row from before.
ALTER TABLE users ADD COLUMN owner_digest BLOB NOT NULL DEFAULT x'00' CHECK (length(owner_digest) IN (1, 16));
