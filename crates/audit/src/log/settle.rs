//! Waiting until what was recorded is in the log.

use std::sync::atomic::Ordering;
use std::time::Duration;

use base::{Scope, Timestamp};
use store::{Sql, params, sql};
use tokio::time::Instant;

use super::growth;
use crate::AuditError;
use crate::writer::Core;

sql! {
    // Two answers in one: whether anything waits, and what would have to go.
    NEWEST = "SELECT coalesce(max(seq), 0) FROM audit_outbox";
    OLDEST = "SELECT coalesce(min(seq), 0) FROM audit_outbox WHERE seq <= $1";
    NEWEST_NEXT = "SELECT coalesce(max(seq), 0) FROM audit_outbox WHERE NOT later";
    OLDEST_NEXT = "SELECT coalesce(min(seq), 0) FROM audit_outbox WHERE seq <= $1 AND NOT later";
    FIRST_NEXT = "SELECT events FROM audit_outbox WHERE NOT later ORDER BY seq LIMIT 1";
}

const SCOPE: Scope = Scope::System("waiting for the log");
/// How often the outbox is asked.
const LOOK: Duration = Duration::from_millis(5);

impl Core {
    /// Waits until all traffic that is queued now is durable, then until everything durable is in the log.
    pub(crate) async fn settled(&self, patience: Duration) -> Result<(), AuditError> {
        let deadline = Instant::now() + patience;
        let queued = self.log.queued.load(Ordering::SeqCst);
        while self.log.handled.load(Ordering::SeqCst) < queued {
            if Instant::now() >= deadline {
                return Err(AuditError::TimedOut);
            }
            tokio::time::sleep(LOOK).await;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if self.taken((NEWEST, OLDEST), left).await? { Ok(()) } else { Err(AuditError::TimedOut) }
    }

    /// Waits until what is in the outbox now and is not put off is in the log; `false` if it is not in time.
    pub(crate) async fn sequenced(&self, patience: Duration) -> Result<bool, AuditError> {
        self.taken((NEWEST_NEXT, OLDEST_NEXT), patience).await
    }

    /// The time of the first event that waits for the log and is not put off.
    pub(crate) async fn waits_since(&self) -> Result<Option<Timestamp>, AuditError> {
        let mut tx = self.db.begin_read(SCOPE).await?;
        let Some(row) = tx.query_opt(FIRST_NEXT, params![]).await? else { return Ok(None) };
        let events = growth::read(&row.get::<Vec<u8>>(0)?).unwrap_or_default();
        Ok(events.iter().map(|next| next.leaf.at).min())
    }

    async fn taken(&self, (newest, oldest): (Sql, Sql), patience: Duration) -> Result<bool, AuditError> {
        let deadline = Instant::now() + patience;
        let newest = self.outbox(newest, params![]).await?;
        if newest == 0 {
            return Ok(true);
        }
        let mut head = self.head.subscribe();
        loop {
            self.log.wanted.notify_one();
            if self.outbox(oldest, params![newest]).await? == 0 {
                return Ok(true);
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(false);
            }
            let _ = tokio::time::timeout(LOOK.min(deadline - now), head.changed()).await;
        }
    }

    async fn outbox(&self, statement: Sql, params: &[store::Value]) -> Result<i64, AuditError> {
        let mut tx = self.db.begin_read(SCOPE).await?;
        Ok(tx.query_one(statement, params).await?.get(0)?)
    }
}
