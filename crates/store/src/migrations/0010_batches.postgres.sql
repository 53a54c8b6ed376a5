-- A blind Tx is sent whole, before the server has said that it is open: had its BEGIN failed, its statements
-- would be Txs of their own. Each names its batch, which is known in its Tx only.
CREATE FUNCTION in_batch(batch BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
BEGIN
    IF batch::text IS DISTINCT FROM current_setting('saldo.batch', true) THEN
        RAISE EXCEPTION USING ERRCODE = 'SB001', MESSAGE = 'a statement came without its Tx';
    END IF;
    RETURN batch;
END $$;

-- It said "f rows": what PL/pgSQL calls FOUND came before a parameter of that name.
CREATE OR REPLACE FUNCTION refuse_count(changed TEXT, found BIGINT, wanted BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = CASE changed WHEN 'writers' THEN 'SF001' ELSE 'SC001' END,
        MESSAGE = format('a statement changed %s rows of %s instead of %s', $2, changed, wanted);
END $$;

-- Each statement parsed all of these anew, and with them took a seventh of the database's time under load. The
-- lists of words are those of the program's types: whoever reads a row refuses any other, and on SQLite, where
-- the same program writes the same rows, they are checked still. What is about money stays, in one piece.
DO $$
DECLARE
    c RECORD;
BEGIN
    FOR c IN SELECT conrelid::regclass AS name, conname FROM pg_constraint
             WHERE contype = 'c' AND coninhcount = 0
             AND conrelid IN ('purchases'::regclass, 'journals'::regclass, 'claims'::regclass, 'attempts'::regclass,
                              'events'::regclass, 'jobs'::regclass)
             OR (conrelid = 'ledger_accounts'::regclass AND contype = 'c' AND conname NOT LIKE '%floor') LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.name, c.conname);
    END LOOP;
END $$;
ALTER TABLE purchases ADD CONSTRAINT purchases_amounts
    CHECK (amount > 0 AND fee >= 0 AND commission >= 0 AND available_after >= 0);
-- A job is written with its purchase's step, and the audit names one without.
DROP TRIGGER jobs_belong ON jobs;
