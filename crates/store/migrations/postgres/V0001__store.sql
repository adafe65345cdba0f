-- Whether the transaction may touch a row of this owner. Every owned table's policy asks it. The two
-- settings are local to the transaction; without them nothing is visible.
CREATE FUNCTION fortissimo_scope(owner uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        current_setting('fortissimo.scope', true) = 'system'
        OR owner = nullif(current_setting('fortissimo.account', true), '')::uuid,
        false)
$$;

-- Work that outlives a request. Holds identifiers only, never personal data, hence no owner.
CREATE TABLE job (
    id           uuid   NOT NULL PRIMARY KEY,
    payload      text   NOT NULL,
    -- While a job with this key waits or runs, another one is not queued.
    dedup        text,
    state        text   NOT NULL CHECK (state IN ('waiting', 'claimed', 'dead')),
    -- waiting: not before this time. claimed: the lease's end, after which anybody may claim it again.
    due_at       bigint NOT NULL,
    attempts     bigint NOT NULL,
    max_attempts bigint NOT NULL,
    last_error   text,
    created_at   bigint NOT NULL
);

CREATE INDEX job_due ON job (due_at) WHERE state <> 'dead';
CREATE UNIQUE INDEX job_dedup ON job (dedup) WHERE dedup IS NOT NULL AND state <> 'dead';
