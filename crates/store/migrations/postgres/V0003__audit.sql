-- The audit trail. In clear: what is needed to search and count, none of it personal by itself. Sealed in
-- body: network address, agent, concrete path and the kind's own fields, under the key of the account that
-- the event is about (body_subject), or under the audit epoch key where it is about nobody.
--
-- id is a UUIDv7 of the event's time, so that ordering and time ranges are ranges of the primary key.
--
-- The Merkle sequencer (its own issue, its own migration) will add a table of leaves. One leader gives
-- contiguous log indexes to the rows that it sees and that have no leaf yet. Index order is thus the order
-- in which rows become visible, not that of id: a transaction that commits late gets a later index, never a
-- hole. Nothing in this table changes for that.
CREATE TABLE audit_outbox (
  id UUID NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  kind TEXT NOT NULL,
  class_uid BIGINT NOT NULL,
  severity BIGINT NOT NULL,
  durability TEXT NOT NULL CHECK (durability IN ('critical', 'traffic')),
  outcome TEXT NOT NULL CHECK (outcome IN ('success', 'failure', 'denied')),
  account_id UUID,
  actor TEXT NOT NULL,
  request_id UUID,
  method TEXT,
  route TEXT,
  status BIGINT,
  address_index BYTEA,
  body BYTEA NOT NULL,
  body_subject UUID
);

CREATE INDEX audit_outbox_by_account ON audit_outbox (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX audit_outbox_by_kind ON audit_outbox (kind, id);
CREATE INDEX audit_outbox_by_request ON audit_outbox (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX audit_outbox_by_address ON audit_outbox (address_index, id) WHERE address_index IS NOT NULL;

-- What is about nobody has no owner and is seen by the system's scope only. Events are written in the
-- transaction of their change, whose scope may be the account's own.
ALTER TABLE audit_outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY audit_outbox_owner ON audit_outbox USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));
