-- Login risk: what is remembered of each person's completed sign-ins, what is known of everybody together, and the
-- links by which a person says whether a sign-in was theirs.

-- A person's last sign-ins, sealed under their key.
CREATE TABLE login_history (
  account_id UUID NOT NULL PRIMARY KEY REFERENCES account (account_id) ON DELETE CASCADE,
  history_sealed BYTEA NOT NULL,
  updated_at BIGINT NOT NULL
);
ALTER TABLE login_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE login_history FORCE ROW LEVEL SECURITY;
CREATE POLICY login_history_owner ON login_history USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- Counts over everybody, without a name in them. One row.
CREATE TABLE login_population (
  part BIGINT NOT NULL PRIMARY KEY CHECK (part = 1),
  counts BYTEA NOT NULL,
  updated_at BIGINT NOT NULL
);
-- Belongs to no account: only the program itself sees it.
ALTER TABLE login_population ENABLE ROW LEVEL SECURITY;
ALTER TABLE login_population FORCE ROW LEVEL SECURITY;
CREATE POLICY login_population_owner ON login_population USING (fortissimo_scope(NULL)) WITH CHECK (fortissimo_scope(NULL));

-- Links in mails about sign-ins.
CREATE TABLE sign_in_notice (
  -- SHA-256 of the code.
  code_hash BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(code_hash) = 32),
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  -- 'confirm': nobody came in yet, the owner is asked. 'tell': somebody came in, the owner may undo it.
  purpose TEXT NOT NULL CHECK (purpose IN ('confirm', 'tell')),
  -- A keyed fingerprint of the network and kind of device that asked, so that nobody else profits from the answer.
  whence BYTEA NOT NULL CHECK (octet_length(whence) = 32),
  about_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  answer TEXT CHECK (answer IN ('mine', 'not-mine')),
  used_at BIGINT
);
CREATE INDEX sign_in_notice_by_account ON sign_in_notice (account_id, purpose, expires_at);
CREATE INDEX sign_in_notice_age ON sign_in_notice (expires_at);
ALTER TABLE sign_in_notice ENABLE ROW LEVEL SECURITY;
ALTER TABLE sign_in_notice FORCE ROW LEVEL SECURITY;
CREATE POLICY sign_in_notice_owner ON sign_in_notice USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));
