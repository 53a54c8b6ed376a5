-- Where an account's events are told: one row for each key pair (of the same id, its secret signs
-- what a request's own address is told too), and as many more as the account wants. Rows stay when an
-- endpoint is removed. Secrets are sealed.
CREATE TABLE endpoints (
    id               BIGINT NOT NULL,
    account_id       BIGINT NOT NULL REFERENCES accounts (id),
    environment      TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    key_id           BIGINT REFERENCES keys (id),
    url              TEXT,
    events           TEXT   NOT NULL,
    success_event    TEXT   NOT NULL CHECK (success_event IN ('on_final', 'on_accept')),
    secret           BYTEA,
    old_secret       BYTEA,
    old_secret_until BIGINT,
    created_at       BIGINT NOT NULL,
    removed_at       BIGINT,
    changed          BIGINT NOT NULL,
    CHECK (key_id IS NOT NULL OR url IS NOT NULL),
    CHECK (key_id IS NULL OR key_id = id),
    CHECK ((old_secret IS NULL) = (old_secret_until IS NULL)),
    PRIMARY KEY (id, account_id)
) {{clustered}};
CREATE INDEX endpoints_changed ON endpoints (changed);
INSERT INTO endpoints (id, account_id, environment, key_id, url, events, success_event, created_at, changed)
    SELECT id, account_id, environment, id, webhook_url, '[]', 'on_final', created_at, 1 FROM keys;
ALTER TABLE keys DROP COLUMN webhook_url;

-- Addresses that do nothing but fail, since when; and those that nothing is sent to any more.
CREATE TABLE troubles (
    account_id  BIGINT NOT NULL REFERENCES accounts (id),
    environment TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    url         TEXT   NOT NULL,
    since       BIGINT,
    off_at      BIGINT,
    why         TEXT,
    changed     BIGINT NOT NULL,
    CHECK ((off_at IS NULL) = (why IS NULL)),
    PRIMARY KEY (account_id, environment, url)
) {{clustered}};
CREATE INDEX troubles_changed ON troubles (changed);

-- Hosts that have shown that they want what they are sent.
CREATE TABLE hosts (
    host        TEXT   NOT NULL PRIMARY KEY,
    verified_at BIGINT NOT NULL
) {{clustered}};

-- What an endpoint must be told, written in the commit of the step it tells of, and kept for the log:
-- once for each event of a purchase. While it is owed, due_at says when somebody must take it up; a
-- claim moves that to the lease's end, and notes in which run's hands it is. The last columns are the try
-- that was taken.
CREATE TABLE webhooks (
    purchase_id BIGINT NOT NULL,
    account_id  BIGINT NOT NULL,
    environment TEXT   NOT NULL,
    endpoint_id BIGINT NOT NULL,
    event       TEXT   NOT NULL,
    sequence    BIGINT NOT NULL,
    url         TEXT   NOT NULL,
    body        TEXT   NOT NULL,
    at          BIGINT NOT NULL,
    state       TEXT   NOT NULL CHECK (state = 'owed' OR state = 'waits' OR state = 'taken' OR state = 'given_up'
                           OR state = 'off'),
    owed_since  BIGINT NOT NULL,
    due_at      BIGINT,
    tries       BIGINT NOT NULL CHECK (tries >= 0),
    refusals    BIGINT NOT NULL CHECK (refusals >= 0),
    epoch       BIGINT NOT NULL CHECK (epoch >= 0),
    run         BIGINT,
    taken_at    BIGINT,
    status      BIGINT,
    took_ms     BIGINT,
    says        TEXT,
    CHECK ((due_at IS NOT NULL) = (state = 'owed' OR state = 'waits')),
    PRIMARY KEY (purchase_id, account_id, environment, endpoint_id, event)
) {{clustered}};
CREATE INDEX webhooks_due ON webhooks (due_at, purchase_id, sequence) WHERE due_at IS NOT NULL;
CREATE INDEX webhooks_of_account ON webhooks (account_id, at);

-- Tries that were not taken, and those before a replay.
CREATE TABLE webhook_tries (
    purchase_id BIGINT NOT NULL,
    account_id  BIGINT NOT NULL,
    environment TEXT   NOT NULL,
    endpoint_id BIGINT NOT NULL,
    event       TEXT   NOT NULL,
    at          BIGINT NOT NULL,
    verdict     TEXT   NOT NULL,
    status      BIGINT,
    took_ms     BIGINT NOT NULL,
    says        TEXT   NOT NULL,
    PRIMARY KEY (purchase_id, account_id, environment, endpoint_id, event, at)
) {{clustered}};
