-- Growth: the books are kept by months (UTC, 202604 for April 2026), and months that are closed can be
-- moved out. A journal's month never steps back along the chain, and is never before that of its
-- purchase's id: so a month is one piece of the chain, and nothing of a later month hangs on an
-- earlier one.
ALTER TABLE journals ADD COLUMN month BIGINT NOT NULL DEFAULT 0;
ALTER TABLE entries ADD COLUMN month BIGINT NOT NULL DEFAULT 0;

-- Months that were closed: nothing of them changes any more. Once `digest` is there, a file has the
-- month, whole and audited, and its rows may go. What is at or above `ids_below` was bought later.
CREATE TABLE archives (
    month         BIGINT PRIMARY KEY,
    ids_below     BIGINT NOT NULL,
    first_journal BIGINT NOT NULL,
    last_journal  BIGINT NOT NULL CHECK (last_journal >= first_journal - 1),
    hash_before   BYTEA  NOT NULL CHECK (length(hash_before) = 32),
    last_hash     BYTEA  NOT NULL CHECK (length(last_hash) = 32),
    closed_at     BIGINT NOT NULL,
    archived_at   BIGINT,
    file          TEXT,
    digest        BYTEA  CHECK (length(digest) = 32),
    journals      BIGINT,
    entries       BIGINT,
    purchases     BIGINT,
    CHECK ((digest IS NULL) = (archived_at IS NULL) AND (digest IS NULL) = (file IS NULL)
       AND (digest IS NULL) = (journals IS NULL) AND (digest IS NULL) = (entries IS NULL)
       AND (digest IS NULL) = (purchases IS NULL))
) {{table}};

-- What each ledger account held at the end of an archived month.
CREATE TABLE carried (
    month             BIGINT NOT NULL REFERENCES archives (month),
    ledger_account_id BIGINT NOT NULL REFERENCES ledger_accounts (id),
    balance           BIGINT NOT NULL,
    PRIMARY KEY (month, ledger_account_id)
) {{clustered}};

-- How many payments of an account were booked by the end of an archived month.
CREATE TABLE carried_payments (
    month       BIGINT NOT NULL REFERENCES archives (month),
    account_id  BIGINT NOT NULL REFERENCES accounts (id),
    environment TEXT   NOT NULL,
    payments    BIGINT NOT NULL,
    PRIMARY KEY (month, account_id, environment)
) {{clustered}};

-- What upstreams said about purchases that are archived: for staff. Whose they are is in the archive.
CREATE TABLE late_words (
    purchase_id        BIGINT NOT NULL,
    attempt            BIGINT NOT NULL,
    word               TEXT   NOT NULL,
    text               TEXT,
    upstream_reference TEXT,
    at                 BIGINT NOT NULL,
    closed_at          BIGINT,
    closed_by          TEXT,
    evidence           TEXT,
    CHECK ((closed_at IS NULL) = (closed_by IS NULL) AND (closed_at IS NULL) = (evidence IS NULL)),
    PRIMARY KEY (purchase_id, attempt, word)
) {{clustered}};
CREATE INDEX late_words_open ON late_words (at) WHERE closed_at IS NULL;

-- What staff look for is found whatever the history's size.
CREATE INDEX cases_open ON cases (opened_at) WHERE closed_at IS NULL;
CREATE INDEX events_but_deliveries ON events (state, purchase_id) WHERE state <> 'delivered';
