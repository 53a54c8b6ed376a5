-- Never the same twice, whatever became of a run.
CREATE SEQUENCE runs;
ALTER TABLE nodes SET (fillfactor = 20);
ALTER TABLE calls SET (fillfactor = 30);

-- A connection writes for a run, and loses that right with it: the row that each commit must update is gone.
DELETE FROM writers;
ALTER TABLE writers ADD COLUMN run BIGINT NOT NULL REFERENCES nodes (run) ON DELETE CASCADE;

-- News are pushed to whoever listens; who missed it reads the revisions, every second.
CREATE FUNCTION spread_news() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('saldo', NEW.topic); RETURN NULL; END $$;
CREATE TRIGGER news_spread AFTER UPDATE ON news FOR EACH ROW EXECUTE FUNCTION spread_news();
