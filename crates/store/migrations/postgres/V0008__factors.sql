-- Second factors, recovery codes, partial sign-ins, known devices, counters of wrong attempts, changes of address.

-- How strongly a session was proven, and when the second factor was last given in it.
ALTER TABLE session ADD COLUMN aal BIGINT NOT NULL DEFAULT 1 CHECK (aal IN (1, 2));
ALTER TABLE session ADD COLUMN second_factor_at BIGINT;
-- Country at sign-in, sealed.
ALTER TABLE session ADD COLUMN place_sealed BYTEA;

-- The password is too short to stand alone: the last second factor cannot go before it is longer.
ALTER TABLE account ADD COLUMN password_short BOOLEAN NOT NULL DEFAULT FALSE;

-- A second factor. One that is not confirmed yet counts for nothing. Passkeys keep what they are in a table of their
-- own, under the same id.
CREATE TABLE factor (
  factor_id UUID NOT NULL PRIMARY KEY,
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('totp', 'passkey')),
  name_sealed BYTEA,
  -- The TOTP secret.
  secret_sealed BYTEA,
  -- The latest TOTP step that was accepted; no step counts twice.
  last_step BIGINT,
  created_at BIGINT NOT NULL,
  confirmed_at BIGINT,
  last_used_at BIGINT,
  CHECK ((kind = 'totp') = (secret_sealed IS NOT NULL))
);
CREATE INDEX factor_by_account ON factor (account_id, created_at);
CREATE INDEX factor_unconfirmed ON factor (created_at) WHERE confirmed_at IS NULL;
ALTER TABLE factor ENABLE ROW LEVEL SECURITY;
ALTER TABLE factor FORCE ROW LEVEL SECURITY;
CREATE POLICY factor_owner ON factor USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- Recovery codes, as keyed hashes.
CREATE TABLE recovery_code (
  code_hash BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(code_hash) = 32),
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  used_at BIGINT
);
CREATE INDEX recovery_code_by_account ON recovery_code (account_id);
ALTER TABLE recovery_code ENABLE ROW LEVEL SECURITY;
ALTER TABLE recovery_code FORCE ROW LEVEL SECURITY;
CREATE POLICY recovery_code_owner ON recovery_code USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- A sign-in whose first factor was right and whose second one is awaited.
CREATE TABLE sign_in_challenge (
  -- SHA-256 of the random value.
  challenge_hash BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(challenge_hash) = 32),
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  -- The account's epoch when the first factor was right.
  epoch BIGINT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('browser', 'token')),
  -- The first factor: 'password' …
  method TEXT NOT NULL,
  audience TEXT,
  name_sealed BYTEA,
  -- Fingerprint of the client that began.
  binding BYTEA NOT NULL CHECK (octet_length(binding) = 32),
  attempts BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT
);
CREATE INDEX sign_in_challenge_by_account ON sign_in_challenge (account_id);
CREATE INDEX sign_in_challenge_age ON sign_in_challenge (expires_at);
ALTER TABLE sign_in_challenge ENABLE ROW LEVEL SECURITY;
ALTER TABLE sign_in_challenge FORCE ROW LEVEL SECURITY;
CREATE POLICY sign_in_challenge_owner ON sign_in_challenge USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- Which devices (signed cookies) have signed in to which accounts.
CREATE TABLE known_device (
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  device_id UUID NOT NULL,
  first_seen_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  PRIMARY KEY (account_id, device_id)
);
CREATE INDEX known_device_age ON known_device (last_seen_at);
ALTER TABLE known_device ENABLE ROW LEVEL SECURITY;
ALTER TABLE known_device FORCE ROW LEVEL SECURITY;
CREATE POLICY known_device_owner ON known_device USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- Wrong attempts, by keyed hash of authenticator and name (or network). Names that nobody has are counted alike.
CREATE TABLE attempt_counter (
  counter_key BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(counter_key) = 32),
  -- In the present run; decides about the delay.
  failures BIGINT NOT NULL,
  -- Since the last right one; decides about the hard stop.
  consecutive BIGINT NOT NULL,
  -- A bit for each sixtieth of all names that was tried; for networks.
  spread BIGINT NOT NULL,
  window_start BIGINT NOT NULL,
  not_before BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX attempt_counter_age ON attempt_counter (updated_at);
ALTER TABLE attempt_counter ENABLE ROW LEVEL SECURITY;
ALTER TABLE attempt_counter FORCE ROW LEVEL SECURITY;
CREATE POLICY attempt_counter_owner ON attempt_counter USING (fortissimo_scope(NULL)) WITH CHECK (fortissimo_scope(NULL));

-- An address that shall become the account's; one wish at a time.
CREATE TABLE email_change (
  account_id UUID NOT NULL PRIMARY KEY REFERENCES account (account_id) ON DELETE CASCADE,
  code_hash BYTEA NOT NULL UNIQUE CHECK (octet_length(code_hash) = 32),
  email_sealed BYTEA NOT NULL,
  email_index BYTEA NOT NULL CHECK (octet_length(email_index) = 32),
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX email_change_age ON email_change (expires_at);
ALTER TABLE email_change ENABLE ROW LEVEL SECURITY;
ALTER TABLE email_change FORCE ROW LEVEL SECURITY;
CREATE POLICY email_change_owner ON email_change USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));
