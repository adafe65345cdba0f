-- Collaboration tokens: an invitation that somebody carries. The token itself is not stored.

CREATE TABLE access_invitation (
  invitation_id UUID NOT NULL PRIMARY KEY,
  -- SHA-256 of the token.
  token_hash BYTEA NOT NULL CHECK (octet_length(token_hash) = 32),
  object_id UUID NOT NULL REFERENCES access_object (object_id) ON DELETE CASCADE,
  -- Who invites.
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  -- The actions that it names, with blanks between.
  permissions TEXT NOT NULL,
  uses_allowed BIGINT NOT NULL CHECK (uses_allowed >= 1),
  uses_left BIGINT NOT NULL CHECK (uses_left >= 0),
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT
);
CREATE UNIQUE INDEX access_invitation_token ON access_invitation (token_hash);
CREATE INDEX access_invitation_object ON access_invitation (object_id, invitation_id);
CREATE INDEX access_invitation_account ON access_invitation (account_id);
CREATE INDEX access_invitation_age ON access_invitation (expires_at);
ALTER TABLE access_invitation ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_invitation FORCE ROW LEVEL SECURITY;
CREATE POLICY access_invitation_owner ON access_invitation USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

CREATE INDEX access_relation_invitation ON access_relation (invitation_id) WHERE invitation_id IS NOT NULL;
