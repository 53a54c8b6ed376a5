-- The months of what is there. Rows of money may be touched only here.
DROP TRIGGER journals_are_not_updated;
DROP TRIGGER entries_are_not_updated;
UPDATE journals SET month = m.month FROM (
    SELECT seq, max(max(CAST(strftime('%Y%m', at / 1000000, 'unixepoch') AS INTEGER),
                        coalesce(CAST(strftime('%Y%m', ((purchase_id >> 12) + 1767225600000) / 1000, 'unixepoch') AS INTEGER), 0)))
               OVER (ORDER BY seq) AS month FROM journals) AS m
WHERE m.seq = journals.seq;
UPDATE entries SET month = j.month FROM journals AS j WHERE j.seq = entries.journal_seq;
CREATE TRIGGER journals_are_not_updated BEFORE UPDATE ON journals
BEGIN SELECT RAISE(ABORT, 'journals are append-only'); END;
CREATE TRIGGER entries_are_not_updated BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;

-- Rows go once an archive has them, and not before.
DROP TRIGGER journals_are_not_deleted;
DROP TRIGGER entries_are_not_deleted;
CREATE TRIGGER journals_are_not_deleted BEFORE DELETE ON journals
WHEN NOT EXISTS (SELECT 1 FROM archives a WHERE a.digest IS NOT NULL AND OLD.seq BETWEEN a.first_journal AND a.last_journal)
BEGIN SELECT RAISE(ABORT, 'journals are append-only'); END;
CREATE TRIGGER entries_are_not_deleted BEFORE DELETE ON entries
WHEN NOT EXISTS (SELECT 1 FROM archives a WHERE a.digest IS NOT NULL AND OLD.journal_seq BETWEEN a.first_journal AND a.last_journal)
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER purchases_are_not_deleted BEFORE DELETE ON purchases
WHEN NOT EXISTS (SELECT 1 FROM archives a WHERE a.digest IS NOT NULL AND OLD.id < a.ids_below)
BEGIN SELECT RAISE(ABORT, 'purchases are not deleted'); END;

CREATE TRIGGER archives_are_not_updated BEFORE UPDATE ON archives WHEN OLD.digest IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'what is archived stays archived'); END;
CREATE TRIGGER archives_are_not_deleted BEFORE DELETE ON archives
BEGIN SELECT RAISE(ABORT, 'what is closed stays closed'); END;
CREATE TRIGGER carried_is_not_updated BEFORE UPDATE ON carried
BEGIN SELECT RAISE(ABORT, 'what is carried forward is append-only'); END;
CREATE TRIGGER carried_is_not_deleted BEFORE DELETE ON carried
BEGIN SELECT RAISE(ABORT, 'what is carried forward is append-only'); END;
