-- A half sign-in of a client that keeps tokens counts in the network where it began, or with the device mark that the
-- client showed there.
ALTER TABLE sign_in_challenge ADD COLUMN binding_device BLOB CHECK (binding_device IS NULL OR length(binding_device) = 32);

-- Accounts that their owners closed: erased when their time comes, if nobody takes it back.
CREATE TABLE account_closing (
  account_id BLOB NOT NULL PRIMARY KEY REFERENCES account (account_id) ON DELETE CASCADE,
  -- SHA-256 of the code by which it is taken back.
  code_hash BLOB NOT NULL CHECK (length(code_hash) = 32),
  asked_at INTEGER NOT NULL,
  erase_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX account_closing_code ON account_closing (code_hash);
CREATE INDEX account_closing_due ON account_closing (erase_at);
