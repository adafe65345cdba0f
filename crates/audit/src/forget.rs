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
use store::{Tx, Value, params, sql};
use tokio::sync::watch;

use crate::scrub::Scrub;
use crate::{Audit, AuditError};

sql! {
    // 0: nobody has looked yet. These come first.
    REMEMBER = "INSERT INTO audit_forget (account_id, since, next_at) VALUES ($1, $2, 0)
                ON CONFLICT (account_id) DO UPDATE SET since = excluded.since, next_at = 0";
    DUE = "SELECT account_id, since FROM audit_forget WHERE next_at <= $1 ORDER BY next_at LIMIT 16";
    // Most of what is on its way arrives at once; every further visit is a statement for the one who writes.
    LATER = "UPDATE audit_forget SET next_at = CAST($1 AS bigint) + CASE WHEN CAST($1 AS bigint) - since < 30000 THEN 30000
             WHEN CAST($1 AS bigint) - since < 300000 THEN 300000 WHEN CAST($1 AS bigint) - since < 7200000 THEN 3600000
             ELSE 300000 END
             WHERE account_id IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    DONE = "DELETE FROM audit_forget
            WHERE since <= $1 AND account_id IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    WAITING = "SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM audit_outbox";
    ABOUT = "SELECT idx, body FROM audit_event WHERE account_id = $1 ORDER BY id LIMIT 100";
    FURTHER = "SELECT b.idx, b.slot, b.body FROM audit_body AS b WHERE b.account_id = $1 ORDER BY b.id LIMIT 100";
    // No column is written back as it was read: the row may be somebody else's, too, who is erased at the same time.
    // The address is the sender's: of whoever did it, if that is somebody, else of whom it is about.
    CLEAR_ABOUT = "UPDATE audit_event SET account_id = NULL,
                   address_index = CASE WHEN actor LIKE 'account:%' AND actor <> $2 THEN address_index END,
                   actor = CASE WHEN actor = $2 THEN $3 ELSE actor END WHERE idx = $1";
    EMPTY_BODY = "UPDATE audit_event SET body = $2 WHERE idx = $1";
    CLEAR_ACTOR = "UPDATE audit_event SET actor = $3, address_index = NULL WHERE idx = $1 AND actor = $2";
    DROP_BODY = "DELETE FROM audit_body WHERE idx = $1 AND slot = $2";
    DISOWN_BODY = "UPDATE audit_body SET account_id = $3 WHERE idx = $1 AND slot = $2";
}

/// In the column of the actor: somebody with an account who was erased. The same word as in the leaf.
pub(crate) const SOMEBODY: &str = "account";
/// In the column of a body's owner, which is never null: somebody who was erased.
pub(crate) const NOBODY: Id<ids::Account> = Id::from_bytes([0; 16]);
/// How long after an erasure events about the person may still arrive: longer than any token or connection lives.
const WINDOW_MS: i64 = 2 * 3_600_000;
/// People who are looked for in one step; as many as the statements have places.
const STEP: usize = 16;
const PAUSE: Duration = Duration::from_secs(5);

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

/// What the task knows between two steps.
#[derive(Default)]
pub(crate) struct Forgetting {
    /// The newest of what waited in the outbox, and when that was looked at.
    mark: Option<(i64, Timestamp)>,
    /// Everything that was recorded before is in the log.
    logged_to: Option<Timestamp>,
    pub(crate) scrub: Scrub,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// How many rows were changed.
    pub(crate) rows: u64,
    /// More people may be due.
    pub(crate) more: bool,
}

/// A row that names somebody: the one of the event, or that of a further body.
enum Naming {
    About { body: Vec<u8> },
    Further { slot: i64, body: Vec<u8> },
}

