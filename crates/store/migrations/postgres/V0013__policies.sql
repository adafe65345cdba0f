-- What operators put in force on top of the built-in policies. Nothing in here is personal.

-- The files of a bundle, named by the digest of what they say: a bundle that comes back is stored once.
CREATE TABLE policy_bundle (
  digest TEXT NOT NULL PRIMARY KEY,
  files TEXT NOT NULL,
  stored_at BIGINT NOT NULL
);

-- The history; the last row is in force. Two operators who act at once meet at the primary key.
CREATE TABLE policy_activation (
  serial BIGINT NOT NULL PRIMARY KEY,
  -- NULL: what each node's configuration names, as if nothing had ever been activated.
  digest TEXT REFERENCES policy_bundle (digest),
  act TEXT NOT NULL CHECK (act IN ('activated', 'rolled_back')),
  version TEXT NOT NULL,
  policies BIGINT NOT NULL,
  activated_at BIGINT NOT NULL,
  -- As in the audit trail: account:…, system:….
  activated_by TEXT NOT NULL,
  comment TEXT NOT NULL
);
