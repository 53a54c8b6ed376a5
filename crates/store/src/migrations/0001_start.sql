-- The first schema. One text for both databases: BIGINT, TEXT and BYTEA are translated where a
-- database has other names; {{table}} and {{clustered}} stand for a database's table options.
-- Times are UTC microseconds, amounts minor units. The busy tables spell their words with OR: SQLite
-- builds a temporary table for every IN of more than two, at every row. Every table that grows has
-- the account in its key.

CREATE TABLE accounts (
    id               BIGINT PRIMARY KEY,
    role             TEXT   NOT NULL CHECK (role IN ('house', 'merchant', 'customer')),
    name             TEXT   NOT NULL CHECK (name <> ''),
    is_active        BIGINT NOT NULL CHECK (is_active IN (0, 1)),
    plan             TEXT   CHECK (plan IN ('starter', 'business', 'enterprise')),
    per_minute       BIGINT NOT NULL CHECK (per_minute >= 0),
    subscribed_until BIGINT,
    opened_at        BIGINT NOT NULL,
    CHECK ((plan IS NULL) = (subscribed_until IS NULL))
) {{table}};

CREATE TABLE users (
    id            BIGINT PRIMARY KEY,
    account_id    BIGINT NOT NULL REFERENCES accounts (id),
    email         TEXT   NOT NULL UNIQUE CHECK (email <> ''),
    role          TEXT   NOT NULL,
    password_hash TEXT   NOT NULL,
    created_at    BIGINT NOT NULL
) {{table}};

CREATE TABLE keys (
    id            BIGINT PRIMARY KEY,
    account_id    BIGINT NOT NULL REFERENCES accounts (id),
    environment   TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    open_key      TEXT   NOT NULL UNIQUE,
    secret_digest BYTEA  NOT NULL CHECK (length(secret_digest) = 32),
    secret_tail   TEXT   NOT NULL,
    allow_list    TEXT   NOT NULL,
    webhook_url   TEXT,
    revoked_at    BIGINT,
    created_at    BIGINT NOT NULL
) {{table}};

CREATE TABLE countries (
    code         TEXT PRIMARY KEY,
    name         TEXT   NOT NULL,
    currency     TEXT   NOT NULL CHECK (length(currency) = 3),
    calling_code TEXT   NOT NULL,
    trunk        TEXT   NOT NULL,
    length       BIGINT NOT NULL CHECK (length > 0),
    begins       TEXT   NOT NULL
) {{table}};

