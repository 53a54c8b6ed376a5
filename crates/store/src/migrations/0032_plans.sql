-- On which terms plans are sold: calls a minute (of a plan that is agreed with each account: where nothing else
-- is said), and what a month costs, in minor units of each currency in which it is sold.
CREATE TABLE plans (
    code       TEXT   NOT NULL PRIMARY KEY CHECK (code IN ('starter', 'business', 'enterprise')),
    per_minute BIGINT NOT NULL CHECK (per_minute > 0)
) {{clustered}};
INSERT INTO plans (code, per_minute) VALUES ('starter', 60);
INSERT INTO plans (code, per_minute) VALUES ('business', 120);
INSERT INTO plans (code, per_minute) VALUES ('enterprise', 600);

CREATE TABLE plan_prices (
    plan     TEXT   NOT NULL REFERENCES plans (code),
    currency TEXT   NOT NULL CHECK (length(currency) = 3),
    a_month  BIGINT NOT NULL CHECK (a_month > 0),
    PRIMARY KEY (plan, currency)
) {{clustered}};
