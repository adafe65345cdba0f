-- Objects of services and who has what to do with them (ACCESS-4). An object is known by kind and name, as
-- in a path; what it contains is the service's.

-- Counts the changes of everything below; each change takes the next number and holds the row until it is
-- stored, so that numbers are in the order of the changes.
CREATE TABLE access_revision (
  one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
  revision INTEGER NOT NULL
) STRICT;
INSERT INTO access_revision (one, revision) VALUES (1, 1);

CREATE TABLE access_object (
  object_id BLOB NOT NULL PRIMARY KEY CHECK (length(object_id) = 16),
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  -- The owner.
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  public INTEGER NOT NULL CHECK (public IN (0, 1)),
  -- What it is part of: a project, a folder. At most two above one another; shares of those reach it.
  parent_id BLOB REFERENCES access_object (object_id) ON DELETE SET NULL,
  created_at INTEGER NOT NULL,
  revision INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX access_object_name ON access_object (kind, name);
CREATE INDEX access_object_owner ON access_object (account_id, kind, object_id);
CREATE INDEX access_object_kind ON access_object (kind, object_id);
CREATE INDEX access_object_public ON access_object (kind, object_id) WHERE public;
CREATE INDEX access_object_parent ON access_object (parent_id) WHERE parent_id IS NOT NULL;

-- People who are given access together. A team may be in a team, but that one in none.
CREATE TABLE access_team (
  team_id BLOB NOT NULL PRIMARY KEY CHECK (length(team_id) = 16),
  -- Who made it and keeps its members.
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  revision INTEGER NOT NULL
) STRICT;
CREATE INDEX access_team_owner ON access_team (account_id, team_id);

CREATE TABLE access_member (
  team_id BLOB NOT NULL REFERENCES access_team (team_id) ON DELETE CASCADE,
  -- An account or a team; one of the two below is the same.
  member_id BLOB NOT NULL CHECK (length(member_id) = 16),
  account_id BLOB REFERENCES account (account_id) ON DELETE CASCADE,
  member_team_id BLOB REFERENCES access_team (team_id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (team_id, member_id),
  CHECK ((account_id IS NULL) <> (member_team_id IS NULL))
) STRICT;
CREATE INDEX access_member_of ON access_member (member_id, team_id);
CREATE INDEX access_member_account ON access_member (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX access_member_team ON access_member (member_team_id) WHERE member_team_id IS NOT NULL;

-- One row for an object and somebody who has it not by owning it.
CREATE TABLE access_relation (
  object_id BLOB NOT NULL REFERENCES access_object (object_id) ON DELETE CASCADE,
  -- An account or a team; one of the two below is the same.
  subject_id BLOB NOT NULL CHECK (length(subject_id) = 16),
  account_id BLOB REFERENCES account (account_id) ON DELETE CASCADE,
  team_id BLOB REFERENCES access_team (team_id) ON DELETE CASCADE,
  -- The object's, so that lists by kind need no second table.
  kind TEXT NOT NULL,
  relation TEXT NOT NULL CHECK (relation IN ('collaborator', 'shared', 'token')),
  -- The actions that a collaboration token names, with blanks between.
  permissions TEXT,
  -- The collaboration token that it came from.
  invitation_id BLOB,
  -- Who gave it, for people to read.
  granted_by BLOB REFERENCES account (account_id) ON DELETE SET NULL,
  -- Whose own access it needs; NULL if an owner gave it. Goes when theirs goes.
  hangs_on BLOB REFERENCES account (account_id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revision INTEGER NOT NULL,
  PRIMARY KEY (object_id, subject_id),
  CHECK ((account_id IS NULL) <> (team_id IS NULL)),
  CHECK ((relation = 'token') = (permissions IS NOT NULL))
) STRICT;
CREATE INDEX access_relation_subject ON access_relation (subject_id, kind, object_id);
CREATE INDEX access_relation_account ON access_relation (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX access_relation_team ON access_relation (team_id) WHERE team_id IS NOT NULL;
CREATE INDEX access_relation_chain ON access_relation (object_id, hangs_on) WHERE hangs_on IS NOT NULL;
CREATE INDEX access_relation_hangs_on ON access_relation (hangs_on) WHERE hangs_on IS NOT NULL;
CREATE INDEX access_relation_granted_by ON access_relation (granted_by) WHERE granted_by IS NOT NULL;
CREATE INDEX access_relation_age ON access_relation (expires_at) WHERE expires_at IS NOT NULL;

-- An administrator looks at what is private, for a reason, for a while. The owner was told.
CREATE TABLE access_break_glass (
  grant_id BLOB NOT NULL PRIMARY KEY CHECK (length(grant_id) = 16),
  object_id BLOB NOT NULL REFERENCES access_object (object_id) ON DELETE CASCADE,
  -- The administrator.
  account_id BLOB NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;
CREATE INDEX access_break_glass_open ON access_break_glass (object_id, account_id, expires_at);
CREATE INDEX access_break_glass_account ON access_break_glass (account_id);
CREATE INDEX access_break_glass_age ON access_break_glass (expires_at);
