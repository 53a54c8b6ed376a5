-- How far the orders of an upstream that have ended were asked about again, so many days after.
CREATE TABLE rechecks (
    code       TEXT   NOT NULL,
    days       BIGINT NOT NULL CHECK (days > 0),
    through_id BIGINT NOT NULL,
    PRIMARY KEY (code, days)
) {{clustered}};
