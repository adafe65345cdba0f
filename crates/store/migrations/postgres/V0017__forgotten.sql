-- What is left to do after an erasure, and how those are who are asked about the log.

-- People whose keys were destroyed and whose ids still have to go from the search's columns (audit_event, audit_body).
-- The row goes a while after the last of them: until then events about them may still arrive.
CREATE TABLE audit_forget (
  account_id UUID NOT NULL PRIMARY KEY,
  since BIGINT NOT NULL,
  next_at BIGINT NOT NULL
);
CREATE INDEX audit_forget_due ON audit_forget (next_at);
ALTER TABLE audit_forget ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_forget FORCE ROW LEVEL SECURITY;
CREATE POLICY audit_forget_owner ON audit_forget USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- Written over what was freed, then freed again (audit's `forget.rs`); it is always empty.
CREATE TABLE audit_scrub (
  filler BYTEA NOT NULL
);

-- Since when a source fails, or a witness says that the log is another one.
ALTER TABLE audit_evidence_source ADD COLUMN failing_since BIGINT;
ALTER TABLE audit_evidence_source ADD COLUMN disputed BOOLEAN NOT NULL DEFAULT FALSE;
