-- Who reads the log behind everybody's back: one row for each sink and one for the alerts. It holds how far
-- the reader has come, which node does the reading, and how it is doing. Nothing personal, hence no owner:
-- last_error is our own sentence, state is sealed.
CREATE TABLE sink_cursor (
  name TEXT NOT NULL PRIMARY KEY,
  -- The first index of the log that is not settled yet.
  next_index BIGINT NOT NULL,
  -- Size of the newest signed checkpoint that was sent.
  checkpoint_size BIGINT NOT NULL,
  -- Which process reads, and until when nobody else may.
  holder UUID,
  held_until BIGINT NOT NULL,
  sent BIGINT NOT NULL,
  skipped BIGINT NOT NULL,
  last_sent_at BIGINT,
  failing_since BIGINT,
  -- Whether the trail says already that it fails.
  reported BIGINT NOT NULL,
  last_error TEXT,
  -- The alerts' open windows.
  state BYTEA
);

-- An incident: what a rule saw in one group (an account, an address, everybody). group_index is a keyed
-- fingerprint of the group; its name and the rest of what may be personal is sealed in body.
CREATE TABLE alert (
  alert_id UUID NOT NULL PRIMARY KEY,
  rule TEXT NOT NULL,
  group_index BYTEA NOT NULL CHECK (octet_length(group_index) = 32),
  account_id UUID,
  severity BIGINT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'closed')),
  opened_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  seen BIGINT NOT NULL,
  first_index BIGINT NOT NULL,
  last_index BIGINT NOT NULL,
  body BYTEA NOT NULL,
  handled_by TEXT,
  handled_at BIGINT
);
CREATE INDEX alert_by_state ON alert (state, alert_id);
CREATE INDEX alert_by_account ON alert (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX alert_age ON alert (last_seen_at);

-- To whom an alert goes, and whether it got there. Written in the transaction that opens the alert.
CREATE TABLE alert_delivery (
  alert_id UUID NOT NULL REFERENCES alert (alert_id) ON DELETE CASCADE,
  channel TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed', 'held back')),
  attempts BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  delivered_at BIGINT,
  last_error TEXT,
  PRIMARY KEY (alert_id, channel)
);
CREATE INDEX alert_delivery_due ON alert_delivery (due_at) WHERE state = 'waiting';

-- An alert about nobody is seen by the system's scope only.
ALTER TABLE alert ENABLE ROW LEVEL SECURITY;
ALTER TABLE alert FORCE ROW LEVEL SECURITY;
CREATE POLICY alert_owner ON alert USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));
