-- The upstreams that staff have set up. A removed one keeps its row: an order that it still has is asked
-- about. The secrets are sealed as a whole; their names are in clear.
CREATE TABLE upstreams (
    code           TEXT   NOT NULL PRIMARY KEY CHECK (code <> ''),
    kind           TEXT   NOT NULL,
    environment    TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    url            TEXT   NOT NULL,
    hosts          TEXT   NOT NULL,
    settings       TEXT   NOT NULL,
    maps           TEXT   NOT NULL,
    secret_names   TEXT   NOT NULL,
    secrets        BYTEA  NOT NULL,
    calls_at_once  BIGINT CHECK (calls_at_once > 0),
    float_currency TEXT   CHECK (length(float_currency) = 3),
    float_alert    BIGINT CHECK (float_alert >= 0),
    float_stop     BIGINT CHECK (float_stop >= 0),
    paused         TEXT,
    account_since  BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    removed_at     BIGINT,
    revision       BIGINT NOT NULL
) {{clustered}};

-- What an upstream last said about our prepaid balance there, and what ours was then.
CREATE TABLE upstream_balances (
    code           TEXT   NOT NULL PRIMARY KEY,
    currency       TEXT   NOT NULL CHECK (length(currency) = 3),
    balance        BIGINT NOT NULL,
    ours           BIGINT NOT NULL,
    reported_at      BIGINT NOT NULL
) {{clustered}};

-- When an upstream was last asked for its balance, and at which level its float was last found.
CREATE TABLE upstream_watch (
    code           TEXT   NOT NULL PRIMARY KEY,
    asked_at       BIGINT NOT NULL,
    level          TEXT   NOT NULL
) {{clustered}};

-- The floats that were ever paid into: of those our own count is known.
CREATE TABLE upstream_floats (
    code           TEXT   NOT NULL,
    currency       TEXT   NOT NULL CHECK (length(currency) = 3),
    PRIMARY KEY (code, currency)
) {{clustered}};

-- What was spent at an upstream in an hour (counted from 1970), for the forecast.
CREATE TABLE upstream_hours (
    code           TEXT   NOT NULL,
    currency       TEXT   NOT NULL CHECK (length(currency) = 3),
    hour           BIGINT NOT NULL,
    spent          BIGINT NOT NULL,
    PRIMARY KEY (code, currency, hour)
) {{clustered}};

-- Why an attempt went where it went: the candidates before it, and what each was passed over for (JSON).
ALTER TABLE attempts ADD COLUMN passed_over TEXT;
-- What the upstream took for it, if it said so.
ALTER TABLE attempts ADD COLUMN cost_currency TEXT;
ALTER TABLE attempts ADD COLUMN cost BIGINT;
