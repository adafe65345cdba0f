-- One row for each session of a client that keeps tokens, changed in place by every refresh. A token names its session
-- and proves by itself that it was issued here, so that no list of used ones has to be kept. The
-- table of tokens of the earlier form gets no new rows; its last ones expire after a week.
CREATE TABLE refresh_family (
  session_id UUID NOT NULL PRIMARY KEY REFERENCES session (session_id) ON DELETE CASCADE,
  account_id UUID NOT NULL,
  -- SHA-256 of the one token that was not used yet.
  token_hash BYTEA NOT NULL CHECK (octet_length(token_hash) = 32),
  -- How many came before it.
  rotation BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  -- The last uses: hash of the token, time, epoch key of the successor (see identity's `refresh`).
  uses BYTEA NOT NULL
);
INSERT INTO refresh_family (session_id, account_id, token_hash, rotation, expires_at, uses)
  SELECT session_id, account_id, token_hash, 0, expires_at, '' FROM refresh_token WHERE used_at IS NULL
  ORDER BY created_at DESC ON CONFLICT DO NOTHING;
ALTER TABLE refresh_family ENABLE ROW LEVEL SECURITY;
ALTER TABLE refresh_family FORCE ROW LEVEL SECURITY;
CREATE POLICY refresh_family_owner ON refresh_family USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));
