-- What is left to do after an erasure, and how those are who are asked about the log.

-- People whose keys were destroyed and whose ids still have to go from the search's columns (audit_event, audit_body).
-- The row goes a while after the last of them: until then events about them may still arrive.
CREATE TABLE audit_forget (
  account_id BLOB NOT NULL PRIMARY KEY CHECK (length(account_id) = 16),
  since INTEGER NOT NULL,
  next_at INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_forget_due ON audit_forget (next_at);

-- Written over what was freed, then freed again (audit's `forget.rs`); it is always empty.
CREATE TABLE audit_scrub (
  filler BLOB NOT NULL
) STRICT;

-- Since when a source fails, or a witness says that the log is another one.
ALTER TABLE audit_evidence_source ADD COLUMN failing_since INTEGER;
ALTER TABLE audit_evidence_source ADD COLUMN disputed INTEGER NOT NULL DEFAULT 0 CHECK (disputed IN (0, 1));
