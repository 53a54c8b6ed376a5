-- When an account's commission in a currency is paid out by itself: once a day at most, if so much is there.
CREATE TABLE commission_rules (
    account_id BIGINT NOT NULL REFERENCES accounts (id),
    currency   TEXT   NOT NULL CHECK (length(currency) = 3),
    least      BIGINT NOT NULL CHECK (least > 0),
    PRIMARY KEY (account_id, currency)
) {{clustered}};

-- The first day of a subscription, from which its months are counted; none: from its end.
ALTER TABLE accounts ADD COLUMN subscribed_since BIGINT;
