-- Work that outlives a request. Holds identifiers only, never personal data, hence no owner.
CREATE TABLE job (
    id           BLOB    NOT NULL PRIMARY KEY,
    payload      TEXT    NOT NULL,
    -- While a job with this key waits or runs, another one is not queued.
    dedup        TEXT,
    state        TEXT    NOT NULL CHECK (state IN ('waiting', 'claimed', 'dead')),
    -- waiting: not before this time. claimed: the lease's end, after which anybody may claim it again.
    due_at       INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    last_error   TEXT,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX job_due ON job (due_at) WHERE state <> 'dead';
CREATE UNIQUE INDEX job_dedup ON job (dedup) WHERE dedup IS NOT NULL AND state <> 'dead';
