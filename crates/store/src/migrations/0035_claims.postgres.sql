-- Whose a reference is, is checked of rows that come from outside of a batch. The writer knows the account of each
-- row; a set of its rows cost a copy of them and a query, together a twentieth of the database's time. The audit
-- finds a reference of no account, or without its purchase, whoever wrote it.
DROP TRIGGER claims_are_somebodys ON claims;
CREATE FUNCTION refuse_stranger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM accounts p WHERE p.id = NEW.account_id) THEN
        RAISE foreign_key_violation USING MESSAGE = format('a row of %s belongs to no account', TG_TABLE_NAME);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER claims_are_somebodys BEFORE INSERT ON claims
    FOR EACH ROW WHEN (coalesce(current_setting('saldo.batch', true), '') = '') EXECUTE FUNCTION refuse_stranger();
