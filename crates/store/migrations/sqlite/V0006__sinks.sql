-- Who reads the log behind everybody's back: one row for each sink and one for the alerts. It holds how far
-- the reader has come, which node does the reading, and how it is doing. Nothing personal, hence no owner:
-- last_error is our own sentence, state is sealed.
CREATE TABLE sink_cursor (
  name TEXT NOT NULL PRIMARY KEY,
  -- The first index of the log that is not settled yet.
  next_index INTEGER NOT NULL,
  -- Size of the newest signed checkpoint that was sent.
  checkpoint_size INTEGER NOT NULL,
  -- Which process reads, and until when nobody else may.
  holder BLOB,
  held_until INTEGER NOT NULL,
  sent INTEGER NOT NULL,
  skipped INTEGER NOT NULL,
  last_sent_at INTEGER,
  failing_since INTEGER,
  -- Whether the trail says already that it fails.
  reported INTEGER NOT NULL,
  last_error TEXT,
  -- The alerts' open windows.
  state BLOB
) STRICT;

-- An incident: what a rule saw in one group (an account, an address, everybody). group_index is a keyed
-- fingerprint of the group; its name and the rest of what may be personal is sealed in body.
CREATE TABLE alert (
  alert_id BLOB NOT NULL PRIMARY KEY CHECK (length(alert_id) = 16),
  rule TEXT NOT NULL,
  group_index BLOB NOT NULL CHECK (length(group_index) = 32),
  account_id BLOB,
  severity INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'closed')),
  opened_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  seen INTEGER NOT NULL,
  first_index INTEGER NOT NULL,
  last_index INTEGER NOT NULL,
  body BLOB NOT NULL,
  handled_by TEXT,
  handled_at INTEGER
) STRICT;
CREATE INDEX alert_by_state ON alert (state, alert_id);
CREATE INDEX alert_by_account ON alert (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX alert_age ON alert (last_seen_at);

-- To whom an alert goes, and whether it got there. Written in the transaction that opens the alert.
CREATE TABLE alert_delivery (
  alert_id BLOB NOT NULL REFERENCES alert (alert_id) ON DELETE CASCADE,
  channel TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed', 'held back')),
  attempts INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  delivered_at INTEGER,
  last_error TEXT,
  PRIMARY KEY (alert_id, channel)
) STRICT;
CREATE INDEX alert_delivery_due ON alert_delivery (due_at) WHERE state = 'waiting';
