-- SQLite changes a constraint by rebuilding the table. Foreign keys are off while this runs, and
-- checked before it is committed.

CREATE TABLE operators_new (
    id             INTEGER PRIMARY KEY,
    code           TEXT   NOT NULL UNIQUE CHECK (code = upper(code)),
    aliases        TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    country        TEXT   NOT NULL REFERENCES countries (code),
    service        TEXT   NOT NULL,
    logo           TEXT   NOT NULL,
    prefixes       TEXT   NOT NULL,
    prepaid_least  INTEGER CHECK (prepaid_least > 0),
    prepaid_most   INTEGER CHECK (prepaid_most >= prepaid_least),
    postpaid_least INTEGER CHECK (postpaid_least > 0),
    postpaid_most  INTEGER CHECK (postpaid_most >= postpaid_least),
    offers         TEXT   CHECK (offers IN ('ticket', 'offer-and-tran', 'campaign')),
    is_active      INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    CHECK ((prepaid_least IS NULL) = (prepaid_most IS NULL)),
    CHECK ((postpaid_least IS NULL) = (postpaid_most IS NULL))
) STRICT;
INSERT INTO operators_new SELECT id, code, aliases, name, country, service, logo, prefixes, prepaid_least, prepaid_most,
    postpaid_least, postpaid_most, offers, is_active FROM operators;
DROP TABLE operators;
ALTER TABLE operators_new RENAME TO operators;

CREATE TABLE prices_new (
    id         INTEGER PRIMARY KEY,
    charge     TEXT   NOT NULL CHECK (charge IN ('fee', 'commission')),
    account_id INTEGER REFERENCES accounts (id),
    plan       TEXT   CHECK (plan IN ('starter', 'business', 'enterprise')),
    operator   TEXT,
    kind       TEXT,
    from_at    INTEGER,
    until_at   INTEGER CHECK (until_at > from_at),
    currency   TEXT   NOT NULL,
    flat       INTEGER NOT NULL CHECK (flat >= 0),
    share_ppm  INTEGER NOT NULL CHECK (share_ppm BETWEEN 0 AND 1000000),
    least      INTEGER CHECK (least >= 0),
    most       INTEGER CHECK (most >= 0)
) STRICT;
INSERT INTO prices_new SELECT id, charge, account_id, plan, operator, kind, from_at, until_at, currency, flat, share_ppm, least, most
    FROM prices;
DROP TABLE prices;
ALTER TABLE prices_new RENAME TO prices;

CREATE TABLE routes_new (
    id             INTEGER PRIMARY KEY,
    environment    TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    operator       TEXT,
    kind           TEXT,
    recipient_ends TEXT,
    upstreams      TEXT   NOT NULL,
    needs_approval INTEGER NOT NULL CHECK (needs_approval IN (0, 1))
) STRICT;
INSERT INTO routes_new SELECT id, environment, operator, kind, recipient_ends, upstreams, needs_approval FROM routes;
DROP TABLE routes;
ALTER TABLE routes_new RENAME TO routes;

CREATE TABLE purchases_new (
    id              INTEGER NOT NULL CHECK (id > 0 AND id < 9007199254740992),
    account_id      INTEGER NOT NULL REFERENCES accounts (id),
    environment     TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    space           TEXT   NOT NULL,
    reference       TEXT   NOT NULL,
    key_id          INTEGER,
    kind            TEXT   NOT NULL,
    operator        TEXT   NOT NULL,
    recipient       TEXT   NOT NULL,
    service_type    TEXT   NOT NULL CHECK (service_type IN ('prepaid', 'postpaid')),
    currency        TEXT   NOT NULL CHECK (length(currency) = 3),
    amount          INTEGER NOT NULL CHECK (amount > 0),
    fee             INTEGER NOT NULL CHECK (fee >= 0),
    commission      INTEGER NOT NULL CHECK (commission >= 0),
    available_after INTEGER NOT NULL CHECK (available_after >= 0),
    details         TEXT   NOT NULL,
    webhook_url     TEXT,
    state           TEXT   NOT NULL CHECK (state = 'quoted' OR state = 'awaiting' OR state = 'held' OR state = 'sent'
                           OR state = 'in_doubt' OR state = 'with_staff' OR state = 'delivered'
                           OR state = 'failed' OR state = 'rejected' OR state = 'refunded'),
    version         INTEGER NOT NULL CHECK (version >= 1),
    attempts        INTEGER NOT NULL CHECK (attempts >= 0),
    upstream        TEXT,
    text            TEXT,
    decider         TEXT   CHECK (decider IN ('auto', 'staff')),
    opened_at       INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    delivered_at    INTEGER,
    product         TEXT,
    PRIMARY KEY (id, account_id, environment)
) STRICT, WITHOUT ROWID;
INSERT INTO purchases_new SELECT id, account_id, environment, space, reference, key_id, kind, operator, recipient, service_type,
    currency, amount, fee, commission, available_after, details, webhook_url, state, version, attempts, upstream, text, decider,
    opened_at, updated_at, delivered_at, NULL FROM purchases;
DROP TABLE purchases;
ALTER TABLE purchases_new RENAME TO purchases;

-- What a login bought is listed latest first. Partial: whoever buys with keys pays nothing for it.
CREATE INDEX purchases_of_logins ON purchases (account_id, environment, id) WHERE key_id IS NULL;
