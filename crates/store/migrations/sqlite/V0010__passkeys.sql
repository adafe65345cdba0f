-- Passkeys (WebAuthn): what a factor of that kind consists of, under the factor's id.
CREATE TABLE passkey (
  factor_id BLOB NOT NULL PRIMARY KEY REFERENCES factor (factor_id) ON DELETE CASCADE,
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  -- SHA-256 of the credential id, which is unique in the world.
  credential_hash BLOB NOT NULL UNIQUE CHECK (length(credential_hash) = 32),
  -- Credential id, public key, counter and flags.
  credential_sealed BLOB NOT NULL,
  -- Whether the authenticator may copy it to other devices, and has.
  backup_eligible INTEGER NOT NULL CHECK (backup_eligible IN (0, 1)),
  backup_state INTEGER NOT NULL CHECK (backup_state IN (0, 1)),
  -- Goes up with every use, or stays 0.
  sign_count INTEGER NOT NULL
) STRICT;
CREATE INDEX passkey_by_account ON passkey (account_id);

-- A registration or sign-in that a browser has begun. What it needs to be finished is sealed.
CREATE TABLE passkey_ceremony (
  -- SHA-256 of the random value that names it to the client.
  ceremony_hash BLOB NOT NULL PRIMARY KEY CHECK (length(ceremony_hash) = 32),
  body_sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX passkey_ceremony_age ON passkey_ceremony (expires_at);