CREATE TABLE operators (
    id             BIGINT PRIMARY KEY,
    code           TEXT   NOT NULL UNIQUE CHECK (code = upper(code)),
    aliases        TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    country        TEXT   NOT NULL REFERENCES countries (code),
    service        TEXT   NOT NULL CHECK (service IN ('mobile-recharge', 'mobile-banking')),
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

CREATE TABLE prices (
    id         BIGINT PRIMARY KEY,
    charge     TEXT   NOT NULL CHECK (charge IN ('fee', 'commission')),
    account_id BIGINT REFERENCES accounts (id),
    plan       TEXT   CHECK (plan IN ('starter', 'business', 'enterprise')),
    operator   TEXT,
    kind       TEXT   CHECK (kind IN ('recharge', 'offer', 'banking')),
    from_at    BIGINT,
    until_at   BIGINT CHECK (until_at > from_at),
    currency   TEXT   NOT NULL,
    flat       BIGINT NOT NULL CHECK (flat >= 0),
    share_ppm  BIGINT NOT NULL CHECK (share_ppm BETWEEN 0 AND 1000000),
    least      BIGINT CHECK (least >= 0),
    most       BIGINT CHECK (most >= 0)
) {{table}};

CREATE TABLE routes (
    id             BIGINT PRIMARY KEY,
    environment    TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    operator       TEXT,
    kind           TEXT   CHECK (kind IN ('recharge', 'offer', 'banking')),
    recipient_ends TEXT,
    upstreams      TEXT   NOT NULL,
    needs_approval BIGINT NOT NULL CHECK (needs_approval IN (0, 1))
) {{table}};

-- The ledger. balance = sum of credits - sum of debits; a floor is refused here, whoever asks.
CREATE TABLE ledger_accounts (
    id            BIGINT PRIMARY KEY,
    account_id    BIGINT NOT NULL REFERENCES accounts (id),
    environment   TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    currency      TEXT   NOT NULL CHECK (length(currency) = 3),
    purpose       TEXT   NOT NULL CHECK (purpose IN ('available', 'held', 'commission', 'float', 'fees',
                                                     'commission_expense', 'funding', 'discrepancy')),
    upstream      TEXT   NOT NULL,
    balance       BIGINT NOT NULL,
    floor         BIGINT,
    CONSTRAINT ledger_accounts_floor CHECK (floor IS NULL OR balance >= floor),
    CONSTRAINT ledger_accounts_wallets_have_a_floor CHECK (purpose NOT IN ('available', 'held') OR floor IS NOT NULL),
    CHECK ((purpose = 'float') = (upstream <> '')),
    UNIQUE (account_id, environment, currency, purpose, upstream)
) {{table}};

CREATE TABLE journals (
    seq         BIGINT PRIMARY KEY,
    account_id  BIGINT NOT NULL REFERENCES accounts (id),
    environment TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    purchase_id BIGINT,
    reason      TEXT   NOT NULL CHECK (reason = 'hold' OR reason = 'settle' OR reason = 'release'
                           OR reason = 'refund' OR reason = 'deposit' OR reason = 'withdraw'),
    note        TEXT,
    at          BIGINT NOT NULL,
    hash        BYTEA  NOT NULL CHECK (length(hash) = 32)
) {{table}};

-- One row moves one amount from one ledger account to another: balanced by construction.
CREATE TABLE entries (
    journal_seq BIGINT NOT NULL REFERENCES journals (seq),
    line        BIGINT NOT NULL CHECK (line >= 1),
    debit_id    BIGINT NOT NULL REFERENCES ledger_accounts (id),
    credit_id   BIGINT NOT NULL REFERENCES ledger_accounts (id),
    amount      BIGINT NOT NULL CHECK (amount > 0),
    CHECK (debit_id <> credit_id),
    PRIMARY KEY (journal_seq, line)
) {{clustered}};

-- References, unique for ever within account, environment and space.
CREATE TABLE claims (
    account_id  BIGINT NOT NULL REFERENCES accounts (id),
    environment TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    space       TEXT   NOT NULL,
    reference   TEXT   NOT NULL CHECK (length(reference) BETWEEN 1 AND 128),
    purchase_id BIGINT,
    digest      BYTEA,
    at          BIGINT NOT NULL,
    CONSTRAINT claims_once PRIMARY KEY (account_id, environment, space, reference)
) {{clustered}};

-- The first answer to a request that carried an idempotency key.
CREATE TABLE replays (
    account_id  BIGINT NOT NULL,
    environment TEXT   NOT NULL,
    space       TEXT   NOT NULL,
    reference   TEXT   NOT NULL,
    status      BIGINT NOT NULL,
    body        TEXT   NOT NULL,
    PRIMARY KEY (account_id, environment, space, reference),
    FOREIGN KEY (account_id, environment, space, reference) REFERENCES claims (account_id, environment, space, reference)
) {{clustered}};

CREATE TABLE purchases (
    id              BIGINT NOT NULL CHECK (id > 0 AND id < 9007199254740992),
    account_id      BIGINT NOT NULL REFERENCES accounts (id),
    environment     TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    space           TEXT   NOT NULL,
    reference       TEXT   NOT NULL,
    key_id          BIGINT,
    kind            TEXT   NOT NULL CHECK (kind = 'recharge' OR kind = 'offer' OR kind = 'banking'),
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
    PRIMARY KEY (id, account_id, environment)
) {{clustered}};

-- An attempt is on record before its first byte goes out; without an outcome it is in doubt.
CREATE TABLE attempts (
    purchase_id        BIGINT NOT NULL,
    account_id         BIGINT NOT NULL,
    environment        TEXT   NOT NULL,
    number             BIGINT NOT NULL CHECK (number >= 1),
    upstream           TEXT   NOT NULL,
    started_at         BIGINT NOT NULL,
    outcome            TEXT,
    upstream_reference TEXT,
    text               TEXT,
    heard_at           BIGINT,
    PRIMARY KEY (purchase_id, account_id, environment, number),
    FOREIGN KEY (purchase_id, account_id, environment) REFERENCES purchases (id, account_id, environment)
) {{clustered}};

-- The one job that an open purchase owes. A claim moves due_at to the lease's end and counts the epoch.
CREATE TABLE jobs (
    purchase_id BIGINT NOT NULL,
    account_id  BIGINT NOT NULL,
    environment TEXT   NOT NULL,
    job         TEXT   NOT NULL CHECK (job = 'expire' OR job = 'submit' OR job = 'query'),
    due_at      BIGINT NOT NULL,
    tries       BIGINT NOT NULL CHECK (tries >= 0),
    epoch       BIGINT NOT NULL CHECK (epoch >= 0),
    PRIMARY KEY (purchase_id, account_id, environment),
    FOREIGN KEY (purchase_id, account_id, environment) REFERENCES purchases (id, account_id, environment)
) {{clustered}};
CREATE INDEX jobs_due ON jobs (due_at);

-- The outbox of what an account must be told, in order per purchase.
CREATE TABLE events (
    purchase_id BIGINT NOT NULL,
    account_id  BIGINT NOT NULL,
    environment TEXT   NOT NULL,
    sequence    BIGINT NOT NULL,
    state       TEXT   NOT NULL CHECK (state = 'delivered' OR state = 'failed' OR state = 'rejected'
                           OR state = 'refunded'),
    at          BIGINT NOT NULL,
    told_at     BIGINT,
    PRIMARY KEY (purchase_id, account_id, environment, sequence),
    FOREIGN KEY (purchase_id, account_id, environment) REFERENCES purchases (id, account_id, environment)
) {{clustered}};

-- Words that led to a step or to a case, where no attempt's row records them.
CREATE TABLE evidence (
    purchase_id        BIGINT NOT NULL,
    account_id         BIGINT NOT NULL,
    environment        TEXT   NOT NULL,
    line               BIGINT NOT NULL,
    at                 BIGINT NOT NULL,
    source             TEXT   NOT NULL,
    attempt            BIGINT,
    word               TEXT   NOT NULL,
    text               TEXT,
    upstream_reference TEXT,
    PRIMARY KEY (purchase_id, account_id, environment, line),
    FOREIGN KEY (purchase_id, account_id, environment) REFERENCES purchases (id, account_id, environment)
) {{clustered}};

CREATE TABLE cases (
    purchase_id BIGINT NOT NULL,
    account_id  BIGINT NOT NULL,
    environment TEXT   NOT NULL,
    why         TEXT   NOT NULL CHECK (why IN ('clash', 'doubt')),
    opened_at   BIGINT NOT NULL,
    text        TEXT   NOT NULL,
    closed_at   BIGINT,
    PRIMARY KEY (purchase_id, account_id, environment, why),
    FOREIGN KEY (purchase_id, account_id, environment) REFERENCES purchases (id, account_id, environment)
) {{clustered}};
