-- What a device must still be told about a purchase: written with the event, one row a device, gone
-- when it is done.
CREATE TABLE pushes (
    purchase_id BIGINT NOT NULL,
    account_id  BIGINT NOT NULL,
    environment TEXT   NOT NULL,
    sequence    BIGINT NOT NULL,
    device_id   BIGINT NOT NULL,
    due_at      BIGINT NOT NULL,
    tries       BIGINT NOT NULL CHECK (tries >= 0),
    epoch       BIGINT NOT NULL CHECK (epoch >= 0),
    PRIMARY KEY (purchase_id, account_id, environment, sequence, device_id),
    FOREIGN KEY (purchase_id, account_id, environment, sequence) REFERENCES events (purchase_id, account_id, environment, sequence)
) {{clustered}};
CREATE INDEX pushes_due ON pushes (due_at);
