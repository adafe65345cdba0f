-- Accounts, sessions, refresh tokens, one-time links and the mail outbox. E-mail addresses, names,
-- agents, network addresses and messages are sealed under the account's own key.

-- A person. 'pending' is one attempt to register; an address may have several, of which at most one
-- becomes 'active'.
CREATE TABLE account (
  account_id UUID NOT NULL PRIMARY KEY,
  username TEXT NOT NULL,
  email_sealed BYTEA NOT NULL,
  email_index BYTEA NOT NULL CHECK (octet_length(email_index) = 32),
  full_name_sealed BYTEA,
  -- A PHC string. Imported hashes have no pepper.
  password TEXT NOT NULL,
  pepper_epoch BIGINT,
  role TEXT NOT NULL,
  tier TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('pending', 'active', 'disabled')),
  -- The password must be changed before the next sign-in.
  compromised BOOLEAN NOT NULL,
  -- A session of another epoch is over, whatever else its row says.
  epoch BIGINT NOT NULL CHECK (epoch >= 1),
  created_at BIGINT NOT NULL,
  verified_at BIGINT,
  updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX account_username_taken ON account (username) WHERE status <> 'pending';
CREATE UNIQUE INDEX account_email_taken ON account (email_index) WHERE status <> 'pending';
CREATE INDEX account_email_pending ON account (email_index, created_at) WHERE status = 'pending';
CREATE INDEX account_username_pending ON account (username, created_at) WHERE status = 'pending';
CREATE INDEX account_pending_age ON account (created_at) WHERE status = 'pending';
CREATE INDEX account_operators ON account (account_id) WHERE role = 'super_admin' AND status = 'active';
ALTER TABLE account ENABLE ROW LEVEL SECURITY;
ALTER TABLE account FORCE ROW LEVEL SECURITY;
CREATE POLICY account_owner ON account USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- A signed-in browser or client.
CREATE TABLE session (
  session_id UUID NOT NULL PRIMARY KEY,
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('browser', 'token')),
  -- The account's epoch at sign-in.
  epoch BIGINT NOT NULL,
  -- For whom its access tokens are; NULL is our own gateway.
  audience TEXT,
  -- SHA-256 of the cookie's random value.
  cookie_hash BYTEA CHECK (octet_length(cookie_hash) = 32),
  created_at BIGINT NOT NULL,
  authenticated_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT,
  name_sealed BYTEA,
  agent_sealed BYTEA,
  address_sealed BYTEA,
  CHECK ((kind = 'browser') = (cookie_hash IS NOT NULL))
);
CREATE UNIQUE INDEX session_by_cookie ON session (cookie_hash) WHERE cookie_hash IS NOT NULL;
CREATE INDEX session_by_account ON session (account_id, created_at);
CREATE INDEX session_age ON session (expires_at);
ALTER TABLE session ENABLE ROW LEVEL SECURITY;
ALTER TABLE session FORCE ROW LEVEL SECURITY;
CREATE POLICY session_owner ON session USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- Refresh tokens; those of one session are one family.
CREATE TABLE refresh_token (
  -- SHA-256 of the token.
  token_hash BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(token_hash) = 32),
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  session_id UUID NOT NULL REFERENCES session (session_id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT,
  -- Which epoch key derived the successor.
  successor_epoch BIGINT,
  CHECK ((used_at IS NULL) = (successor_epoch IS NULL))
);
CREATE INDEX refresh_token_by_session ON refresh_token (session_id);
CREATE INDEX refresh_token_by_account ON refresh_token (account_id);
CREATE INDEX refresh_token_age ON refresh_token (expires_at);
ALTER TABLE refresh_token ENABLE ROW LEVEL SECURITY;
ALTER TABLE refresh_token FORCE ROW LEVEL SECURITY;
CREATE POLICY refresh_token_owner ON refresh_token USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- Single-use links. Set-up links belong to nobody yet.
CREATE TABLE one_time_code (
  -- SHA-256 of the code.
  code_hash BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(code_hash) = 32),
  purpose TEXT NOT NULL CHECK (purpose IN ('verify', 'reset', 'setup')),
  account_id UUID REFERENCES account (account_id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT
);
CREATE INDEX one_time_code_by_account ON one_time_code (account_id);
CREATE INDEX one_time_code_age ON one_time_code (expires_at);
ALTER TABLE one_time_code ENABLE ROW LEVEL SECURITY;
ALTER TABLE one_time_code FORCE ROW LEVEL SECURITY;
CREATE POLICY one_time_code_owner ON one_time_code USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- Messages. The body goes once it is delivered.
CREATE TABLE mail (
  mail_id UUID NOT NULL PRIMARY KEY,
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  body_sealed BYTEA,
  state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'failed')),
  attempts BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  delivered_at BIGINT,
  CHECK ((state = 'queued') = (body_sealed IS NOT NULL))
);
CREATE INDEX mail_by_account ON mail (account_id);
CREATE INDEX mail_age ON mail (created_at);
ALTER TABLE mail ENABLE ROW LEVEL SECURITY;
ALTER TABLE mail FORCE ROW LEVEL SECURITY;
CREATE POLICY mail_owner ON mail USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- How many messages a stranger has caused to an address within the window.
CREATE TABLE mail_budget (
  address_index BYTEA NOT NULL CHECK (octet_length(address_index) = 32),
  kind TEXT NOT NULL,
  window_start BIGINT NOT NULL,
  sent BIGINT NOT NULL,
  PRIMARY KEY (address_index, kind)
);
CREATE INDEX mail_budget_age ON mail_budget (window_start);
-- Belongs to no account, but tells which addresses were tried: only the program itself sees it.
ALTER TABLE mail_budget ENABLE ROW LEVEL SECURITY;
ALTER TABLE mail_budget FORCE ROW LEVEL SECURITY;
CREATE POLICY mail_budget_owner ON mail_budget USING (fortissimo_scope(NULL)) WITH CHECK (fortissimo_scope(NULL));
