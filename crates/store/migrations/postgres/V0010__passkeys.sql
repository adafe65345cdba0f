-- Passkeys (WebAuthn): what a factor of that kind consists of, under the factor's id.
CREATE TABLE passkey (
  factor_id UUID NOT NULL PRIMARY KEY REFERENCES factor (factor_id) ON DELETE CASCADE,
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  -- SHA-256 of the credential id, which is unique in the world.
  credential_hash BYTEA NOT NULL UNIQUE CHECK (octet_length(credential_hash) = 32),
  -- Credential id, public key, counter and flags.
  credential_sealed BYTEA NOT NULL,
  -- Whether the authenticator may copy it to other devices, and has.
  backup_eligible BOOLEAN NOT NULL,
  backup_state BOOLEAN NOT NULL,
  -- Goes up with every use, or stays 0.
  sign_count BIGINT NOT NULL
);
CREATE INDEX passkey_by_account ON passkey (account_id);

-- A registration or sign-in that a browser has begun. What it needs to be finished is sealed.
CREATE TABLE passkey_ceremony (
  -- SHA-256 of the random value that names it to the client.
  ceremony_hash BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(ceremony_hash) = 32),
  body_sealed BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX passkey_ceremony_age ON passkey_ceremony (expires_at);

ALTER TABLE passkey ENABLE ROW LEVEL SECURITY;
ALTER TABLE passkey FORCE ROW LEVEL SECURITY;
CREATE POLICY passkey_owner ON passkey USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));
