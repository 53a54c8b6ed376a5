-- Webhooks that somebody has sent again: which ones, how far, how many. A worker goes on from the
-- place, so a restart loses nothing and sends nothing twice. The id is the moment it was asked for.
CREATE TABLE webhook_replays (
    account_id     BIGINT NOT NULL REFERENCES accounts (id),
    environment    TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    id             BIGINT NOT NULL,
    state          TEXT   NOT NULL,
    event          TEXT   NOT NULL,
    endpoint_id    BIGINT,
    since          BIGINT NOT NULL,
    place_at       BIGINT NOT NULL,
    place_purchase BIGINT NOT NULL,
    place_endpoint BIGINT NOT NULL,
    place_event    TEXT   NOT NULL,
    sent           BIGINT NOT NULL CHECK (sent >= 0),
    sent_max       BIGINT NOT NULL CHECK (sent_max > 0),
    ended_at       BIGINT,
    PRIMARY KEY (account_id, environment, id)
) {{clustered}};
-- One at a time of an account and environment.
CREATE UNIQUE INDEX webhook_replays_open ON webhook_replays (account_id, environment) WHERE ended_at IS NULL;
