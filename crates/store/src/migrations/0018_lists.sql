-- Lists of an account's purchases, by operator and kind (a list over all of them merges those few
-- ranges), and by recipient.
CREATE INDEX purchases_lists ON purchases (account_id, environment, operator, kind, id);
CREATE INDEX purchases_of_recipient ON purchases (account_id, environment, recipient, id);
-- Whatever was not delivered, by account. Partial: a delivery pays nothing for it.
CREATE INDEX events_of_account ON events (account_id, environment, state, purchase_id) WHERE state <> 'delivered';
-- Statements of every account, whoever bought.
DROP INDEX journals_listed;
CREATE INDEX journals_of_account ON journals (account_id, environment, seq);
-- Webhooks that were not accepted, by account. Partial: one that is accepted pays nothing for it.
CREATE INDEX webhooks_not_accepted ON webhooks (account_id, environment, state, at) WHERE state = 'given_up' OR state = 'off';
