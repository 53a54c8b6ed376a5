-- Why an upstream is paused, as data: `paused` is for people. Who changed its file may not resume it.
ALTER TABLE upstreams ADD COLUMN paused_cause TEXT CHECK (paused_cause IN ('staff', 'float', 'new_file'));
ALTER TABLE upstreams ADD COLUMN paused_by TEXT;

-- Until now both stood at the beginning of the text.
UPDATE upstreams SET paused_cause = 'new_file', paused_by = substr(paused, 15)
    WHERE paused LIKE 'a new file by %';
UPDATE upstreams SET paused_cause = 'float' WHERE paused LIKE 'float: %';
UPDATE upstreams SET paused_cause = 'staff' WHERE paused IS NOT NULL AND paused_cause IS NULL;
