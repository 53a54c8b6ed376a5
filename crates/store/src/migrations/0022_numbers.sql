-- The last number of each kind that was given, over all nodes.
CREATE TABLE sequences (
    name TEXT   NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL CHECK (last >= 0)
) {{table}};

-- Which number of purchases each day began with: from a number to the day, and so to the id.
CREATE TABLE purchase_days (
    day          BIGINT NOT NULL PRIMARY KEY,
    first_number BIGINT NOT NULL UNIQUE
) {{table}};

-- Ids of before are above 2^31 and stay as they are; the house is account 1.
INSERT INTO sequences (name, last) SELECT 'purchase', coalesce(max(id), 0) FROM purchases WHERE id < 2147483648;
INSERT INTO sequences (name, last) SELECT 'account', coalesce(max(id), 1) FROM accounts WHERE id < 2147483648;
INSERT INTO sequences (name, last) SELECT 'key', coalesce(max(id), 0) FROM keys WHERE id < 2147483648;
INSERT INTO sequences (name, last) SELECT 'user', coalesce(max(id), 0) FROM users WHERE id < 2147483648;
INSERT INTO sequences (name, last) SELECT 'session', coalesce(max(id), 0) FROM sessions WHERE id < 2147483648;
INSERT INTO sequences (name, last) SELECT 'device', coalesce(max(id), 0) FROM devices WHERE id < 2147483648;
INSERT INTO sequences (name, last) SELECT 'endpoint', coalesce(max(id), 0) FROM endpoints WHERE id < 2147483648;

-- No number is given for a day before the last purchase, nor in a month that is closed.
INSERT INTO purchase_days (day, first_number)
    SELECT max(known.day), 1 + max(s.last) FROM sequences s, (
        SELECT ((max(id) >> 12) + 1767225600000) / 86400000 AS day FROM purchases
        UNION ALL SELECT ((max(ids_below) >> 12) + 1767225600000) / 86400000 FROM archives) AS known
    WHERE s.name = 'purchase' HAVING max(known.day) IS NOT NULL;
