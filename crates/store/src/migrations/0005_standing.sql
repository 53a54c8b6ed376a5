-- From when to when nothing was sent upstream, why, and who let it go on: a line each, for ever.
CREATE TABLE halts (
    seq      BIGINT NOT NULL PRIMARY KEY,
    begun_at BIGINT NOT NULL,
    why      TEXT   NOT NULL,
    ended_at BIGINT,
    ended_by TEXT,
    evidence TEXT,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL) AND (ended_at IS NULL) = (evidence IS NULL))
) {{table}};
