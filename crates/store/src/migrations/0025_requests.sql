-- The latest requests of an account to the billing API, for its own people: some days of them, and
-- no more than a bounded number of rows an account. Bodies are stored without secrets. The id is
-- the moment in microseconds.
CREATE TABLE requests (
    account_id  BIGINT NOT NULL REFERENCES accounts (id),
    environment TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    id          BIGINT NOT NULL,
    key_id      BIGINT,
    address     TEXT   NOT NULL,
    method      TEXT   NOT NULL,
    path        TEXT   NOT NULL,
    query       TEXT   NOT NULL,
    status      BIGINT NOT NULL CHECK (status BETWEEN 100 AND 999),
    code        TEXT   NOT NULL,
    took_us     BIGINT NOT NULL CHECK (took_us >= 0),
    sent        TEXT   NOT NULL,
    answered    TEXT   NOT NULL,
    PRIMARY KEY (account_id, environment, id)
) {{clustered}};
CREATE INDEX requests_by_time ON requests (id);
