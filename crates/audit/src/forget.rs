//! After an erasure: the columns by which the search finds a person must not name them any more.
//!
//! A leaf names nobody, but the row beside it does: `account_id`, `actor`, the blind index of the address, and the owner of
//! further bodies. They are cleared in small transactions, again and again for a while, because events that were on their
//! way when the key went arrive later. A body under the destroyed key is removed with them: what cannot be read need not
//! be kept, not even for somebody who finds an old copy of the key. Verification knows both (see `verify/rows.rs`).

use std::collections::HashMap;
use std::time::Duration;

use base::{Id, Scope, Timestamp, kind as ids};
use crypto::{KeyRef, envelope};
use keys::KeyState;
use store::{Dialect, Tx, params, sql};
use tokio::sync::watch;

use crate::{Audit, AuditError};

sql! {
    REMEMBER = "INSERT INTO audit_forget (account_id, since, next_at) VALUES ($1, $2, $2)
                ON CONFLICT (account_id) DO UPDATE SET since = excluded.since, next_at = excluded.next_at";
    DUE = "SELECT account_id, since FROM audit_forget WHERE next_at <= $1 ORDER BY next_at LIMIT 16";
    LATER = "UPDATE audit_forget SET next_at = $2 WHERE account_id = $1";
    DONE = "DELETE FROM audit_forget WHERE account_id = $1 AND since = $2";
    ABOUT = "SELECT idx, actor, body FROM audit_event WHERE account_id = $1 ORDER BY id LIMIT 100";
    FURTHER = "SELECT b.idx, b.slot, b.body FROM audit_body AS b WHERE b.account_id = $1 ORDER BY b.id LIMIT 100";
    CLEAR_ABOUT = "UPDATE audit_event SET account_id = NULL, actor = $2, body = $3 WHERE idx = $1";
    CLEAR_ADDRESS = "UPDATE audit_event SET address_index = NULL WHERE idx = $1";
    CLEAR_ACTOR = "UPDATE audit_event SET actor = $3, address_index = NULL WHERE idx = $1 AND actor = $2";
    DROP_BODY = "DELETE FROM audit_body WHERE idx = $1 AND slot = $2";
    DISOWN_BODY = "UPDATE audit_body SET account_id = $3 WHERE idx = $1 AND slot = $2";
    FREED = sqlite "SELECT f.freelist_count * p.page_size FROM pragma_freelist_count AS f, pragma_page_size AS p",
        postgres "SELECT CAST(0 AS bigint)";
    FILL = sqlite "INSERT INTO audit_scrub (filler) VALUES (zeroblob($1))",
        postgres "INSERT INTO audit_scrub (filler) SELECT ''::bytea WHERE $1::bigint < 0";
    EMPTY = "DELETE FROM audit_scrub";
}

/// In the column of the actor: somebody with an account who was erased. The same word as in the leaf.
pub(crate) const SOMEBODY: &str = "account";
/// In the column of a body's owner, which is never null: somebody who was erased.
pub(crate) const NOBODY: Id<ids::Account> = Id::from_bytes([0; 16]);
/// How long after an erasure events about the person may still arrive: longer than any token or connection lives.
const WINDOW_MS: i64 = 2 * 3_600_000;
/// How often one person is looked for meanwhile, once nothing was found.
const AGAIN_MS: i64 = 30_000;
const PAUSE: Duration = Duration::from_secs(5);
/// Freed pages are written over in pieces of this size, up to so many pieces in one transaction.
const PIECE: i64 = 16 << 20;
const PIECES: i64 = 8;

const SCOPE: Scope = Scope::System("forgetting the erased");

/// Notes that a person's columns are to be cleared once this transaction commits.
pub(crate) async fn remember(
    tx: &mut Tx,
    account: Id<ids::Account>,
    now: Timestamp,
) -> Result<(), AuditError> {
    tx.execute(REMEMBER, params![account, now]).await?;
    Ok(())
}

