-- Login risk: what is remembered of each person's completed sign-ins, what is known of everybody together, and the
-- links by which a person says whether a sign-in was theirs.

-- A person's last sign-ins, sealed under their key.
CREATE TABLE login_history (
  account_id BLOB NOT NULL PRIMARY KEY REFERENCES account (account_id) ON DELETE CASCADE,
  history_sealed BLOB NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

-- Counts over everybody, without a name in them. One row.
CREATE TABLE login_population (
  part INTEGER NOT NULL PRIMARY KEY CHECK (part = 1),
  counts BLOB NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

-- Links in mails about sign-ins.
CREATE TABLE sign_in_notice (
  -- SHA-256 of the code.
  code_hash BLOB NOT NULL PRIMARY KEY CHECK (length(code_hash) = 32),
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  -- 'confirm': nobody came in yet, the owner is asked. 'tell': somebody came in, the owner may undo it.
  purpose TEXT NOT NULL CHECK (purpose IN ('confirm', 'tell')),
  -- A keyed fingerprint of the network and kind of device that asked, so that nobody else profits from the answer.
  whence BLOB NOT NULL CHECK (length(whence) = 32),
  about_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  answer TEXT CHECK (answer IN ('mine', 'not-mine')),
  used_at INTEGER
) STRICT;
CREATE INDEX sign_in_notice_by_account ON sign_in_notice (account_id, purpose, expires_at);
CREATE INDEX sign_in_notice_age ON sign_in_notice (expires_at);
