-- Second factors, recovery codes, partial sign-ins, known devices, counters of wrong attempts, changes of address.

-- How strongly a session was proven, and when the second factor was last given in it.
ALTER TABLE session ADD COLUMN aal INTEGER NOT NULL DEFAULT 1 CHECK (aal IN (1, 2));
ALTER TABLE session ADD COLUMN second_factor_at INTEGER;
-- Country at sign-in, sealed.
ALTER TABLE session ADD COLUMN place_sealed BLOB;

-- The password is too short to stand alone: the last second factor cannot go before it is longer.
ALTER TABLE account ADD COLUMN password_short INTEGER NOT NULL DEFAULT 0 CHECK (password_short IN (0, 1));

-- A second factor. One that is not confirmed yet counts for nothing. Passkeys keep what they are in a table of their
-- own, under the same id.
CREATE TABLE factor (
  factor_id BLOB NOT NULL PRIMARY KEY CHECK (length(factor_id) = 16),
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('totp', 'passkey')),
  name_sealed BLOB,
  -- The TOTP secret.
  secret_sealed BLOB,
  -- The latest TOTP step that was accepted; no step counts twice.
  last_step INTEGER,
  created_at INTEGER NOT NULL,
  confirmed_at INTEGER,
  last_used_at INTEGER,
  CHECK ((kind = 'totp') = (secret_sealed IS NOT NULL))
) STRICT;
CREATE INDEX factor_by_account ON factor (account_id, created_at);
CREATE INDEX factor_unconfirmed ON factor (created_at) WHERE confirmed_at IS NULL;

-- Recovery codes, as keyed hashes.
CREATE TABLE recovery_code (
  code_hash BLOB NOT NULL PRIMARY KEY CHECK (length(code_hash) = 32),
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT;
CREATE INDEX recovery_code_by_account ON recovery_code (account_id);

-- A sign-in whose first factor was right and whose second one is awaited.
CREATE TABLE sign_in_challenge (
  -- SHA-256 of the random value.
  challenge_hash BLOB NOT NULL PRIMARY KEY CHECK (length(challenge_hash) = 32),
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  -- The account's epoch when the first factor was right.
  epoch INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('browser', 'token')),
  -- The first factor: 'password' …
  method TEXT NOT NULL,
  audience TEXT,
  name_sealed BLOB,
  -- Fingerprint of the client that began.
  binding BLOB NOT NULL CHECK (length(binding) = 32),
  attempts INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT;
CREATE INDEX sign_in_challenge_by_account ON sign_in_challenge (account_id);
CREATE INDEX sign_in_challenge_age ON sign_in_challenge (expires_at);

-- Which devices (signed cookies) have signed in to which accounts.
CREATE TABLE known_device (
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  device_id BLOB NOT NULL CHECK (length(device_id) = 16),
  first_seen_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, device_id)
) STRICT;
CREATE INDEX known_device_age ON known_device (last_seen_at);

-- Wrong attempts, by keyed hash of authenticator and name (or network). Names that nobody has are counted alike.
CREATE TABLE attempt_counter (
  counter_key BLOB NOT NULL PRIMARY KEY CHECK (length(counter_key) = 32),
  -- In the present run; decides about the delay.
  failures INTEGER NOT NULL,
  -- Since the last right one; decides about the hard stop.
  consecutive INTEGER NOT NULL,
  -- A bit for each sixtieth of all names that was tried; for networks.
  spread INTEGER NOT NULL,
  window_start INTEGER NOT NULL,
  not_before INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX attempt_counter_age ON attempt_counter (updated_at);

-- An address that shall become the account's; one wish at a time.
CREATE TABLE email_change (
  account_id BLOB NOT NULL PRIMARY KEY REFERENCES account (account_id) ON DELETE CASCADE,
  code_hash BLOB NOT NULL UNIQUE CHECK (length(code_hash) = 32),
  email_sealed BLOB NOT NULL,
  email_index BLOB NOT NULL CHECK (length(email_index) = 32),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX email_change_age ON email_change (expires_at);
