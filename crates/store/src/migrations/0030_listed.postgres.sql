-- What lists of an account read. Here these are views over the indexes of version 18, and nothing is left to
-- fill: an index by account costs a sale little in PostgreSQL, which logs a row of it and not its page.
CREATE TABLE lists (
    name  TEXT   NOT NULL PRIMARY KEY,
    up_to BIGINT NOT NULL CHECK (up_to >= 0)
);
INSERT INTO lists VALUES ('journals', 9223372036854775807), ('purchases', 9223372036854775807);
CREATE VIEW listed_journals AS SELECT account_id, environment, seq FROM journals;
CREATE VIEW listed_purchases AS SELECT account_id, environment, operator, kind, id AS purchase_id FROM purchases;
CREATE VIEW listed_recipients AS SELECT account_id, environment, recipient, id AS purchase_id FROM purchases;
-- What is added to a list, or taken from it, is in its index already.
CREATE FUNCTION change_nothing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END $$;
CREATE TRIGGER listed INSTEAD OF INSERT OR UPDATE OR DELETE ON listed_journals
    FOR EACH ROW EXECUTE FUNCTION change_nothing();
CREATE TRIGGER listed INSTEAD OF INSERT OR UPDATE OR DELETE ON listed_purchases
    FOR EACH ROW EXECUTE FUNCTION change_nothing();
CREATE TRIGGER listed INSTEAD OF INSERT OR UPDATE OR DELETE ON listed_recipients
    FOR EACH ROW EXECUTE FUNCTION change_nothing();
