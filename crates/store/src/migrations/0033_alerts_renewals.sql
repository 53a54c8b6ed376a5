-- Below which amount an account is told that what a wallet can spend is low, and on which side of it the
-- balance was when that was last noted.
CREATE TABLE balance_alerts (
    account_id  BIGINT NOT NULL REFERENCES accounts (id),
    environment TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    currency    TEXT   NOT NULL CHECK (length(currency) = 3),
    below       BIGINT NOT NULL CHECK (below > 0),
    is_low      BIGINT NOT NULL CHECK (is_low IN (0, 1)),
    PRIMARY KEY (account_id, environment, currency)
) {{clustered}};

-- Whose plan is renewed by itself, from the live wallet in which currency.
CREATE TABLE plan_renewals (
    account_id BIGINT NOT NULL REFERENCES accounts (id),
    currency   TEXT   NOT NULL CHECK (length(currency) = 3),
    PRIMARY KEY (account_id)
) {{clustered}};
