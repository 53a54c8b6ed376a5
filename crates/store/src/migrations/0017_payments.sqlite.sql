-- As for other rows: x'00' is in every row from before.
ALTER TABLE payments ADD COLUMN row_digest BLOB NOT NULL DEFAULT x'00' CHECK (length(row_digest) IN (1, 16));
CREATE TRIGGER payments_are_not_deleted BEFORE DELETE ON payments
BEGIN SELECT RAISE(ABORT, 'a booked payment stays booked'); END;
CREATE TRIGGER payments_are_not_updated BEFORE UPDATE ON payments
BEGIN SELECT RAISE(ABORT, 'a booked payment stays booked'); END;
