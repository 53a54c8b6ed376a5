-- Products: what is bought by name. The lists of kinds and services go out of four tables (each
-- database has its own way): which there are is the program's matter, and a new one needs no table
-- rebuilt.

CREATE TABLE categories (
    id          BIGINT PRIMARY KEY CHECK (id > 0),
    name        TEXT   NOT NULL UNIQUE CHECK (name <> ''),
    description TEXT   NOT NULL,
    logo        TEXT   NOT NULL
) {{table}};

CREATE TABLE products (
    id          BIGINT PRIMARY KEY CHECK (id > 0),
    name        TEXT   NOT NULL UNIQUE CHECK (name <> ''),
    title       TEXT   NOT NULL,
    description TEXT   NOT NULL,
    ref_name    TEXT   NOT NULL,
    operator    TEXT   NOT NULL,
    category_id BIGINT NOT NULL REFERENCES categories (id),
    kind        TEXT   NOT NULL,
    currency    TEXT   NOT NULL CHECK (length(currency) = 3),
    price       BIGINT CHECK (price > 0),
    least       BIGINT CHECK (least > 0),
    most        BIGINT CHECK (most >= least),
    bill_format TEXT   NOT NULL,
    fields      TEXT   NOT NULL,
    checks_bill BIGINT NOT NULL CHECK (checks_bill IN (0, 1)),
    receipt     TEXT   NOT NULL,
    logo        TEXT   NOT NULL,
    is_active   BIGINT NOT NULL CHECK (is_active IN (0, 1)),
    CHECK ((price IS NULL) = (least IS NOT NULL)),
    CHECK ((least IS NULL) = (most IS NULL))
) {{table}};

-- What the end customer keeps of a delivery: tokens and charges, as JSON; written with the word that
-- brought it, the first of each upstream. The customer's is that of the upstream that counts.
CREATE TABLE slips (
    purchase_id BIGINT NOT NULL,
    account_id  BIGINT NOT NULL,
    environment TEXT   NOT NULL,
    upstream    TEXT   NOT NULL,
    body        TEXT   NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (purchase_id, account_id, environment, upstream),
    FOREIGN KEY (purchase_id, account_id, environment) REFERENCES purchases (id, account_id, environment)
) {{clustered}};

-- A customer's statement is read latest first. Partial: whoever buys with keys pays nothing for it.
ALTER TABLE journals ADD COLUMN listed BIGINT CHECK (listed = 1);
CREATE INDEX journals_listed ON journals (account_id, environment, seq) WHERE listed = 1 OR purchase_id IS NULL;

-- What tells the master key that seals this data from another one.
CREATE TABLE marks (
    name TEXT PRIMARY KEY,
    mark BYTEA NOT NULL CHECK (length(mark) = 32)
) {{table}};
