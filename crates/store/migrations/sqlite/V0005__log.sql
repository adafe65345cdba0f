-- The Merkle log. An event is made durable in the outbox, one row without any index for all events of one
-- transaction; the sequencer takes it from there, gives it the next index of the log, and writes it to
-- audit_event together with the tree that contains it. Nothing was ever released with the earlier outbox.
DROP TABLE audit_outbox;

-- events: one or several sealed events in the form of audit's `packed.rs`, with their leaves. account_id is
-- whose transaction appended it; null for what the program itself writes.
CREATE TABLE audit_outbox (
  seq INTEGER NOT NULL PRIMARY KEY,
  account_id BLOB,
  events BLOB NOT NULL
) STRICT;

-- The log, one row per leaf. leaf: the bytes under the tree's hash, nothing personal. body: what is personal,
-- sealed under the key of the account that the event is about, or under the audit epoch key where it is about
-- nobody. The columns repeat parts of the leaf for the search; account_id, actor and address_index are not part
-- of it. bodies: how many there are, the further ones in audit_body. id is a UUIDv7 of the event's time, so that a range of time is a range of ids.
CREATE TABLE audit_event (
  idx INTEGER NOT NULL PRIMARY KEY,
  id BLOB NOT NULL CHECK (length(id) = 16),
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  severity INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  account_id BLOB,
  actor TEXT NOT NULL,
  request_id BLOB,
  method TEXT,
  route TEXT,
  status INTEGER,
  address_index BLOB,
  bodies INTEGER NOT NULL,
  leaf BLOB NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX audit_event_by_id ON audit_event (id);
CREATE INDEX audit_event_by_account ON audit_event (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX audit_event_by_kind ON audit_event (kind, id);
CREATE INDEX audit_event_by_request ON audit_event (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX audit_event_by_address ON audit_event (address_index, id) WHERE address_index IS NOT NULL;

-- Further people whom an event is about (an operator who acts on an account): one sealed body each.
CREATE TABLE audit_body (
  idx INTEGER NOT NULL,
  slot INTEGER NOT NULL,
  id BLOB NOT NULL,
  account_id BLOB NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (idx, slot)
) STRICT;
CREATE INDEX audit_body_by_account ON audit_body (account_id, id);

-- C2SP tlog-tiles: the hashes of one tile, 32 bytes each, as many as there are by now.
CREATE TABLE audit_tile (
  level INTEGER NOT NULL,
  number INTEGER NOT NULL,
  hashes BLOB NOT NULL,
  PRIMARY KEY (level, number)
) STRICT;

-- The newest tree head. Every batch moves it from the size that it found: of two nodes that sequence at once
-- only one gets through. leader: who moved it last; others step in when it stands still.
CREATE TABLE audit_tree (
  only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  checkpoint TEXT NOT NULL,
  at INTEGER NOT NULL,
  leader BLOB
) STRICT;
-- The empty tree's root is SHA-256 of nothing (RFC 6962).
INSERT INTO audit_tree (only_row, size, root, checkpoint, at)
  VALUES (1, 0, X'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '', 0);
