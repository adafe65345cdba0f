-- Lists walk from a person to their objects, and from an object to its people: never along everything of a kind, and
-- never along all shares of an object.

-- What is part of something, by kind.
DROP INDEX access_object_parent;
CREATE INDEX access_object_parent ON access_object (parent_id, kind, object_id) WHERE parent_id IS NOT NULL;
-- The few teams among an object's many shares.
CREATE INDEX access_relation_teams ON access_relation (object_id, team_id) WHERE team_id IS NOT NULL;
-- Those whose role and tier are enough by themselves.
CREATE INDEX account_standing ON account (role, tier, account_id) WHERE status = 'active';
