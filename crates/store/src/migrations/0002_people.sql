-- The logins of consumers. What is secret is not here: passwords are hashes, one-time codes and
-- places are tags made with a key of the vault, push tokens are sealed. A login's tables have its
-- account in their key, as all that grow.

ALTER TABLE users ADD COLUMN mobile TEXT;
ALTER TABLE users ADD COLUMN name TEXT;
ALTER TABLE users ADD COLUMN is_active BIGINT NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1));
UPDATE users SET email = lower(trim(email)) WHERE email <> lower(trim(email));
-- However an address is written, it is one login's.
CREATE UNIQUE INDEX users_email_in_any_case ON users (lower(trim(email)));
CREATE INDEX users_of_account ON users (account_id);

CREATE TABLE sessions (
    id          BIGINT NOT NULL,
    account_id  BIGINT NOT NULL REFERENCES accounts (id),
    user_id     BIGINT NOT NULL REFERENCES users (id),
    environment TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    device_id   BIGINT,
    opened_at   BIGINT NOT NULL,
    ends_at     BIGINT NOT NULL,
    revoked_at  BIGINT,
    CHECK (ends_at > opened_at),
    PRIMARY KEY (id, account_id)
) {{clustered}};
CREATE INDEX sessions_of_user ON sessions (user_id, id);

-- Where a login wants to be told things. A device is one login's: who logged in on it last.
CREATE TABLE devices (
    id         BIGINT NOT NULL,
    account_id BIGINT NOT NULL REFERENCES accounts (id),
    user_id    BIGINT NOT NULL REFERENCES users (id),
    mark       BYTEA  NOT NULL CHECK (length(mark) = 32),
    sealed     BYTEA  NOT NULL,
    seen_at    BIGINT NOT NULL,
    CONSTRAINT devices_one_of_user UNIQUE (user_id, mark),
    PRIMARY KEY (id, account_id)
) {{clustered}};
CREATE INDEX devices_of_account ON devices (account_id);
CREATE INDEX devices_marks ON devices (mark);

-- Marks of the devices that a login was opened on.
CREATE TABLE places (
    user_id    BIGINT NOT NULL REFERENCES users (id),
    account_id BIGINT NOT NULL REFERENCES accounts (id),
    mark       BYTEA  NOT NULL CHECK (length(mark) = 32),
    seen_at    BIGINT NOT NULL,
    PRIMARY KEY (user_id, account_id, mark)
) {{clustered}};

-- One-time codes: a few of a purpose and an address, the newest. What a sign-up waits with is wiped
-- when a code of its address is used.
CREATE TABLE codes (
    purpose       TEXT   NOT NULL CHECK (purpose IN ('sign_up', 'reset')),
    email         TEXT   NOT NULL CHECK (email <> ''),
    digest        BYTEA  NOT NULL CHECK (length(digest) = 32),
    name          TEXT,
    mobile        TEXT,
    password_hash TEXT,
    made_at       BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    tries         BIGINT NOT NULL CHECK (tries BETWEEN 0 AND 50),
    used_at       BIGINT,
    CHECK (expires_at > made_at),
    CHECK ((purpose = 'sign_up' AND used_at IS NULL) = (password_hash IS NOT NULL)),
    PRIMARY KEY (purpose, email, digest)
) {{clustered}};
CREATE INDEX codes_expire ON codes (expires_at);
CREATE INDEX codes_made ON codes (made_at);
