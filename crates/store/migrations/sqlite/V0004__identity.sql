-- Accounts, sessions, refresh tokens, one-time links and the mail outbox. E-mail addresses, names,
-- agents, network addresses and messages are sealed under the account's own key.

-- A person. 'pending' is one attempt to register; an address may have several, of which at most one
-- becomes 'active'.
CREATE TABLE account (
  account_id BLOB NOT NULL PRIMARY KEY CHECK (length(account_id) = 16),
  username TEXT NOT NULL,
  email_sealed BLOB NOT NULL,
  email_index BLOB NOT NULL CHECK (length(email_index) = 32),
  full_name_sealed BLOB,
  -- A PHC string. Imported hashes have no pepper.
  password TEXT NOT NULL,
  pepper_epoch INTEGER,
  role TEXT NOT NULL,
  tier TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('pending', 'active', 'disabled')),
  -- The password must be changed before the next sign-in.
  compromised INTEGER NOT NULL CHECK (compromised IN (0, 1)),
  -- A session of another epoch is over, whatever else its row says.
  epoch INTEGER NOT NULL CHECK (epoch >= 1),
  created_at INTEGER NOT NULL,
  verified_at INTEGER,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX account_username_taken ON account (username) WHERE status <> 'pending';
CREATE UNIQUE INDEX account_email_taken ON account (email_index) WHERE status <> 'pending';
CREATE INDEX account_email_pending ON account (email_index, created_at) WHERE status = 'pending';
CREATE INDEX account_username_pending ON account (username, created_at) WHERE status = 'pending';
CREATE INDEX account_pending_age ON account (created_at) WHERE status = 'pending';
CREATE INDEX account_operators ON account (account_id) WHERE role = 'super_admin' AND status = 'active';

-- A signed-in browser or client.
CREATE TABLE session (
  session_id BLOB NOT NULL PRIMARY KEY CHECK (length(session_id) = 16),
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('browser', 'token')),
  -- The account's epoch at sign-in.
  epoch INTEGER NOT NULL,
  -- For whom its access tokens are; NULL is our own gateway.
  audience TEXT,
  -- SHA-256 of the cookie's random value.
  cookie_hash BLOB CHECK (length(cookie_hash) = 32),
  created_at INTEGER NOT NULL,
  authenticated_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER,
  name_sealed BLOB,
  agent_sealed BLOB,
  address_sealed BLOB,
  CHECK ((kind = 'browser') = (cookie_hash IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX session_by_cookie ON session (cookie_hash) WHERE cookie_hash IS NOT NULL;
CREATE INDEX session_by_account ON session (account_id, created_at);
CREATE INDEX session_age ON session (expires_at);

-- Refresh tokens; those of one session are one family.
CREATE TABLE refresh_token (
  -- SHA-256 of the token.
  token_hash BLOB NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  session_id BLOB NOT NULL REFERENCES session (session_id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER,
  -- Which epoch key derived the successor.
  successor_epoch INTEGER,
  CHECK ((used_at IS NULL) = (successor_epoch IS NULL))
) STRICT;
CREATE INDEX refresh_token_by_session ON refresh_token (session_id);
CREATE INDEX refresh_token_by_account ON refresh_token (account_id);
CREATE INDEX refresh_token_age ON refresh_token (expires_at);

-- Single-use links. Set-up links belong to nobody yet.
CREATE TABLE one_time_code (
  -- SHA-256 of the code.
  code_hash BLOB NOT NULL PRIMARY KEY CHECK (length(code_hash) = 32),
  purpose TEXT NOT NULL CHECK (purpose IN ('verify', 'reset', 'setup')),
  account_id BLOB REFERENCES account (account_id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT;
CREATE INDEX one_time_code_by_account ON one_time_code (account_id);
CREATE INDEX one_time_code_age ON one_time_code (expires_at);

-- Messages. The body goes once it is delivered.
CREATE TABLE mail (
  mail_id BLOB NOT NULL PRIMARY KEY CHECK (length(mail_id) = 16),
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  body_sealed BLOB,
  state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'failed')),
  attempts INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  delivered_at INTEGER,
  CHECK ((state = 'queued') = (body_sealed IS NOT NULL))
) STRICT;
CREATE INDEX mail_by_account ON mail (account_id);
CREATE INDEX mail_age ON mail (created_at);

-- How many messages a stranger has caused to an address within the window.
CREATE TABLE mail_budget (
  address_index BLOB NOT NULL CHECK (length(address_index) = 32),
  kind TEXT NOT NULL,
  window_start INTEGER NOT NULL,
  sent INTEGER NOT NULL,
  PRIMARY KEY (address_index, kind)
) STRICT;
CREATE INDEX mail_budget_age ON mail_budget (window_start);
