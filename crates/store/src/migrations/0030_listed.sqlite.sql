-- What lists of an account read are tables of their own, which are filled behind the journals, many rows at
-- once: a sale writes nothing to them. Up to which journal each was filled:
CREATE TABLE lists (
    name  TEXT   NOT NULL PRIMARY KEY,
    up_to INTEGER NOT NULL CHECK (up_to >= 0)
) STRICT;
CREATE TABLE listed_journals (
    account_id  INTEGER NOT NULL,
    environment TEXT   NOT NULL,
    seq         INTEGER NOT NULL,
    PRIMARY KEY (account_id, environment, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE listed_purchases (
    account_id  INTEGER NOT NULL,
    environment TEXT   NOT NULL,
    operator    TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    purchase_id INTEGER NOT NULL,
    PRIMARY KEY (account_id, environment, operator, kind, purchase_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE listed_recipients (
    account_id  INTEGER NOT NULL,
    environment TEXT   NOT NULL,
    recipient   TEXT   NOT NULL,
    purchase_id INTEGER NOT NULL,
    PRIMARY KEY (account_id, environment, recipient, purchase_id)
) STRICT, WITHOUT ROWID;
INSERT INTO listed_journals SELECT account_id, environment, seq FROM journals ORDER BY 1, 2, 3;
INSERT INTO listed_purchases SELECT account_id, environment, operator, kind, id FROM purchases ORDER BY 1, 2, 3, 4, 5;
INSERT INTO listed_recipients SELECT account_id, environment, recipient, id FROM purchases ORDER BY 1, 2, 3, 4;
INSERT INTO lists SELECT 'journals', coalesce(max(seq), 0) FROM journals;
INSERT INTO lists SELECT 'purchases', coalesce(max(seq), 0) FROM journals;
DROP INDEX purchases_lists;
DROP INDEX purchases_of_recipient;
DROP INDEX journals_of_account;
