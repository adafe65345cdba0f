-- What the search and the security report need beside the log's own tables.

-- What failed or was refused is looked for more often than what went well, and is rare: traffic that succeeds pays
-- nothing for this index.
CREATE INDEX audit_event_by_outcome ON audit_event (outcome, id) WHERE outcome <> 'success';

-- Events counted by the hour in which they happened (milliseconds since 1970). country: ISO 3166-1, or empty where
-- it is not known. No person is in here: it stays when somebody is erased.
CREATE TABLE audit_hour (
  hour INTEGER NOT NULL,
  kind TEXT NOT NULL,
  outcome TEXT NOT NULL,
  severity INTEGER NOT NULL,
  country TEXT NOT NULL,
  events INTEGER NOT NULL,
  PRIMARY KEY (hour, kind, outcome, severity, country)
) STRICT;

-- How far the log is counted: every event below this index, none from it on. Whoever counts a batch moves it in the
-- same transaction from where it found it, so that of two nodes only one counts.
CREATE TABLE audit_hour_cursor (
  only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
  idx INTEGER NOT NULL
) STRICT;
INSERT INTO audit_hour_cursor (only_row, idx) VALUES (1, 0);
