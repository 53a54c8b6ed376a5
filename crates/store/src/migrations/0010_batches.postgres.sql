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
