-- Who did what: one row for each act of a person or of somebody on the command line, written in the
-- commit of the act. Rows are only added.
CREATE TABLE acts (
    seq        BIGINT NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    done_by    TEXT   NOT NULL,
    act        TEXT   NOT NULL,
    object     TEXT   NOT NULL,
    before     TEXT,
    after      TEXT
) {{clustered}};
CREATE INDEX acts_object ON acts (object, seq);
