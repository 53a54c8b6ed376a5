-- How many refusals of an upstream staff have confirmed since its settings were last changed.
CREATE TABLE upstream_refusals (
    code      TEXT   NOT NULL PRIMARY KEY,
    confirmed BIGINT NOT NULL CHECK (confirmed > 0)
) {{clustered}};
