-- Uses stand as runs now, each with how many tokens came before its first one, and no hashes (decision 15). What was used
-- in the last seconds before the update is forgotten: all nodes are stopped for it.
ALTER TABLE refresh_family DROP COLUMN uses;
ALTER TABLE refresh_family ADD COLUMN uses BLOB NOT NULL DEFAULT X'';
