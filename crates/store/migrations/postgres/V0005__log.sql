-- The Merkle log. An event is made durable in the outbox, one row without any index for all events of one
-- transaction; the sequencer takes it from there, gives it the next index of the log, and writes it to
-- audit_event together with the tree that contains it. Nothing was ever released with the earlier outbox.
DROP TABLE audit_outbox;

-- events: one or several sealed events in the form of audit's `packed.rs`, with their leaves. account_id is
-- whose transaction appended it; null for what the program itself writes.
CREATE TABLE audit_outbox (
  seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id UUID,
  events BYTEA NOT NULL
);
ALTER TABLE audit_outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY audit_outbox_owner ON audit_outbox USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- The log, one row per leaf. leaf: the bytes under the tree's hash, nothing personal. body: what is personal,
-- sealed under the key of the account that the event is about, or under the audit epoch key where it is about
-- nobody. The columns repeat parts of the leaf for the search; account_id, actor and address_index are not part
-- of it. bodies: how many there are, the further ones in audit_body. id is a UUIDv7 of the event's time, so that a range of time is a range of ids.
CREATE TABLE audit_event (
  idx BIGINT NOT NULL PRIMARY KEY,
  id UUID NOT NULL,
  at BIGINT NOT NULL,
  kind TEXT NOT NULL,
  severity BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  account_id UUID,
  actor TEXT NOT NULL,
  request_id UUID,
  method TEXT,
  route TEXT,
  status BIGINT,
  address_index BYTEA,
  bodies BIGINT NOT NULL,
  leaf BYTEA NOT NULL,
  body BYTEA NOT NULL
);
CREATE UNIQUE INDEX audit_event_by_id ON audit_event (id);
CREATE INDEX audit_event_by_account ON audit_event (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX audit_event_by_kind ON audit_event (kind, id);
CREATE INDEX audit_event_by_request ON audit_event (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX audit_event_by_address ON audit_event (address_index, id) WHERE address_index IS NOT NULL;

-- Further people whom an event is about (an operator who acts on an account): one sealed body each.
CREATE TABLE audit_body (
  idx BIGINT NOT NULL,
  slot BIGINT NOT NULL,
  id UUID NOT NULL,
  account_id UUID NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (idx, slot)
);
CREATE INDEX audit_body_by_account ON audit_body (account_id, id);
ALTER TABLE audit_body ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_body FORCE ROW LEVEL SECURITY;
CREATE POLICY audit_body_owner ON audit_body USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- Whoever has a body of their own in an event sees the event. What is about nobody is seen by the system only.
ALTER TABLE audit_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_event FORCE ROW LEVEL SECURITY;
CREATE POLICY audit_event_owner ON audit_event
  USING (fortissimo_scope(account_id) OR (bodies > 1 AND EXISTS (SELECT FROM audit_body AS b WHERE b.idx = audit_event.idx)))
  WITH CHECK (fortissimo_scope(account_id));

-- C2SP tlog-tiles: the hashes of one tile, 32 bytes each, as many as there are by now.
CREATE TABLE audit_tile (
  level BIGINT NOT NULL,
  number BIGINT NOT NULL,
  hashes BYTEA NOT NULL,
  PRIMARY KEY (level, number)
);

-- The newest tree head. Every batch moves it from the size that it found: of two nodes that sequence at once
-- only one gets through. leader: who moved it last; others step in when it stands still.
CREATE TABLE audit_tree (
  only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
  size BIGINT NOT NULL,
  root BYTEA NOT NULL,
  checkpoint TEXT NOT NULL,
  at BIGINT NOT NULL,
  leader BYTEA
);
-- The empty tree's root is SHA-256 of nothing (RFC 6962).
INSERT INTO audit_tree (only_row, size, root, checkpoint, at)
  VALUES (1, 0, '\xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '', 0);
