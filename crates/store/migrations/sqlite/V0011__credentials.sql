-- Keys for programs that act for a person (AUTH-11).
CREATE TABLE api_key (
  key_id BLOB NOT NULL PRIMARY KEY CHECK (length(key_id) = 16),
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  -- SHA-256 of the key.
  key_hash BLOB NOT NULL UNIQUE CHECK (length(key_hash) = 32),
  -- The first characters, by which its owner tells it from others.
  hint TEXT NOT NULL,
  name_sealed BLOB NOT NULL,
  -- Actions, with spaces between them.
  scopes TEXT NOT NULL,
  -- Networks from which it counts, with spaces between them; NULL is every network.
  networks_sealed BLOB,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,
  revoked_at INTEGER,
  -- The key that took over.
  successor_id BLOB CHECK (length(successor_id) = 16)
) STRICT;
CREATE INDEX api_key_by_account ON api_key (account_id, created_at);
