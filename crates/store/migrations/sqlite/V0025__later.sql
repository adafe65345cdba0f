-- later: traffic of a moment in which requests come faster than the log can be written. It waits here until there is
-- time, and what somebody waits for overtakes it. The column stands before the events, which may be long.
CREATE TABLE audit_outbox_new (
  seq INTEGER NOT NULL PRIMARY KEY,
  account_id BLOB,
  later INTEGER NOT NULL DEFAULT 0 CHECK (later IN (0, 1)),
  events BLOB NOT NULL
) STRICT;
INSERT INTO audit_outbox_new (seq, account_id, events) SELECT seq, account_id, events FROM audit_outbox;
DROP TABLE audit_outbox;
ALTER TABLE audit_outbox_new RENAME TO audit_outbox;
CREATE INDEX audit_outbox_next ON audit_outbox (seq) WHERE NOT later;
