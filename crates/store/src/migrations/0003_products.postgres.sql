ALTER TABLE operators DROP CONSTRAINT operators_service_check;
ALTER TABLE prices DROP CONSTRAINT prices_kind_check;
ALTER TABLE routes DROP CONSTRAINT routes_kind_check;
ALTER TABLE purchases DROP CONSTRAINT purchases_kind_check;
ALTER TABLE purchases ADD COLUMN product TEXT;

-- What a login bought is listed latest first. Partial: whoever buys with keys pays nothing for it.
CREATE INDEX purchases_of_logins ON purchases (account_id, environment, id) WHERE key_id IS NULL;
