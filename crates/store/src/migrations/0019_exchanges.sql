-- What was sent to an upstream about an attempt and what came back, short and without secrets: for
-- staff, for some weeks.
CREATE TABLE exchanges (
    purchase_number BIGINT NOT NULL,
    attempt     BIGINT NOT NULL,
    sent_at     BIGINT NOT NULL,
    upstream    TEXT   NOT NULL,
    step        TEXT   NOT NULL,
    request     TEXT   NOT NULL,
    reply       TEXT   NOT NULL,
    PRIMARY KEY (purchase_number, attempt, sent_at, step)
) {{clustered}};
CREATE INDEX exchanges_sent ON exchanges (sent_at);
