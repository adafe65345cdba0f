-- Accounts at other identity providers that sign in here. The key is (issuer, subject), never an address.
CREATE TABLE provider_link (
  link_id UUID NOT NULL PRIMARY KEY,
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  -- The provider's id in the configuration at the time.
  provider TEXT NOT NULL,
  -- Blind index over issuer and subject.
  subject_index BYTEA NOT NULL CHECK (octet_length(subject_index) = 32),
  -- What the person knows that account by: an address or a name.
  label_sealed BYTEA,
  created_at BIGINT NOT NULL,
  last_used_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX provider_link_subject ON provider_link (subject_index);
CREATE INDEX provider_link_by_account ON provider_link (account_id, created_at);

-- One way to a provider and back, for one browser. What it needs to be finished is sealed.
CREATE TABLE provider_flow (
  -- SHA-256 of the state parameter.
  state_hash BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(state_hash) = 32),
  flow_id UUID NOT NULL,
  provider TEXT NOT NULL,
  -- SHA-256 of the value in the browser's cookie.
  browser_hash BYTEA NOT NULL CHECK (octet_length(browser_hash) = 32),
  body_sealed BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX provider_flow_age ON provider_flow (expires_at);

ALTER TABLE provider_link ENABLE ROW LEVEL SECURITY;
ALTER TABLE provider_link FORCE ROW LEVEL SECURITY;
CREATE POLICY provider_link_owner ON provider_link USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));
