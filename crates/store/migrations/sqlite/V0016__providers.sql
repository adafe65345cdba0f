-- Accounts at other identity providers that sign in here. The key is (issuer, subject), never an address.
CREATE TABLE provider_link (
  link_id BLOB NOT NULL PRIMARY KEY CHECK (length(link_id) = 16),
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  -- The provider's id in the configuration at the time.
  provider TEXT NOT NULL,
  -- Blind index over issuer and subject.
  subject_index BLOB NOT NULL CHECK (length(subject_index) = 32),
  -- What the person knows that account by: an address or a name.
  label_sealed BLOB,
  created_at INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX provider_link_subject ON provider_link (subject_index);
CREATE INDEX provider_link_by_account ON provider_link (account_id, created_at);

-- One way to a provider and back, for one browser. What it needs to be finished is sealed.
CREATE TABLE provider_flow (
  -- SHA-256 of the state parameter.
  state_hash BLOB NOT NULL PRIMARY KEY CHECK (length(state_hash) = 32),
  flow_id BLOB NOT NULL CHECK (length(flow_id) = 16),
  provider TEXT NOT NULL,
  -- SHA-256 of the value in the browser's cookie.
  browser_hash BLOB NOT NULL CHECK (length(browser_hash) = 32),
  body_sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX provider_flow_age ON provider_flow (expires_at);
