-- Products: what is bought by name. The lists of kinds and services go out of four tables: which
-- there are is the program's matter, and a new one needs no table rebuilt. Foreign keys are off
-- while this runs, and checked before it is committed.

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

CREATE TABLE operators_new (
    id             BIGINT PRIMARY KEY,
    code           TEXT   NOT NULL UNIQUE CHECK (code = upper(code)),
    aliases        TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    country        TEXT   NOT NULL REFERENCES countries (code),
    service        TEXT   NOT NULL,
    logo           TEXT   NOT NULL,
    prefixes       TEXT   NOT NULL,
    prepaid_least  BIGINT CHECK (prepaid_least > 0),
    prepaid_most   BIGINT CHECK (prepaid_most >= prepaid_least),
    postpaid_least BIGINT CHECK (postpaid_least > 0),
    postpaid_most  BIGINT CHECK (postpaid_most >= postpaid_least),
    offers         TEXT   CHECK (offers IN ('ticket', 'offer-and-tran', 'campaign')),
    is_active      BIGINT NOT NULL CHECK (is_active IN (0, 1)),
    CHECK ((prepaid_least IS NULL) = (prepaid_most IS NULL)),
    CHECK ((postpaid_least IS NULL) = (postpaid_most IS NULL))
) {{table}};
INSERT INTO operators_new SELECT id, code, aliases, name, country, service, logo, prefixes, prepaid_least, prepaid_most,
    postpaid_least, postpaid_most, offers, is_active FROM operators;
DROP TABLE operators;
ALTER TABLE operators_new RENAME TO operators;

CREATE TABLE prices_new (
    id         BIGINT PRIMARY KEY,
    charge     TEXT   NOT NULL CHECK (charge IN ('fee', 'commission')),
    account_id BIGINT REFERENCES accounts (id),
    plan       TEXT   CHECK (plan IN ('starter', 'business', 'enterprise')),
    operator   TEXT,
    kind       TEXT,
    from_at    BIGINT,
    until_at   BIGINT CHECK (until_at > from_at),
    currency   TEXT   NOT NULL,
    flat       BIGINT NOT NULL CHECK (flat >= 0),
    share_ppm  BIGINT NOT NULL CHECK (share_ppm BETWEEN 0 AND 1000000),
    least      BIGINT CHECK (least >= 0),
    most       BIGINT CHECK (most >= 0)
) {{table}};
INSERT INTO prices_new SELECT id, charge, account_id, plan, operator, kind, from_at, until_at, currency, flat, share_ppm, least, most
    FROM prices;
DROP TABLE prices;
ALTER TABLE prices_new RENAME TO prices;

CREATE TABLE routes_new (
    id             BIGINT PRIMARY KEY,
    environment    TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    operator       TEXT,
    kind           TEXT,
    recipient_ends TEXT,
    upstreams      TEXT   NOT NULL,
    needs_approval BIGINT NOT NULL CHECK (needs_approval IN (0, 1))
) {{table}};
INSERT INTO routes_new SELECT id, environment, operator, kind, recipient_ends, upstreams, needs_approval FROM routes;
DROP TABLE routes;
ALTER TABLE routes_new RENAME TO routes;

CREATE TABLE purchases_new (
    id              BIGINT NOT NULL CHECK (id > 0 AND id < 9007199254740992),
    account_id      BIGINT NOT NULL REFERENCES accounts (id),
    environment     TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    space           TEXT   NOT NULL,
    reference       TEXT   NOT NULL,
    key_id          BIGINT,
    kind            TEXT   NOT NULL,
    operator        TEXT   NOT NULL,
    recipient       TEXT   NOT NULL,
    service_type    TEXT   NOT NULL CHECK (service_type IN ('prepaid', 'postpaid')),
    currency        TEXT   NOT NULL CHECK (length(currency) = 3),
    amount          BIGINT NOT NULL CHECK (amount > 0),
    fee             BIGINT NOT NULL CHECK (fee >= 0),
    commission      BIGINT NOT NULL CHECK (commission >= 0),
    available_after BIGINT NOT NULL CHECK (available_after >= 0),
    details         TEXT   NOT NULL,
    webhook_url     TEXT,
    state           TEXT   NOT NULL CHECK (state = 'quoted' OR state = 'awaiting' OR state = 'held' OR state = 'sent'
                           OR state = 'in_doubt' OR state = 'with_staff' OR state = 'delivered'
                           OR state = 'failed' OR state = 'rejected' OR state = 'refunded'),
    version         BIGINT NOT NULL CHECK (version >= 1),
    attempts        BIGINT NOT NULL CHECK (attempts >= 0),
    upstream        TEXT,
    text            TEXT,
    decider         TEXT   CHECK (decider IN ('auto', 'staff')),
    opened_at       BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    delivered_at    BIGINT,
    product         TEXT,
    PRIMARY KEY (id, account_id, environment)
) {{clustered}};
INSERT INTO purchases_new SELECT id, account_id, environment, space, reference, key_id, kind, operator, recipient, service_type,
    currency, amount, fee, commission, available_after, details, webhook_url, state, version, attempts, upstream, text, decider,
    opened_at, updated_at, delivered_at, NULL FROM purchases;
DROP TABLE purchases;
ALTER TABLE purchases_new RENAME TO purchases;

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

-- What a login bought is listed latest first. Partial: whoever buys with keys pays nothing for it.
CREATE INDEX purchases_of_logins ON purchases (account_id, environment, id) WHERE key_id IS NULL;

-- A customer's statement is read latest first. Partial: whoever buys with keys pays nothing for it.
ALTER TABLE journals ADD COLUMN listed BIGINT CHECK (listed = 1);
CREATE INDEX journals_listed ON journals (account_id, environment, seq) WHERE listed = 1 OR purchase_id IS NULL;

-- What tells the master key that seals this data from another one.
CREATE TABLE marks (
    name TEXT PRIMARY KEY,
    mark BYTEA NOT NULL CHECK (length(mark) = 32)
) {{table}};
