-- No row of money is ever updated or deleted.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '%', TG_ARGV[0]; END $$;
CREATE TRIGGER journals_stay BEFORE UPDATE OR DELETE ON journals
    FOR EACH ROW EXECUTE FUNCTION refuse_change('journals are append-only');
CREATE TRIGGER journals_are_not_emptied BEFORE TRUNCATE ON journals
    EXECUTE FUNCTION refuse_change('journals are append-only');
CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE ON entries
    FOR EACH ROW EXECUTE FUNCTION refuse_change('entries are append-only');
CREATE TRIGGER entries_are_not_emptied BEFORE TRUNCATE ON entries
    EXECUTE FUNCTION refuse_change('entries are append-only');
CREATE TRIGGER claims_stay BEFORE UPDATE OR DELETE ON claims
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a used reference stays used');
CREATE TRIGGER claims_are_not_emptied BEFORE TRUNCATE ON claims
    EXECUTE FUNCTION refuse_change('a used reference stays used');

-- Who writes, one row a connection, and the last batch that each committed: by it the answer to a
-- COMMIT that was lost is looked up. The token is chosen at random by the database, so that a row that
-- did not reach the standby is never taken for another's.
CREATE TABLE writers (
    token TEXT PRIMARY KEY,
    batch BIGINT NOT NULL
);
-- What comes and goes keeps room beside it.
ALTER TABLE writers SET (fillfactor = 20);
ALTER TABLE ledger_accounts SET (fillfactor = 50);
ALTER TABLE purchases SET (fillfactor = 80);

-- A foreign key is checked row by row, and was more than half of a batch's work. What the busy tables
-- refer to is looked up once for each set of rows instead; what they refer to is never deleted. Under
-- the writers' lock nobody else can take it away in between.
ALTER TABLE claims DROP CONSTRAINT claims_account_id_fkey;
ALTER TABLE purchases DROP CONSTRAINT purchases_account_id_fkey;
ALTER TABLE journals DROP CONSTRAINT journals_account_id_fkey;
ALTER TABLE entries DROP CONSTRAINT entries_journal_seq_fkey;
ALTER TABLE entries DROP CONSTRAINT entries_debit_id_fkey;
ALTER TABLE entries DROP CONSTRAINT entries_credit_id_fkey;
ALTER TABLE attempts DROP CONSTRAINT attempts_purchase_id_account_id_environment_fkey;
ALTER TABLE jobs DROP CONSTRAINT jobs_purchase_id_account_id_environment_fkey;
ALTER TABLE events DROP CONSTRAINT events_purchase_id_account_id_environment_fkey;

CREATE FUNCTION refuse_strangers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added a WHERE NOT EXISTS (SELECT FROM accounts p WHERE p.id = a.account_id)) THEN
        RAISE foreign_key_violation USING MESSAGE = format('a row of %s belongs to no account', TG_TABLE_NAME);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION refuse_orphans() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added a WHERE NOT EXISTS (SELECT FROM purchases p
               WHERE p.id = a.purchase_id AND p.account_id = a.account_id AND p.environment = a.environment)) THEN
        RAISE foreign_key_violation USING MESSAGE = format('a row of %s belongs to no purchase', TG_TABLE_NAME);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION refuse_loose_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added a WHERE NOT EXISTS (SELECT FROM journals p WHERE p.seq = a.journal_seq)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'an entry belongs to no journal';
    END IF;
    IF EXISTS (SELECT FROM (SELECT debit_id AS id FROM added UNION SELECT credit_id FROM added) a
               WHERE NOT EXISTS (SELECT FROM ledger_accounts p WHERE p.id = a.id)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'an entry moves money of no ledger account';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER claims_are_somebodys AFTER INSERT ON claims
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_strangers();
CREATE TRIGGER purchases_are_somebodys AFTER INSERT ON purchases
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_strangers();
CREATE TRIGGER journals_are_somebodys AFTER INSERT ON journals
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_strangers();
CREATE TRIGGER entries_belong AFTER INSERT ON entries
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_loose_entries();
CREATE TRIGGER attempts_belong AFTER INSERT ON attempts
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_orphans();
CREATE TRIGGER jobs_belong AFTER INSERT ON jobs
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_orphans();
CREATE TRIGGER events_belong AFTER INSERT ON events
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_orphans();
CREATE TRIGGER accounts_stay BEFORE DELETE ON accounts
    FOR EACH ROW EXECUTE FUNCTION refuse_change('accounts are not deleted');
CREATE TRIGGER purchases_stay BEFORE DELETE ON purchases
    FOR EACH ROW EXECUTE FUNCTION refuse_change('purchases are not deleted');
CREATE TRIGGER ledger_accounts_stay BEFORE DELETE ON ledger_accounts
    FOR EACH ROW EXECUTE FUNCTION refuse_change('ledger accounts are not deleted');
