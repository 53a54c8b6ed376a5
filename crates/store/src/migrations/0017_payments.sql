-- Payments into and out of wallets: a reference of money is used up in the whole house, for each rail and
-- environment, however it is typed. The journal's note names the reference, and the row names the journal.
CREATE TABLE payments (
    environment TEXT   NOT NULL CHECK (environment IN ('sandbox', 'live')),
    rail        TEXT   NOT NULL,
    reference   TEXT   NOT NULL,
    account_id  BIGINT NOT NULL REFERENCES accounts (id),
    journal_seq BIGINT,
    at          BIGINT NOT NULL,
    PRIMARY KEY (environment, rail, reference)
) {{clustered}};
CREATE UNIQUE INDEX payments_journal ON payments (journal_seq);
CREATE INDEX payments_of_account ON payments (account_id, at);

-- Those from before were unique for an account only, to the letter. The first of those that are now the
-- same has the reference; the others stay under it with a number behind a blank, which no new one has.
-- Their journals are known where no other payment of the account was booked at the same moment.
INSERT INTO payments (environment, rail, reference, account_id, journal_seq, at)
SELECT c.environment, 'manual', CASE c.place WHEN 1 THEN c.plain ELSE c.plain || ' ' || c.place END, c.account_id,
    CASE WHEN c.used = 1 AND j.booked = 1 THEN j.seq END, c.at
FROM (SELECT environment, account_id, at, upper(replace(reference, ' ', '')) AS plain,
          row_number() OVER (PARTITION BY environment, upper(replace(reference, ' ', ''))
              ORDER BY at, account_id, reference) AS place,
          count(*) OVER (PARTITION BY environment, account_id, at) AS used
      FROM claims WHERE space = 'desk') AS c
LEFT JOIN (SELECT account_id, environment, at, max(seq) AS seq, count(*) AS booked FROM journals
           WHERE purchase_id IS NULL GROUP BY account_id, environment, at) AS j
    ON j.account_id = c.account_id AND j.environment = c.environment AND j.at = c.at;
