-- What happens to the same sale again (CONTRACT A-42).
ALTER TABLE accounts ADD COLUMN duplicates TEXT NOT NULL DEFAULT 'mark'
    CHECK (duplicates IN ('off', 'mark', 'refuse'));

-- What has no route is refused from this version on; mobile banking of the sandbox was left to staff.
INSERT INTO routes (id, environment, operator, kind, recipient_ends, upstreams, needs_approval)
SELECT 4, 'sandbox', NULL, 'banking', NULL, '["simulator-a","simulator-b"]', 1
WHERE EXISTS (SELECT 1 FROM countries WHERE code = 'BD') AND NOT EXISTS (SELECT 1 FROM routes WHERE id = 4);
