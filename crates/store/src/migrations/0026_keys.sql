-- What a key pair may be used for (a JSON list; none: for all), until when, and who made it.
ALTER TABLE keys ADD COLUMN scopes TEXT;
ALTER TABLE keys ADD COLUMN expires_at BIGINT;
ALTER TABLE keys ADD COLUMN made_by TEXT;

-- When and from where a key pair was last used: noted now and then, and in a table of its own, so
-- that no key is read anew for it.
CREATE TABLE key_uses (
    key_id  BIGINT NOT NULL PRIMARY KEY REFERENCES keys (id),
    used_at BIGINT NOT NULL,
    address TEXT   NOT NULL
) {{clustered}};
