-- Which run has leased a push: a run that is not alive any more loses it before the lease ends.
ALTER TABLE pushes ADD COLUMN run BIGINT;
