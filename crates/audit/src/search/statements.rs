//! The statements of the search: one for each filter that can drive it, with the others as conditions on what it finds.
//! A single statement in which every filter is optional would use no index at all.
//!
//! Parameters: 1 account, 2 kinds (`,a,b,`; the kind itself where kinds drive), 3 request, 4 blind index of the address,
//! 5 outcome, 6 ids below, 7 ids from, 8 rows at most, 9 only where bodies drive: candidates at most.

use store::sql;

use crate::opening::entry_columns;

macro_rules! account {
    () => {
        " AND (account_id = $1 OR $1 IS NULL OR (bodies > 1 AND EXISTS \
         (SELECT 1 FROM audit_body AS o WHERE o.idx = audit_event.idx AND o.account_id = $1)))"
    };
}
macro_rules! kinds {
    () => {
        " AND (replace($2, ',' || kind || ',', '') <> $2 OR $2 IS NULL)"
    };
}
macro_rules! request {
    () => {
        " AND (request_id = $3 OR $3 IS NULL)"
    };
}
macro_rules! address {
    () => {
        " AND (address_index = $4 OR $4 IS NULL)"
    };
}
macro_rules! outcome {
    () => {
        " AND (outcome = $5 OR $5 IS NULL)"
    };
}

macro_rules! page {
    ($driver:literal $($residual:ident)*) => {
        concat!(
            "SELECT ", entry_columns!(), " FROM audit_event WHERE id < $6 AND id >= $7", $driver,
            $($residual!(),)* " ORDER BY id DESC LIMIT $8",
        )
    };
}

/// The id at which a driver has given `$4 + 1` candidates, newest first; nothing if it has fewer.
macro_rules! edge {
    ($table:literal $driver:literal) => {
        concat!(
            "SELECT id FROM ",
            $table,
            " WHERE id < $1 AND id >= $2",
            $driver,
            " ORDER BY id DESC LIMIT 1 OFFSET $3",
        )
    };
}

sql! {
    // A request has few events. They are taken first: PostgreSQL would rather walk through time until it meets them.
    pub(super) BY_REQUEST = concat!(
        "WITH candidate AS MATERIALIZED (SELECT r.idx AS i FROM audit_event AS r WHERE r.request_id = $3) SELECT ",
        entry_columns!(), " FROM candidate CROSS JOIN audit_event WHERE idx = i AND id < $6 AND id >= $7",
        account!(), kinds!(), address!(), outcome!(), " ORDER BY id DESC LIMIT $8",
    );
    pub(super) BY_ADDRESS = page!(" AND address_index = $4" account kinds request outcome);
    pub(super) BY_ABOUT = page!(" AND account_id = $1" kinds request address outcome);
    pub(super) BY_KIND = page!(" AND kind = $2" account request address outcome);
    // The partial index is used only where its own condition stands.
    pub(super) BY_OUTCOME = page!(" AND outcome = $5 AND outcome <> 'success'" account kinds request address);
    pub(super) BY_TIME = page!("" account kinds request address outcome);
    // Events in which somebody has a body of their own beside the one whom the event is about.
    pub(super) BY_FURTHER = concat!(
        "WITH candidate AS MATERIALIZED (SELECT b.idx AS i FROM audit_body AS b ",
        "WHERE b.account_id = $1 AND b.id < $6 AND b.id >= $7 ORDER BY b.id DESC LIMIT $9) ",
        "SELECT ", entry_columns!(), " FROM candidate CROSS JOIN audit_event WHERE idx = i",
        kinds!(), request!(), address!(), outcome!(), " ORDER BY id DESC LIMIT $8",
    );

    pub(super) ONE = concat!(
        "SELECT ", entry_columns!(), " FROM audit_event WHERE id = $1 AND (account_id = $2 OR $2 IS NULL OR (bodies > 1 ",
        "AND EXISTS (SELECT 1 FROM audit_body AS o WHERE o.idx = audit_event.idx AND o.account_id = $2)))",
    );

    pub(super) EDGE_REQUEST = concat!(
        "WITH candidate AS MATERIALIZED (SELECT id AS i FROM audit_event WHERE request_id = $4) ",
        "SELECT i FROM candidate WHERE i < $1 AND i >= $2 ORDER BY i DESC LIMIT 1 OFFSET $3",
    );
    pub(super) EDGE_ADDRESS = edge!("audit_event" " AND address_index = $4");
    pub(super) EDGE_ABOUT = edge!("audit_event" " AND account_id = $4");
    pub(super) EDGE_FURTHER = edge!("audit_body" " AND account_id = $4");
    pub(super) EDGE_KIND = edge!("audit_event" " AND kind = $4");
    pub(super) EDGE_OUTCOME = edge!("audit_event" " AND outcome = $4 AND outcome <> 'success'");
    pub(super) EDGE_TIME = edge!("audit_event" "");
}
