-- later: traffic of a moment in which requests come faster than the log can be written. It waits here until there is
-- time, and what somebody waits for overtakes it.
ALTER TABLE audit_outbox ADD COLUMN later BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX audit_outbox_next ON audit_outbox (seq) WHERE NOT later;
