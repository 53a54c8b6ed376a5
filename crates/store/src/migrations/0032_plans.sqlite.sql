-- Journals have one reason more. SQLite changes a constraint by rebuilding the table.
CREATE TABLE journals_new (
    seq         INTEGER PRIMARY KEY,
    account_id  INTEGER NOT NULL REFERENCES accounts (id),
    environment TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    purchase_id INTEGER,
    reason      TEXT   NOT NULL CHECK (reason = 'hold' OR reason = 'settle' OR reason = 'release'
                           OR reason = 'refund' OR reason = 'deposit' OR reason = 'withdraw'
                           OR reason = 'commission' OR reason = 'plan'),
    note        TEXT,
    at          INTEGER NOT NULL,
    hash        BLOB   NOT NULL CHECK (length(hash) = 32),
    listed      INTEGER CHECK (listed = 1),
    month       INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO journals_new SELECT seq, account_id, environment, purchase_id, reason, note, at, hash, listed, month
    FROM journals;
DROP TABLE journals;
ALTER TABLE journals_new RENAME TO journals;
CREATE TRIGGER journals_are_not_updated BEFORE UPDATE ON journals
BEGIN SELECT RAISE(ABORT, 'journals are append-only'); END;
CREATE TRIGGER journals_are_not_deleted BEFORE DELETE ON journals
WHEN NOT EXISTS (SELECT 1 FROM archives a WHERE a.digest IS NOT NULL AND OLD.seq BETWEEN a.first_journal AND a.last_journal)
BEGIN SELECT RAISE(ABORT, 'journals are append-only'); END;
