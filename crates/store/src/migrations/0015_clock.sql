-- Each time at which the installation's time did not pass but was moved, from one moment to another.
-- Rows are only added; the last ones say how much time passed between two moments.
CREATE TABLE clock_jumps (
    seq     BIGINT NOT NULL PRIMARY KEY,
    from_at BIGINT NOT NULL,
    to_at   BIGINT NOT NULL,
    CHECK (from_at <> to_at)
) {{clustered}};

-- One row: the installation's time, noted every few seconds while a node runs.
CREATE TABLE clock_notes (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    at BIGINT NOT NULL
) {{clustered}};
