-- The tables that grow become partitions by month: purchases and what hangs on them by their ids,
-- which tell when they were made; journals and entries by their month. A partition is made by the
-- first writer that needs it, the next month's with it, so there is none for everything else: a row
-- never lies where nobody looks for it.

-- 202604 for the month of an id, and the lowest id of a month (2026-01-01 is the zero of ids).
CREATE FUNCTION month_of_id(id BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS $$
    SELECT to_char(to_timestamp(((id >> 12) + 1767225600000) / 1000) AT TIME ZONE 'UTC', 'YYYYMM')::bigint $$;
CREATE FUNCTION first_id_of(month BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS $$
    SELECT (extract(epoch FROM make_timestamp((month / 100)::int, (month % 100)::int, 1, 0, 0, 0))::bigint
            * 1000 - 1767225600000) << 12 $$;
CREATE FUNCTION month_after(month BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE month % 100 WHEN 12 THEN month + 89 ELSE month + 1 END $$;
-- Which tables, and whether by their month or by the id of their purchase.
CREATE FUNCTION tables_by_month() RETURNS TABLE (name TEXT, by_month BOOLEAN) LANGUAGE sql IMMUTABLE AS $$
    VALUES ('purchases', false), ('attempts', false), ('events', false), ('evidence', false), ('slips', false),
           ('journals', true), ('entries', true) $$;

-- Makes a month's partitions, unless they are there; answers how many. Attaching keeps neither
-- readers nor writers of the whole waiting.
CREATE FUNCTION make_room(month BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    t RECORD;
    part TEXT;
    made BIGINT := 0;
BEGIN
    FOR t IN SELECT * FROM tables_by_month() LOOP
        part := format('%s_%s', t.name, month);
        CONTINUE WHEN to_regclass(quote_ident(part)) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', part, t.name);
        IF t.name = 'purchases' THEN
            EXECUTE format('ALTER TABLE %I SET (fillfactor = 80)', part);
        END IF;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', t.name, part,
            CASE WHEN t.by_month THEN month ELSE first_id_of(month) END,
            CASE WHEN t.by_month THEN month_after(month) ELSE first_id_of(month_after(month)) END);
        IF t.by_month THEN
            EXECUTE format('CREATE TRIGGER are_not_emptied BEFORE TRUNCATE ON %I EXECUTE FUNCTION refuse_change(%L)',
                part, t.name || ' are append-only');
        END IF;
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Takes an archived month's partitions away, and those of months before it that had nothing.
CREATE FUNCTION drop_month(month BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    part RECORD;
    dropped BIGINT := 0;
BEGIN
    IF NOT EXISTS (SELECT FROM archives a WHERE a.month = drop_month.month AND a.digest IS NOT NULL) THEN
        RAISE EXCEPTION 'month % is not archived', month;
    END IF;
    FOR part IN SELECT c.oid::regclass AS name FROM tables_by_month() t
                JOIN pg_inherits i ON i.inhparent = to_regclass(t.name)
                JOIN pg_class c ON c.oid = i.inhrelid
                WHERE substring(c.relname FROM '_([0-9]+)$')::bigint <= drop_month.month LOOP
        EXECUTE format('DROP TABLE %s', part.name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;

DO $$
DECLARE
    c RECORD;
    t RECORD;
    m BIGINT;
BEGIN
    -- What these would refuse, the triggers below refuse for each set of rows.
    FOR c IN SELECT conrelid::regclass AS name, conname FROM pg_constraint
             WHERE contype = 'f' AND confrelid IN (SELECT to_regclass(n.name) FROM tables_by_month() n) LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.name, c.conname);
    END LOOP;
    FOR t IN SELECT * FROM tables_by_month() LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', t.name, 'old_' || t.name);
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (%I)',
            t.name, 'old_' || t.name,
            CASE WHEN t.by_month THEN 'month' WHEN t.name = 'purchases' THEN 'id' ELSE 'purchase_id' END);
    END LOOP;
    -- A month that no journal is of has one of the months before it, as a payment without a purchase.
    CREATE TEMPORARY TABLE months_of_journals ON COMMIT DROP AS
        SELECT seq, max(greatest(to_char(to_timestamp(at / 1000000) AT TIME ZONE 'UTC', 'YYYYMM')::bigint,
                                 month_of_id(purchase_id))) OVER (ORDER BY seq) AS month FROM old_journals;
    CREATE UNIQUE INDEX ON months_of_journals (seq);
    ANALYZE months_of_journals;
    FOR m IN SELECT DISTINCT month FROM months_of_journals UNION SELECT DISTINCT month_of_id(id) FROM old_purchases LOOP
        PERFORM make_room(m);
    END LOOP;
    FOR t IN SELECT * FROM tables_by_month() WHERE NOT by_month LOOP
        EXECUTE format('INSERT INTO %I SELECT * FROM %I', t.name, 'old_' || t.name);
    END LOOP;
    INSERT INTO journals SELECT j.seq, j.account_id, j.environment, j.purchase_id, j.reason, j.note, j.at, j.hash, j.listed, m.month
        FROM old_journals j JOIN months_of_journals m ON m.seq = j.seq;
    INSERT INTO entries SELECT e.journal_seq, e.line, e.debit_id, e.credit_id, e.amount, m.month
        FROM old_entries e JOIN months_of_journals m ON m.seq = e.journal_seq;
    FOR t IN SELECT * FROM tables_by_month() LOOP
        EXECUTE format('DROP TABLE %I', 'old_' || t.name);
    END LOOP;
END $$;

ALTER TABLE purchases ADD PRIMARY KEY (id, account_id, environment);
ALTER TABLE attempts ADD PRIMARY KEY (purchase_id, account_id, environment, number);
ALTER TABLE events ADD PRIMARY KEY (purchase_id, account_id, environment, sequence);
ALTER TABLE evidence ADD PRIMARY KEY (purchase_id, account_id, environment, line);
ALTER TABLE slips ADD PRIMARY KEY (purchase_id, account_id, environment, upstream);
ALTER TABLE journals ADD PRIMARY KEY (seq, month);
ALTER TABLE entries ADD PRIMARY KEY (journal_seq, line, month);
CREATE INDEX purchases_of_logins ON purchases (account_id, environment, id) WHERE key_id IS NULL;
CREATE INDEX journals_listed ON journals (account_id, environment, seq) WHERE listed = 1 OR purchase_id IS NULL;
CREATE INDEX events_but_deliveries ON events (state, purchase_id) WHERE state <> 'delivered';

CREATE OR REPLACE FUNCTION refuse_loose_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added a WHERE NOT EXISTS (SELECT FROM journals p WHERE p.seq = a.journal_seq AND p.month = a.month)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'an entry belongs to no journal';
    END IF;
    IF EXISTS (SELECT FROM (SELECT debit_id AS id FROM added UNION SELECT credit_id FROM added) a
               WHERE NOT EXISTS (SELECT FROM ledger_accounts p WHERE p.id = a.id)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'an entry moves money of no ledger account';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER purchases_are_somebodys AFTER INSERT ON purchases
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_strangers();
CREATE TRIGGER journals_are_somebodys AFTER INSERT ON journals
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_strangers();
CREATE TRIGGER entries_belong AFTER INSERT ON entries
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_loose_entries();
CREATE TRIGGER attempts_belong AFTER INSERT ON attempts
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_orphans();
CREATE TRIGGER events_belong AFTER INSERT ON events
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_orphans();
CREATE TRIGGER evidence_belongs AFTER INSERT ON evidence
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_orphans();
CREATE TRIGGER slips_belong AFTER INSERT ON slips
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_orphans();
CREATE TRIGGER cases_belong AFTER INSERT ON cases
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_orphans();
CREATE TRIGGER pushes_belong AFTER INSERT ON pushes
    REFERENCING NEW TABLE AS added EXECUTE FUNCTION refuse_orphans();
CREATE TRIGGER purchases_stay BEFORE DELETE ON purchases
    FOR EACH ROW EXECUTE FUNCTION refuse_change('purchases are not deleted');
CREATE TRIGGER journals_stay BEFORE UPDATE OR DELETE ON journals
    FOR EACH ROW EXECUTE FUNCTION refuse_change('journals are append-only');
CREATE TRIGGER journals_are_not_emptied BEFORE TRUNCATE ON journals
    EXECUTE FUNCTION refuse_change('journals are append-only');
CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE ON entries
    FOR EACH ROW EXECUTE FUNCTION refuse_change('entries are append-only');
CREATE TRIGGER entries_are_not_emptied BEFORE TRUNCATE ON entries
    EXECUTE FUNCTION refuse_change('entries are append-only');
CREATE TRIGGER archives_stay BEFORE DELETE ON archives
    FOR EACH ROW EXECUTE FUNCTION refuse_change('what is closed stays closed');
CREATE TRIGGER archives_are_not_updated BEFORE UPDATE ON archives
    FOR EACH ROW WHEN (OLD.digest IS NOT NULL) EXECUTE FUNCTION refuse_change('what is archived stays archived');
CREATE TRIGGER carried_stays BEFORE UPDATE OR DELETE ON carried
    FOR EACH ROW EXECUTE FUNCTION refuse_change('what is carried forward is append-only');
