-- The key hierarchy. Everything secret in here is wrapped: the root key, which wraps the epoch keys, is
-- not in the database.

-- One row: this deployment's random id, which is part of every ciphertext's context.
CREATE TABLE deployment (
  only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
  id UUID NOT NULL,
  created_at BIGINT NOT NULL
);

-- One key per purpose and epoch, wrapped by the root key named here.
CREATE TABLE epoch_key (
  id UUID NOT NULL PRIMARY KEY,
  purpose TEXT NOT NULL,
  epoch BIGINT NOT NULL CHECK (epoch >= 1),
  wrapped BYTEA NOT NULL,
  root_key_id UUID NOT NULL,
  created_at BIGINT NOT NULL,
  retired_at BIGINT
);
CREATE UNIQUE INDEX epoch_key_by_purpose ON epoch_key (purpose, epoch);

-- One key per subject and generation, wrapped by an epoch key of purpose subject_wrap. Destroying it
-- sets wrapped to NULL; the row stays as the tombstone. No foreign key to the account: the tombstone
-- outlives it.
CREATE TABLE subject_key (
  id UUID NOT NULL PRIMARY KEY,
  account_id UUID NOT NULL,
  subject_kind TEXT NOT NULL,
  subject_id UUID NOT NULL,
  generation BIGINT NOT NULL CHECK (generation >= 1),
  wrapped BYTEA,
  epoch BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  destroyed_at BIGINT,
  CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
);
CREATE UNIQUE INDEX subject_key_by_subject ON subject_key (subject_kind, subject_id, generation);
ALTER TABLE subject_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE subject_key FORCE ROW LEVEL SECURITY;
CREATE POLICY subject_key_owner ON subject_key USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- Token signing keys: next (published), active (signs), retired (published), removed, revoked.
CREATE TABLE signing_key (
  id UUID NOT NULL PRIMARY KEY,
  kid TEXT NOT NULL,
  key_use TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  sealed_private BYTEA,
  public_jwk TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('next', 'active', 'retired', 'removed', 'revoked')),
  created_at BIGINT NOT NULL,
  activates_at BIGINT NOT NULL,
  retires_at BIGINT,
  CHECK ((sealed_private IS NULL) = (state IN ('removed', 'revoked')))
);
CREATE UNIQUE INDEX signing_key_by_kid ON signing_key (kid);
-- Two nodes that rotate at once cannot make two keys of the same state.
CREATE UNIQUE INDEX signing_key_one_next ON signing_key (key_use) WHERE state = 'next';
CREATE UNIQUE INDEX signing_key_one_active ON signing_key (key_use) WHERE state = 'active';
