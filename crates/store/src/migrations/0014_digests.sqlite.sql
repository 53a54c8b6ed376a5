-- Digests over rows that no journal confirms, from this version on: x'00' is in every row from before.
ALTER TABLE purchases ADD COLUMN row_digest BLOB NOT NULL DEFAULT x'00' CHECK (length(row_digest) IN (1, 16));
ALTER TABLE attempts ADD COLUMN row_digest BLOB NOT NULL DEFAULT x'00' CHECK (length(row_digest) IN (1, 16));
ALTER TABLE attempts ADD COLUMN outcome_digest BLOB NOT NULL DEFAULT x'00' CHECK (length(outcome_digest) IN (1, 16));
ALTER TABLE claims ADD COLUMN row_digest BLOB NOT NULL DEFAULT x'00' CHECK (length(row_digest) IN (1, 16));
