-- A route may hold for one product, by its name, or for one account.
ALTER TABLE routes ADD COLUMN product TEXT;
ALTER TABLE routes ADD COLUMN account_id BIGINT;