impl Audit {
    /// Clears the columns that still name people who were erased, until `stop` becomes true. One such task in each
    /// server; several do no harm.
    pub async fn forget_erased(&self, mut stop: watch::Receiver<bool>) {
        let mut failed = false;
        while !*stop.borrow() {
            match self.forget_step().await {
                Ok(0) => failed = false,
                Ok(_) => {
                    failed = false;
                    // Others write between two steps.
                    tokio::task::yield_now().await;
                    continue;
                }
                Err(error) if !failed => {
                    failed = true;
                    tracing::warn!(%error, "the ids of people who were erased cannot be cleared now");
                }
                Err(_) => {}
            }
            tokio::select! {
                _ = stop.changed() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Clears everything about one person who was erased that is in the log by now; for commands, which do not wait for
    /// a server. Gives how many rows were changed.
    ///
    /// # Errors
    /// If the database fails; what was cleared before stays cleared.
    pub async fn forget_now(&self, account: Id<ids::Account>) -> Result<u64, AuditError> {
        let mut all = 0;
        loop {
            let rows = self.clear_some(account).await?;
            if rows == 0 {
                self.scrub().await?;
                return Ok(all);
            }
            all += rows;
        }
    }

    /// One step for everybody who is due; how many rows were changed.
    pub(crate) async fn forget_step(&self) -> Result<u64, AuditError> {
        let core = self.core();
        let now = core.clock.now();
        let mut tx = core.db.begin_read(SCOPE).await?;
        let due = tx.query(DUE, params![now]).await?;
        drop(tx);
        let mut changed = 0;
        for row in &due {
            let (account, since): (Id<ids::Account>, Timestamp) = (row.get(0)?, row.get(1)?);
            let rows = self.clear_some(account).await?;
            changed += rows;
            if rows > 0 {
                continue;
            }
            self.scrub().await?;
            let mut tx = core.db.begin(SCOPE).await?;
            if now.since_ms(since) >= WINDOW_MS {
                tx.execute(DONE, params![account, since]).await?;
            } else {
                tx.execute(LATER, params![account, now.plus_ms(AGAIN_MS)]).await?;
            }
            tx.commit().await?;
        }
        Ok(changed)
    }

    /// Some rows of one person, in one transaction; 0 if there are none left.
    async fn clear_some(&self, account: Id<ids::Account>) -> Result<u64, AuditError> {
        let core = self.core();
        let mut tx = core.db.begin(SCOPE).await?;
        let mut states = HashMap::new();
        let me = format!("account:{account}");
        let about = tx.query(ABOUT, params![account]).await?;
        for row in &about {
            let (index, actor, body): (i64, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let gone = self.is_gone(&mut tx, &mut states, &body).await?;
            // The address is the sender's: of whoever did it, if that is somebody, else of whom it is about.
            let others = actor.starts_with("account:") && actor != me;
            let actor = if actor == me { SOMEBODY } else { &actor };
            let body: &[u8] = if gone { &[] } else { &body };
            tx.execute(CLEAR_ABOUT, params![index, actor, body]).await?;
            if !others {
                tx.execute(CLEAR_ADDRESS, params![index]).await?;
            }
        }
        let further = tx.query(FURTHER, params![account]).await?;
        for row in &further {
            let (index, slot, body): (i64, i64, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            tx.execute(CLEAR_ACTOR, params![index, me.as_str(), SOMEBODY]).await?;
            if self.is_gone(&mut tx, &mut states, &body).await? {
                tx.execute(DROP_BODY, params![index, slot]).await?;
            } else {
                tx.execute(DISOWN_BODY, params![index, slot, NOBODY]).await?;
            }
        }
        let rows = about.len() + further.len();
        if rows > 0 {
            tx.commit().await?;
        }
        Ok(rows as u64)
    }

    /// Whether a body is sealed under a key that was destroyed. One under the trail's own key has nothing personal in it.
    async fn is_gone(
        &self,
        tx: &mut Tx,
        states: &mut HashMap<[u8; 16], bool>,
        body: &[u8],
    ) -> Result<bool, AuditError> {
        let Ok(KeyRef(key)) = envelope::key_ref(body) else { return Ok(false) };
        if let Some(gone) = states.get(&key) {
            return Ok(*gone);
        }
        let gone = self.core().keys.key_state(tx, KeyRef(key)).await? == KeyState::Destroyed;
        states.insert(key, gone);
        Ok(gone)
    }

    /// Writes zeros over the pages that SQLite has freed. What leaves the outbox is not overwritten at once (that would
    /// double its cost), and a row of the outbox names people. On PostgreSQL that is VACUUM's work.
    async fn scrub(&self) -> Result<(), AuditError> {
        let core = self.core();
        if core.db.dialect() != Dialect::Sqlite {
            return Ok(());
        }
        let mut tx = core.db.begin(SCOPE).await?;
        let freed: i64 = tx.query_one(FREED, params![]).await?.get(0)?;
        if freed == 0 {
            return Ok(());
        }
        let pieces = (freed / PIECE).min(PIECES);
        for _ in 0..pieces {
            tx.execute(FILL, params![PIECE]).await?;
        }
        tx.execute(FILL, params![freed % PIECE]).await?;
        tx.execute(EMPTY, params![]).await?;
        tx.commit().await?;
        Ok(())
    }
}
