//! Events counted by the hour: the base of the security report, small enough to draw years from.
//!
//! One task follows the log with a durable cursor and adds what it finds. The cursor moves in the transaction that adds,
//! from where it was found, so that nothing is counted twice or left out, whatever crashes and however many nodes run.

use std::collections::BTreeMap;
use std::time::Duration;

use base::{Scope, Timestamp};
use serde::Serialize;
use store::{Sql, Tx, params, sql};
use tokio::sync::watch;

use crate::log::reading::integer;
use crate::{Audit, AuditError, LogEntry, MAX_READ};

/// One hour in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;
/// One day in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;
/// Counts of one answer at most.
pub const MAX_COUNTS: usize = 20_000;
/// How long to wait between two looks when all is counted. Counting is never urgent, and each time costs a commit.
const PAUSE: Duration = Duration::from_secs(2);
/// In place of a country that is not known.
const UNKNOWN: &str = "";

const SCOPE: Scope = Scope::System("counting events");

macro_rules! counts {
    ($column:literal) => {
        concat!(
            "SELECT hour / $3 * $3 AS span, ",
            $column,
            ", CAST(sum(events) AS bigint) FROM audit_hour ",
            "WHERE hour >= $1 AND hour < $2 GROUP BY 1, 2 ORDER BY 1, 2 LIMIT $4",
        )
    };
}

sql! {
    CURSOR = "SELECT idx FROM audit_hour_cursor WHERE only_row = 1";
    MOVE = "UPDATE audit_hour_cursor SET idx = $2 WHERE only_row = 1 AND idx = $1";
    ADD = "INSERT INTO audit_hour (hour, kind, outcome, severity, country, events) VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (hour, kind, outcome, severity, country) DO UPDATE SET events = audit_hour.events + excluded.events";
    // As many rows as MAX_READ. Nothing but what is counted leaves the database.
    COUNT = "SELECT at / 3600000 * 3600000, kind, outcome, severity, count(*), CAST(max(idx) AS bigint) FROM audit_event
             WHERE idx >= $1 AND idx < $1 + 1000 GROUP BY 1, 2, 3, 4";
    // Behind a hole, which somebody's hands made.
    NEXT = "SELECT coalesce(min(idx), $1) FROM audit_event WHERE idx >= $1";
    SWEEP = "DELETE FROM audit_hour WHERE hour < $1";
    BY_KIND = counts!("kind");
    BY_OUTCOME = counts!("outcome");
    BY_SEVERITY = counts!("CAST(severity AS TEXT)");
    BY_COUNTRY = counts!("country");
}

/// What counts are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// `session.signed_in`, …
    Kind,
    /// `success`, `failure`, `denied`.
    Outcome,
    /// `1` to `6`.
    Severity,
    /// `SE`, …; empty where it is not known.
    Country,
}

/// How many events there were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// When the hour (or day, UTC) begins.
    pub from: Timestamp,
    /// The kind, outcome, severity or country.
    pub key: String,
    /// How many.
    pub events: u64,
}

/// The answer to [`Audit::hourly`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// By time, then by key.
    pub counts: Vec<Count>,
    /// There are more than [`MAX_COUNTS`]; ask for a shorter time or longer spans.
    pub cut: bool,
    /// Every event below this index is counted, none from it on.
    pub counted_to: u64,
}

