-- Logins of the pages: their sessions, second factors, and the codes that let somebody in.

-- Live purchases need an approved account. Who was here before is.
ALTER TABLE accounts ADD COLUMN approved_at BIGINT;
UPDATE accounts SET approved_at = opened_at;

ALTER TABLE users ADD COLUMN confirmed_at BIGINT;
ALTER TABLE users ADD COLUMN language TEXT NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'bn'));
UPDATE users SET confirmed_at = created_at;
UPDATE users SET role = 'owner' WHERE role = 'admin';

-- Where a session was opened; when it last showed its second factor; the browser and its address.
ALTER TABLE sessions ADD COLUMN door TEXT NOT NULL DEFAULT 'api'
    CHECK (door IN ('api', 'dashboard', 'admin'));
ALTER TABLE sessions ADD COLUMN proved_at BIGINT;
ALTER TABLE sessions ADD COLUMN agent TEXT;
ALTER TABLE sessions ADD COLUMN address TEXT;

-- A second factor counts once it is confirmed. A time step is used once.
CREATE TABLE second_factors (
    user_id      BIGINT NOT NULL REFERENCES users (id),
    kind         TEXT   NOT NULL CHECK (kind IN ('totp')),
    sealed       BYTEA  NOT NULL,
    last_step    BIGINT NOT NULL,
    made_at      BIGINT NOT NULL,
    confirmed_at BIGINT,
    PRIMARY KEY (user_id, kind)
) {{clustered}};

-- Tags of recovery codes; each is used once.
CREATE TABLE recovery_codes (
    user_id BIGINT NOT NULL REFERENCES users (id),
    digest  BYTEA  NOT NULL CHECK (length(digest) = 32),
    used_at BIGINT,
    PRIMARY KEY (user_id, digest)
) {{clustered}};

-- Codes that a mail carries to one address: to confirm it, or to join an account with a role. The
-- first owner's is printed, for no address yet. Tags only; each is used once.
CREATE TABLE mail_codes (
    digest     BYTEA  NOT NULL CHECK (length(digest) = 32),
    purpose    TEXT   NOT NULL CHECK (purpose IN ('confirm', 'join', 'first_owner')),
    email      TEXT   NOT NULL,
    account_id BIGINT NOT NULL REFERENCES accounts (id),
    role       TEXT   NOT NULL,
    made_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    CHECK (expires_at > made_at),
    PRIMARY KEY (digest)
) {{clustered}};
CREATE INDEX mail_codes_of_account ON mail_codes (account_id, expires_at);
CREATE INDEX mail_codes_expire ON mail_codes (expires_at);

-- The secret keys of the sandbox, sealed, to be shown again in samples: they buy nothing. A live
-- secret is shown once and not kept.
CREATE TABLE key_secrets (
    key_id     BIGINT NOT NULL REFERENCES keys (id),
    account_id BIGINT NOT NULL REFERENCES accounts (id),
    sealed     BYTEA  NOT NULL,
    PRIMARY KEY (key_id)
) {{clustered}};
CREATE INDEX key_secrets_of_account ON key_secrets (account_id);
