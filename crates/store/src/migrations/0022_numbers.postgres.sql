-- A new id is the day of its number, as days since 1970, and the number below it in 37 bits. Ids of before are
-- lower than each of these, and keep partitions of their own.
CREATE FUNCTION first_old_id_of(month BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS $$
    SELECT (extract(epoch FROM make_timestamp((month / 100)::int, (month % 100)::int, 1, 0, 0, 0))::bigint
            * 1000 - 1767225600000) << 12 $$;
CREATE OR REPLACE FUNCTION first_id_of(month BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS $$
    SELECT (extract(epoch FROM make_timestamp((month / 100)::int, (month % 100)::int, 1, 0, 0, 0))::bigint / 86400) << 37 $$;
DROP FUNCTION month_of_id(BIGINT);
DROP FUNCTION make_room(BIGINT);

-- Makes a month's partitions, unless they are there; answers how many. With `old` only those of ids of before.
-- Attaching keeps neither readers nor writers of the whole waiting.
CREATE FUNCTION make_room(month BIGINT, old BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    t RECORD;
    part TEXT;
    made BIGINT := 0;
BEGIN
    FOR t IN SELECT * FROM tables_by_month() LOOP
        CONTINUE WHEN t.by_month AND old = 1;
        part := format(CASE old WHEN 1 THEN 'old_%s_%s' ELSE '%s_%s' END, t.name, month);
        CONTINUE WHEN to_regclass(quote_ident(part)) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', part, t.name);
        -- Room for what a step changes: a row that stays on its page costs no entry of an index.
        IF t.name IN ('purchases', 'attempts') THEN
            EXECUTE format('ALTER TABLE %I SET (fillfactor = 55)', part);
        END IF;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', t.name, part,
            CASE WHEN t.by_month THEN month WHEN old = 1 THEN first_old_id_of(month) ELSE first_id_of(month) END,
            CASE WHEN t.by_month THEN month_after(month) WHEN old = 1 THEN first_old_id_of(month_after(month))
                 ELSE first_id_of(month_after(month)) END);
        IF t.by_month THEN
            EXECUTE format('CREATE TRIGGER are_not_emptied BEFORE TRUNCATE ON %I EXECUTE FUNCTION refuse_change(%L)',
                part, t.name || ' are append-only');
        END IF;
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

DO $$
DECLARE
    part RECORD;
BEGIN
    FOR part IN SELECT c.relname AS name FROM tables_by_month() t
                JOIN pg_inherits i ON i.inhparent = to_regclass(t.name)
                JOIN pg_class c ON c.oid = i.inhrelid WHERE NOT t.by_month LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', part.name, 'old_' || part.name);
    END LOOP;
END $$;
