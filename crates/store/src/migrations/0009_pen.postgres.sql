-- Who wrote last: the writer's token and its batch, in one row that every commit updates. What a node
-- remembers of the ledger is good as long as the pen is still its own.
CREATE TABLE pen (
    nib   BIGINT PRIMARY KEY CHECK (nib = 1),
    token TEXT   NOT NULL,
    batch BIGINT NOT NULL
) WITH (fillfactor = 20);
INSERT INTO pen VALUES (1, '', 0);

-- A statement of the writer's that changed other rows than it must: the Tx fails, and its COMMIT, which
-- is on its way already, is a roll-back. SF001: its run was taken over, and its row of writers is gone.
CREATE FUNCTION refuse_count(changed TEXT, found BIGINT, wanted BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = CASE changed WHEN 'writers' THEN 'SF001' ELSE 'SC001' END,
        MESSAGE = format('a statement changed %s rows of %s instead of %s', found, changed, wanted);
END $$;
