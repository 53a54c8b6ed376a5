-- The nodes that work with this database, one row a run: from when a process joins until it leaves or
-- loses its lease. Whoever has no row cannot commit. In a data folder there is one process, unlisted: run 0.
CREATE TABLE nodes (
    run         BIGINT NOT NULL PRIMARY KEY,
    number      BIGINT NOT NULL UNIQUE CHECK (number BETWEEN 0 AND 31),
    lease_until BIGINT NOT NULL
) {{table}};

-- Which run does, or did last, what a purchase owes: what a run left that is not there any more is taken over.
ALTER TABLE jobs ADD COLUMN run BIGINT NOT NULL DEFAULT 0;

-- What every node must know of soon, and how often it has changed.
CREATE TABLE news (
    topic    TEXT   NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL
) {{table}};
INSERT INTO news (topic, revision) VALUES ('catalog', 0);
INSERT INTO news (topic, revision) VALUES ('halt', 0);
INSERT INTO news (topic, revision) VALUES ('keys', 0);

-- Calls of the last minute of each account, counted over all nodes: sixty counts by the second, the last
-- of them at at_s. (One process counts by itself.)
CREATE TABLE calls (
    account_id  BIGINT NOT NULL,
    environment TEXT   NOT NULL,
    at_s        BIGINT NOT NULL,
    slots       BYTEA  NOT NULL CHECK (length(slots) = 240),
    PRIMARY KEY (account_id, environment)
) {{clustered}};
