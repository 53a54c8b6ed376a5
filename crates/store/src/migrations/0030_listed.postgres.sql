-- Takes an archived month's partitions away, and those of months before it that had nothing; and
-- what lists had of it.
CREATE OR REPLACE FUNCTION drop_month(month BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    gone RECORD;
    part RECORD;
    dropped BIGINT := 0;
BEGIN
    SELECT a.ids_below, a.last_journal INTO gone FROM archives a WHERE a.month = drop_month.month AND a.digest IS NOT NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'month % is not archived', month;
    END IF;
    FOR part IN SELECT c.oid::regclass AS name FROM tables_by_month() t
                JOIN pg_inherits i ON i.inhparent = to_regclass(t.name)
                JOIN pg_class c ON c.oid = i.inhrelid
                WHERE substring(c.relname FROM '_([0-9]+)$')::bigint <= drop_month.month LOOP
        EXECUTE format('DROP TABLE %s', part.name);
        dropped := dropped + 1;
    END LOOP;
    IF dropped > 0 THEN
        DELETE FROM listed_journals WHERE seq <= gone.last_journal;
        DELETE FROM listed_purchases WHERE purchase_id < gone.ids_below;
        DELETE FROM listed_recipients WHERE purchase_id < gone.ids_below;
    END IF;
    RETURN dropped;
END $$;
