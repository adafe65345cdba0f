-- Objects of services and who has what to do with them (ACCESS-4). An object is known by kind and name, as
-- in a path; what it contains is the service's.

-- Counts the changes of everything below; each change takes the next number and holds the row until it is
-- stored, so that numbers are in the order of the changes.
CREATE TABLE access_revision (
  one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
  revision BIGINT NOT NULL
);
INSERT INTO access_revision (one, revision) VALUES (1, 1);

CREATE TABLE access_object (
  object_id UUID NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  -- The owner.
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  public BOOLEAN NOT NULL,
  -- What it is part of: a project, a folder. At most two above one another; shares of those reach it.
  parent_id UUID REFERENCES access_object (object_id) ON DELETE SET NULL,
  created_at BIGINT NOT NULL,
  revision BIGINT NOT NULL
);
CREATE UNIQUE INDEX access_object_name ON access_object (kind, name);
CREATE INDEX access_object_owner ON access_object (account_id, kind, object_id);
CREATE INDEX access_object_kind ON access_object (kind, object_id);
CREATE INDEX access_object_public ON access_object (kind, object_id) WHERE public;
CREATE INDEX access_object_parent ON access_object (parent_id) WHERE parent_id IS NOT NULL;
ALTER TABLE access_object ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_object FORCE ROW LEVEL SECURITY;
CREATE POLICY access_object_owner ON access_object USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- People who are given access together. A team may be in a team, but that one in none.
CREATE TABLE access_team (
  team_id UUID NOT NULL PRIMARY KEY,
  -- Who made it and keeps its members.
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  revision BIGINT NOT NULL
);
CREATE INDEX access_team_owner ON access_team (account_id, team_id);
ALTER TABLE access_team ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_team FORCE ROW LEVEL SECURITY;
CREATE POLICY access_team_owner ON access_team USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

CREATE TABLE access_member (
  team_id UUID NOT NULL REFERENCES access_team (team_id) ON DELETE CASCADE,
  -- An account or a team; one of the two below is the same.
  member_id UUID NOT NULL,
  account_id UUID REFERENCES account (account_id) ON DELETE CASCADE,
  member_team_id UUID REFERENCES access_team (team_id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (team_id, member_id),
  CHECK ((account_id IS NULL) <> (member_team_id IS NULL))
);
CREATE INDEX access_member_of ON access_member (member_id, team_id);
CREATE INDEX access_member_account ON access_member (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX access_member_team ON access_member (member_team_id) WHERE member_team_id IS NOT NULL;
ALTER TABLE access_member ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_member FORCE ROW LEVEL SECURITY;
CREATE POLICY access_member_owner ON access_member USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- One row for an object and somebody who has it not by owning it.
CREATE TABLE access_relation (
  object_id UUID NOT NULL REFERENCES access_object (object_id) ON DELETE CASCADE,
  -- An account or a team; one of the two below is the same.
  subject_id UUID NOT NULL,
  account_id UUID REFERENCES account (account_id) ON DELETE CASCADE,
  team_id UUID REFERENCES access_team (team_id) ON DELETE CASCADE,
  -- The object's, so that lists by kind need no second table.
  kind TEXT NOT NULL,
  relation TEXT NOT NULL CHECK (relation IN ('collaborator', 'shared', 'token')),
  -- The actions that a collaboration token names, with blanks between.
  permissions TEXT,
  -- The collaboration token that it came from.
  invitation_id UUID,
  -- Who gave it, for people to read.
  granted_by UUID REFERENCES account (account_id) ON DELETE SET NULL,
  -- Whose own access it needs; NULL if an owner gave it. Goes when theirs goes.
  hangs_on UUID REFERENCES account (account_id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  revision BIGINT NOT NULL,
  PRIMARY KEY (object_id, subject_id),
  CHECK ((account_id IS NULL) <> (team_id IS NULL)),
  CHECK ((relation = 'token') = (permissions IS NOT NULL))
);
CREATE INDEX access_relation_subject ON access_relation (subject_id, kind, object_id);
CREATE INDEX access_relation_account ON access_relation (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX access_relation_team ON access_relation (team_id) WHERE team_id IS NOT NULL;
CREATE INDEX access_relation_chain ON access_relation (object_id, hangs_on) WHERE hangs_on IS NOT NULL;
CREATE INDEX access_relation_hangs_on ON access_relation (hangs_on) WHERE hangs_on IS NOT NULL;
CREATE INDEX access_relation_granted_by ON access_relation (granted_by) WHERE granted_by IS NOT NULL;
CREATE INDEX access_relation_age ON access_relation (expires_at) WHERE expires_at IS NOT NULL;
ALTER TABLE access_relation ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_relation FORCE ROW LEVEL SECURITY;
CREATE POLICY access_relation_owner ON access_relation USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));

-- An administrator looks at what is private, for a reason, for a while. The owner was told.
CREATE TABLE access_break_glass (
  grant_id UUID NOT NULL PRIMARY KEY,
  object_id UUID NOT NULL REFERENCES access_object (object_id) ON DELETE CASCADE,
  -- The administrator.
  account_id UUID NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT
);
CREATE INDEX access_break_glass_open ON access_break_glass (object_id, account_id, expires_at);
CREATE INDEX access_break_glass_account ON access_break_glass (account_id);
CREATE INDEX access_break_glass_age ON access_break_glass (expires_at);
ALTER TABLE access_break_glass ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_break_glass FORCE ROW LEVEL SECURITY;
CREATE POLICY access_break_glass_owner ON access_break_glass USING (fortissimo_scope(account_id)) WITH CHECK (fortissimo_scope(account_id));
