-- Collaboration tokens: an invitation that somebody carries. The token itself is not stored.

CREATE TABLE access_invitation (
  invitation_id BLOB NOT NULL PRIMARY KEY CHECK (length(invitation_id) = 16),
  -- SHA-256 of the token.
  token_hash BLOB NOT NULL CHECK (length(token_hash) = 32),
  object_id BLOB NOT NULL REFERENCES access_object (object_id) ON DELETE CASCADE,
  -- Who invites.
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  -- The actions that it names, with blanks between.
  permissions TEXT NOT NULL,
  uses_allowed INTEGER NOT NULL CHECK (uses_allowed >= 1),
  uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;
CREATE UNIQUE INDEX access_invitation_token ON access_invitation (token_hash);
CREATE INDEX access_invitation_object ON access_invitation (object_id, invitation_id);
CREATE INDEX access_invitation_account ON access_invitation (account_id);
CREATE INDEX access_invitation_age ON access_invitation (expires_at);

CREATE INDEX access_relation_invitation ON access_relation (invitation_id) WHERE invitation_id IS NOT NULL;
