-- As for other rows: '\x00' is in every row from before.
ALTER TABLE payments ADD COLUMN row_digest BYTEA NOT NULL DEFAULT '\x00';
CREATE TRIGGER payments_stay BEFORE UPDATE OR DELETE ON payments
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a booked payment stays booked');
CREATE TRIGGER payments_are_not_emptied BEFORE TRUNCATE ON payments
    EXECUTE FUNCTION refuse_change('a booked payment stays booked');
