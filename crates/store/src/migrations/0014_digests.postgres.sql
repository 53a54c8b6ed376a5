-- Digests over rows that no journal confirms, from this version on: '\x00' is in every row from before.
ALTER TABLE purchases ADD COLUMN row_digest BYTEA NOT NULL DEFAULT '\x00';
ALTER TABLE attempts ADD COLUMN row_digest BYTEA NOT NULL DEFAULT '\x00';
ALTER TABLE attempts ADD COLUMN outcome_digest BYTEA NOT NULL DEFAULT '\x00';
ALTER TABLE claims ADD COLUMN row_digest BYTEA NOT NULL DEFAULT '\x00';

-- What the database finds wrong with its own files, a line each: amcheck's findings, where it is installed and
-- allowed, and every row of every table that cannot be read.
CREATE FUNCTION own_check() RETURNS SETOF TEXT LANGUAGE plpgsql AS $$
DECLARE
    t RECORD;
BEGIN
    FOR t IN SELECT c.oid::regclass::text AS name, c.relkind = 'i' AS is_index FROM pg_class c
             JOIN pg_am a ON a.oid = c.relam AND a.amname IN ('heap', 'btree')
             WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'i')
             AND (SELECT count(DISTINCT p.proname) FROM pg_proc p
                  WHERE p.proname IN ('bt_index_check', 'verify_heapam') AND pg_function_is_visible(p.oid)
                  AND has_function_privilege(p.oid, 'EXECUTE')) = 2 ORDER BY 1 LOOP
        BEGIN
            IF t.is_index THEN
                EXECUTE format('SELECT bt_index_check(%L::regclass, true)', t.name);
            ELSE
                RETURN QUERY EXECUTE format('SELECT %L || '': '' || msg FROM verify_heapam(%L::regclass)', t.name, t.name);
            END IF;
        EXCEPTION WHEN data_corrupted OR index_corrupted OR internal_error THEN
            RETURN NEXT t.name || ': ' || SQLERRM;
        END;
    END LOOP;
    FOR t IN SELECT c.oid::regclass::text AS name FROM pg_class c
             WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' ORDER BY 1 LOOP
        BEGIN
            EXECUTE format('SELECT count(r::text) FROM %s r', t.name);
        EXCEPTION WHEN data_corrupted OR index_corrupted OR internal_error THEN
            RETURN NEXT t.name || ': ' || SQLERRM;
        END;
    END LOOP;
END $$;
