-- The table gets the name that the code and the documents use. Its meaning stays: one row that every
-- commit updates with its writer's token and batch. A node's cached ledger state is valid while this
-- row still carries its token.
ALTER TABLE pen RENAME TO last_commit;
ALTER TABLE last_commit RENAME COLUMN nib TO id;
ALTER TABLE last_commit RENAME CONSTRAINT pen_pkey TO last_commit_pkey;
ALTER TABLE last_commit RENAME CONSTRAINT pen_nib_check TO last_commit_id_check;