impl Audit {
    /// Clears the columns that still name people who were erased, until `stop` becomes true. One such task in each
    /// server; several do no harm.
    pub async fn forget_erased(&self, mut stop: watch::Receiver<bool>) {
        let mut failed = false;
        let mut state = Forgetting::default();
        while !*stop.borrow() {
            match self.forget_step(&mut state).await {
                Ok(step) => {
                    failed = false;
                    if step.more || step.rows > 0 {
                        // Others write between two steps.
                        tokio::task::yield_now().await;
                        continue;
                    }
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
                Scrub::default().run(&self.core().db, self.core().clock.now()).await?;
                return Ok(all);
            }
            all += rows;
        }
    }

    /// One step for up to sixteen who are due, the new ones first.
    pub(crate) async fn forget_step(&self, state: &mut Forgetting) -> Result<Step, AuditError> {
        let core = self.core();
        let now = core.clock.now();
        // Before anybody is looked for: what gets into the log later is not counted on.
        let logged_to = self.logged_to(state, now).await?;
        let mut tx = core.db.begin_read(SCOPE).await?;
        let due = tx.query(DUE, params![now]).await?;
        drop(tx);
        let (mut changed, mut later, mut done) = (0, Vec::new(), Vec::new());
        for row in &due {
            let (account, since): (Id<ids::Account>, Timestamp) = (row.get(0)?, row.get(1)?);
            let rows = self.clear_some(account).await?;
            changed += rows;
            if rows == 0 {
                let over = logged_to.is_some_and(|to| to.since_ms(since) >= WINDOW_MS);
                if over { done.push(account) } else { later.push(account) }
            }
        }
        if changed > 0 || !due.is_empty() && !state.scrub.has_run() {
            state.scrub.needed();
        }
        if changed == 0 {
            state.scrub.if_due(&core.db, now).await?;
        }
        if !later.is_empty() || !done.is_empty() {
            let mut tx = core.db.begin(SCOPE).await?;
            if !later.is_empty() {
                tx.execute(LATER, &places(now, &later)).await?;
            }
            if let Some(to) = logged_to.filter(|_| !done.is_empty()) {
                tx.execute(DONE, &places(to.plus_ms(-WINDOW_MS), &done)).await?;
            }
            tx.commit().await?;
        }
        Ok(Step { rows: changed, more: due.len() == STEP })
    }

    /// Up to when everything that was recorded is in the log. An outbox that never becomes empty is followed by its
    /// numbers: once what waited then is gone, it is that far.
    async fn logged_to(
        &self,
        state: &mut Forgetting,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, AuditError> {
        let mut tx = self.core().db.begin_read(SCOPE).await?;
        let row = tx.query_one(WAITING, params![]).await?;
        let (oldest, newest): (i64, i64) = (row.get(0)?, row.get(1)?);
        if oldest == 0 {
            (state.logged_to, state.mark) = (Some(now), None);
        } else if let Some((_, at)) = state.mark.filter(|(newest, _)| oldest > *newest) {
            (state.logged_to, state.mark) = (Some(at), Some((newest, now)));
        } else if state.mark.is_none() {
            state.mark = Some((newest, now));
        }
        Ok(state.logged_to)
    }

    /// Some rows of one person, in one transaction; 0 if there are none left.
    async fn clear_some(&self, account: Id<ids::Account>) -> Result<u64, AuditError> {
        let core = self.core();
        // Who is visited again has mostly nothing: whoever writes need not wait for that.
        let mut tx = core.db.begin_read(SCOPE).await?;
        if naming(&mut tx, account).await?.is_empty() {
            return Ok(0);
        }
        drop(tx);
        let mut tx = core.db.begin(SCOPE).await?;
        let mut states = HashMap::new();
        let me = format!("account:{account}");
        let all = naming(&mut tx, account).await?;
        for (index, row) in &all {
            match row {
                Naming::About { body } => {
                    tx.execute(CLEAR_ABOUT, params![*index, me.as_str(), SOMEBODY]).await?;
                    if self.is_gone(&mut tx, &mut states, body).await? {
                        tx.execute(EMPTY_BODY, params![*index, &[][..]]).await?;
                    }
                }
                Naming::Further { slot, body } => {
                    tx.execute(CLEAR_ACTOR, params![*index, me.as_str(), SOMEBODY]).await?;
                    if self.is_gone(&mut tx, &mut states, body).await? {
                        tx.execute(DROP_BODY, params![*index, *slot]).await?;
                    } else {
                        tx.execute(DISOWN_BODY, params![*index, *slot, NOBODY]).await?;
                    }
                }
            }
        }
        tx.commit().await?;
        Ok(all.len() as u64)
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
}

/// What names a person, in the order of the log: two who are erased at the same time do not wait for each other.
async fn naming(tx: &mut Tx, account: Id<ids::Account>) -> Result<Vec<(i64, Naming)>, AuditError> {
    let mut all = Vec::new();
    for row in tx.query(ABOUT, params![account]).await? {
        all.push((row.get(0)?, Naming::About { body: row.get(1)? }));
    }
    for row in tx.query(FURTHER, params![account]).await? {
        all.push((row.get(0)?, Naming::Further { slot: row.get(1)?, body: row.get(2)? }));
    }
    all.sort_by_key(|(index, _)| *index);
    Ok(all)
}

/// A time and up to sixteen people; the places that are left are nobody's.
fn places(at: Timestamp, people: &[Id<ids::Account>]) -> Vec<Value> {
    let nobody = std::iter::repeat(&NOBODY);
    let people = people.iter().chain(nobody).take(STEP).map(|id| Value::from(*id));
    std::iter::once(Value::from(at)).chain(people).collect()
}
