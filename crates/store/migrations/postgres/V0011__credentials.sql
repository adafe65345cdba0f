-- Keys for programs that act for a person (AUTH-11).
CREATE TABLE api_key (
  key_id UUID NOT NULL PRIMARY KEY,
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  -- SHA-256 of the key.
  key_hash BYTEA NOT NULL UNIQUE CHECK (octet_length(key_hash) = 32),
  -- The first characters, by which its owner tells it from others.
  hint TEXT NOT NULL,
  name_sealed BYTEA NOT NULL,
  -- Actions, with spaces between them.
  scopes TEXT NOT NULL,
  -- Networks from which it counts, with spaces between them; NULL is every network.
  networks_sealed BYTEA,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  last_used_at BIGINT,
  revoked_at BIGINT,
  -- The key that took over.
  successor_id UUID
);
CREATE INDEX api_key_by_account ON api_key (account_id, created_at);
ALTER TABLE api_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_key FORCE ROW LEVEL SECURITY;
CREATE POLICY api_key_owner ON api_key USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));