impl Audit {
    /// Counts of the hours from `from` (its hour included) to `to` (exclusive), in spans of `span_ms` (at least one hour).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn hourly(
        &self,
        from: Timestamp,
        to: Timestamp,
        span_ms: i64,
        by: Grouping,
    ) -> Result<Counts, AuditError> {
        let sql: Sql = match by {
            Grouping::Kind => BY_KIND,
            Grouping::Outcome => BY_OUTCOME,
            Grouping::Severity => BY_SEVERITY,
            Grouping::Country => BY_COUNTRY,
        };
        let first = hour_of(from);
        let limit = i64::try_from(MAX_COUNTS + 1).unwrap_or(i64::MAX);
        let mut tx = self.core().db.begin_read(SCOPE).await?;
        let counted_to: u64 = tx.query_one(CURSOR, params![]).await?.get(0)?;
        let rows = tx.query_long(sql, params![first, to, span_ms.max(HOUR_MS), limit]).await?;
        let cut = rows.len() > MAX_COUNTS;
        let count = |row: &store::Row| {
            Ok::<_, store::DbError>(Count { from: row.get(0)?, key: row.get(1)?, events: row.get(2)? })
        };
        let counts = rows.iter().take(MAX_COUNTS).map(count).collect::<Result<_, _>>()?;
        Ok(Counts { counts, cut, counted_to })
    }

    /// Removes the counts of hours that began more than `keep_ms` ago; how many. An event that arrives later than that is
    /// counted all the same, until the next time.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn sweep_hours(&self, keep_ms: i64) -> Result<u64, AuditError> {
        let core = self.core();
        let oldest = core.clock.now().plus_ms(keep_ms.saturating_neg());
        let mut tx = core.db.begin(SCOPE).await?;
        let swept = tx.execute(SWEEP, params![hour_of(oldest)]).await?;
        if swept > 0 {
            tx.commit().await?;
        }
        Ok(swept)
    }

    /// Counts what comes, until `stop` becomes true. One such task in each server. Countries stand in the sealed bodies:
    /// where nobody knows any, `countries` is false, and no body is opened for counting.
    pub async fn count_hours(&self, countries: bool, mut stop: watch::Receiver<bool>) {
        let mut failed = false;
        while !*stop.borrow() {
            match self.count_step(countries).await {
                // More waits.
                Ok(MAX_READ..) => {
                    failed = false;
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(_) => failed = false,
                // Said once per outage; the cursor stands where it stood.
                Err(error) if !failed => {
                    failed = true;
                    tracing::warn!(%error, "events cannot be counted by the hour now");
                }
                Err(_) => {}
            }
            tokio::select! {
                _ = stop.changed() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Counts up to [`MAX_READ`] events; how many there were.
    pub(crate) async fn count_step(&self, countries: bool) -> Result<usize, AuditError> {
        let core = self.core();
        let mut tx = core.db.begin_read(SCOPE).await?;
        let cursor: u64 = tx.query_one(CURSOR, params![]).await?.get(0)?;
        let Counted { counts, next } = match countries {
            false => count_rows(&mut tx, cursor).await?,
            true => {
                drop(tx);
                let entries = self.read_log_of(cursor, MAX_READ, &|_| true).await?;
                Counted {
                    counts: count(&entries),
                    next: entries.last().map_or(cursor, |last| last.index + 1),
                }
            }
        };
        if next == cursor {
            return Ok(0);
        }
        let mut tx = core.db.begin(SCOPE).await?;
        if tx.execute(MOVE, params![integer(cursor), integer(next)]).await? == 0 {
            // Another node has counted these.
            return Ok(0);
        }
        for ((hour, kind, outcome, severity, country), events) in counts {
            tx.execute(ADD, params![hour, kind, outcome, severity, country, integer(events)]).await?;
        }
        tx.commit().await?;
        Ok(usize::try_from(next - cursor).unwrap_or(usize::MAX))
    }
}

/// Hour, kind, outcome, severity, country.
type Key = (i64, String, String, u8, String);

struct Counted {
    counts: BTreeMap<Key, u64>,
    /// The index after the last that was counted.
    next: u64,
}

/// Counts by what stands in the clear columns.
async fn count_rows(tx: &mut Tx, cursor: u64) -> Result<Counted, AuditError> {
    let mut counted = Counted { counts: BTreeMap::new(), next: cursor };
    for row in tx.query(COUNT, params![integer(cursor)]).await? {
        let key = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, UNKNOWN.to_owned());
        counted.counts.insert(key, row.get(4)?);
        counted.next = counted.next.max(row.get::<u64>(5)? + 1);
    }
    if counted.next == cursor {
        counted.next = tx.query_one(NEXT, params![integer(cursor)]).await?.get(0)?;
    }
    Ok(counted)
}

fn count(entries: &[LogEntry]) -> BTreeMap<Key, u64> {
    let mut counts = BTreeMap::new();
    for LogEntry { entry, .. } in entries {
        let country = entry.place.as_ref().map_or(UNKNOWN, |place| place.country());
        let (kind, outcome) = (entry.kind.clone(), entry.outcome.clone());
        let key = (hour_of(entry.at), kind, outcome, entry.severity, country.to_owned());
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
}

fn hour_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(HOUR_MS) * HOUR_MS
}
