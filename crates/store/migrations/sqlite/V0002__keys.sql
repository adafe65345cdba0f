-- The key hierarchy. Everything secret in here is wrapped: the root key, which wraps the epoch keys, is
-- not in the database.

-- One row: this deployment's random id, which is part of every ciphertext's context.
CREATE TABLE deployment (
  only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
  id BLOB NOT NULL CHECK (length(id) = 16),
  created_at INTEGER NOT NULL
) STRICT;

-- One key per purpose and epoch, wrapped by the root key named here.
CREATE TABLE epoch_key (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  purpose TEXT NOT NULL,
  epoch INTEGER NOT NULL CHECK (epoch >= 1),
  wrapped BLOB NOT NULL,
  root_key_id BLOB NOT NULL CHECK (length(root_key_id) = 16),
  created_at INTEGER NOT NULL,
  retired_at INTEGER
) STRICT;
CREATE UNIQUE INDEX epoch_key_by_purpose ON epoch_key (purpose, epoch);

-- One key per subject and generation, wrapped by an epoch key of purpose subject_wrap. Destroying it
-- sets wrapped to NULL; the row stays as the tombstone. No foreign key to the account: the tombstone
-- outlives it.
CREATE TABLE subject_key (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  account_id BLOB NOT NULL CHECK (length(account_id) = 16),
  subject_kind TEXT NOT NULL,
  subject_id BLOB NOT NULL CHECK (length(subject_id) = 16),
  generation INTEGER NOT NULL CHECK (generation >= 1),
  wrapped BLOB,
  epoch INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  destroyed_at INTEGER,
  CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX subject_key_by_subject ON subject_key (subject_kind, subject_id, generation);

-- Token signing keys: next (published), active (signs), retired (published), removed, revoked.
CREATE TABLE signing_key (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  kid TEXT NOT NULL,
  key_use TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  sealed_private BLOB,
  public_jwk TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('next', 'active', 'retired', 'removed', 'revoked')),
  created_at INTEGER NOT NULL,
  activates_at INTEGER NOT NULL,
  retires_at INTEGER,
  CHECK ((sealed_private IS NULL) = (state IN ('removed', 'revoked')))
) STRICT;
CREATE UNIQUE INDEX signing_key_by_kid ON signing_key (kid);
-- Two nodes that rotate at once cannot make two keys of the same state.
CREATE UNIQUE INDEX signing_key_one_next ON signing_key (key_use) WHERE state = 'next';
CREATE UNIQUE INDEX signing_key_one_active ON signing_key (key_use) WHERE state = 'active';
