//! The sequencer: takes events from the outbox in the order in which they became visible, gives them the next
//! indexes, and grows the tree, all in one transaction.
//!
//! Every node runs one. The tree head's row decides: a batch moves it from the size and root that it was computed on,
//! so that of two nodes which sequence at once only one gets through, and the other starts over. Who moved the head last
//! is its leader and goes on; the others watch, and step in when the leader left or nothing moves although events wait.

use std::sync::Arc;
use std::time::Duration;

use base::{Actor, Id, Scope, Timestamp, kind as ids};
use crypto::log::Edge;
use store::{DbError, Dialect, Row, Tx, Value, params, sql};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::TreeHead;
use super::growth::{self, COLUMNS, Growth, Next};
use super::reading::{self, integer};
use crate::outbox;
use crate::packed::Packer;
use crate::writer::Core;
use crate::{AuditError, Event, Outcome, Record};

/// Events of one batch, about: the rows that are read end at the one with which it is reached. Small, because on SQLite
/// everybody else who writes waits for the batch.
const BATCH: usize = 128;
/// How often the outbox is looked at when nobody calls.
const POLL: Duration = Duration::from_millis(50);
/// How often, and how many times, after somebody said that an event comes with a transaction that is not stored yet.
const SOON: Duration = Duration::from_millis(4);
const SOON_LOOKS: u32 = 12;
/// How long a leader may stand still while events wait, before another node steps in.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a batch may wait for the flush of somebody who is in a hurry: what it moves is durable already.
const ALONG: Duration = Duration::from_millis(10);
/// How long a failing database is left alone.
const RETRY: Duration = Duration::from_millis(250);
/// Rows of one multi-row statement. On PostgreSQL each statement is a round trip.
const GROUP: usize = 8;

const SCOPE: Scope = Scope::System("audit sequencer");

macro_rules! insert {
    ($($values:literal)*) => {
        concat!(
            "INSERT INTO audit_event (idx, id, at, kind, severity, outcome, account_id, actor, request_id, method, ",
            "route, status, address_index, bodies, leaf, body) VALUES ",
            $($values,)*
        )
    };
}

sql! {
    // At most 128 rows and about 256 KiB. The numbers stand in the text: SQLite prepares a statement anew whenever a
    // parameter of LIMIT is bound.
    WAITING = "SELECT seq, events FROM (SELECT seq, events, CAST(sum(length(events)) OVER (ORDER BY seq) AS bigint) AS total
               FROM (SELECT seq, events FROM audit_outbox ORDER BY seq LIMIT 128) AS first_rows) AS counted
               WHERE total - length(events) < 262144 ORDER BY seq";
    LEADER = "SELECT leader FROM audit_tree WHERE only_row = 1";
    MOVE = "UPDATE audit_tree SET size = $1, root = $2, checkpoint = $3, at = $4, leader = $5
            WHERE only_row = 1 AND size = $6 AND root = $7";
    LEAVE = "UPDATE audit_tree SET leader = NULL WHERE only_row = 1 AND leader = $1";
    ADD = insert!("($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)");
    ADD_8 = insert!(
        "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16),"
        "($17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32),"
        "($33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48),"
        "($49, $50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60, $61, $62, $63, $64),"
        "($65, $66, $67, $68, $69, $70, $71, $72, $73, $74, $75, $76, $77, $78, $79, $80),"
        "($81, $82, $83, $84, $85, $86, $87, $88, $89, $90, $91, $92, $93, $94, $95, $96),"
        "($97, $98, $99, $100, $101, $102, $103, $104, $105, $106, $107, $108, $109, $110, $111, $112),"
        "($113, $114, $115, $116, $117, $118, $119, $120, $121, $122, $123, $124, $125, $126, $127, $128)"
    );
    ADD_BODY = "INSERT INTO audit_body (idx, slot, id, account_id, body) VALUES ($1, $2, $3, $4, $5)";
    // Exactly the rows that were read: on PostgreSQL one with a smaller number may become visible later.
    TAKE = sqlite "DELETE FROM audit_outbox WHERE seq IN (SELECT value FROM json_each($1))",
        postgres "DELETE FROM audit_outbox WHERE seq IN
                  (SELECT number::bigint FROM jsonb_array_elements_text($1::text::jsonb) AS list(number))";
    // What leaves the outbox is sealed and stands in the log: to overwrite it with zeros would write it once more.
    LEAVE_TRACES = sqlite "PRAGMA secure_delete = FAST", postgres "SELECT 1";
    LEAVE_NO_TRACES = sqlite "PRAGMA secure_delete = ON", postgres "SELECT 1";
    PUT_TILE = "INSERT INTO audit_tile (level, number, hashes) VALUES ($1, $2, $3)
                ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes";
    KNOWN = "SELECT 1 FROM audit_event WHERE id = $1";
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The tree grew, or another node was faster: look again at once.
    Again,
    /// Nothing waits, or another node leads.
    Rest,
}

/// One node's sequencer.
pub(crate) struct Sequencer {
    core: Arc<Core>,
    /// This process, as the tree's leader.
    me: [u8; 16],
    /// The log's name, once the keys are there.
    origin: Option<String>,
    /// The tree as this node left it; trusted only while its size and root are those of the database.
    edge: Edge,
    /// The size at which another leader was seen to stand still, and since when.
    still: Option<(u64, Instant)>,
    /// Where the next step dies, as if the process had been killed there.
    #[cfg(test)]
    pub(crate) cut: Option<Cut>,
    /// Leads whoever led last.
    #[cfg(test)]
    pub(crate) usurps: bool,
}

/// Points between two steps of a batch.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    BeforeWriting,
    AfterMoving,
    AfterEvents,
    BeforeCommit,
    AfterCommit,
}

/// Dies here if the test wants it.
macro_rules! cut {
    ($sequencer:expr, $point:ident) => {
        #[cfg(test)]
        if $sequencer.cut == Some(Cut::$point) {
            return Err(AuditError::Damaged("cut".into()));
        }
    };
}

/// Runs until the writer has ended and nothing waits that this node could take.
pub(super) async fn run(core: Arc<Core>, mut writer_done: oneshot::Receiver<()>) {
    let mut sequencer = Sequencer::new(Arc::clone(&core));
    let (mut ending, mut soon) = (false, 0_u32);
    loop {
        let step = sequencer.step().await;
        let pause = match &step {
            Ok(Step::Again) => {
                soon = 0;
                // Whoever waits for the writer gets a turn between two batches.
                tokio::task::yield_now().await;
                continue;
            }
            Ok(Step::Rest) if soon > 0 => SOON,
            Ok(Step::Rest) => POLL,
            Err(_) => RETRY,
        };
        if ending {
            break;
        }
        tokio::select! {
            // Events that wait and nobody takes are for the next process.
            _ = &mut writer_done => ending = true,
            () = core.written.notified() => {}
            () = core.log.wanted.notified() => soon = SOON_LOOKS,
            () = tokio::time::sleep(pause) => soon = soon.saturating_sub(1),
        }
    }
    sequencer.leave().await;
}

impl Sequencer {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let me = core.entropy.bytes();
        Self {
            core,
            me,
            origin: None,
            edge: Edge::new(),
            still: None,
            #[cfg(test)]
            cut: None,
            #[cfg(test)]
            usurps: false,
        }
    }

    /// Looks at the outbox once and takes one batch. What fails is said once and tried again.
    pub(crate) async fn step(&mut self) -> Result<Step, AuditError> {
        let step = self.try_step().await;
        let mut failure = self.core.log.failure.lock();
        match &step {
            Ok(_) => *failure = None,
            Err(error) => {
                let message = error.to_string();
                metrics::counter!("fortissimo_audit_sequencer_errors_total").increment(1);
                if failure.as_ref() != Some(&message) {
                    tracing::error!(%error, "the log does not grow; what is recorded waits in the outbox");
                }
                *failure = Some(message);
                // Whatever it was: look at the tree anew.
                self.edge = Edge::new();
            }
        }
        step
    }

    async fn try_step(&mut self) -> Result<Step, AuditError> {
        let mut tx = self.core.db.begin_read(SCOPE).await?;
        let head = reading::head(&mut tx).await?;
        self.publish(&head);
        let rows = tx.query(WAITING, params![]).await?;
        if rows.is_empty() {
            self.still = None;
            return Ok(Step::Rest);
        }
        let leader: Option<[u8; 16]> = tx.query_one(LEADER, params![]).await?.get(0)?;
        if !self.may_lead(leader, head.size) {
            return Ok(Step::Rest);
        }
        if self.edge.size() != head.size || self.edge.root() != head.root {
            self.edge = restore(&mut tx, &head).await?;
        }
        drop(tx);

        let Batch { seqs, mut events, unreadable } = batch(&rows)?;
        if unreadable > 0 {
            events.push(self.tell_of(unreadable).await?);
        }
        match self.take(&head, &seqs, events).await {
            Err(AuditError::Store(error)) if error.is_unique() => {
                // An event is in the log already: a write whose answer was lost was done twice.
                let mut fresh = self.without_known(batch(&rows)?.events).await?;
                if unreadable > 0 {
                    fresh.push(self.tell_of(unreadable).await?);
                }
                self.take(&head, &seqs, fresh).await
            }
            taken => taken,
        }
    }

    /// Whether this node sequences: it did last, or nobody does.
    fn may_lead(&mut self, leader: Option<[u8; 16]>, size: u64) -> bool {
        #[cfg(test)]
        if self.usurps {
            return true;
        }
        if leader.is_none_or(|leader| leader == self.me) {
            self.still = None;
            return true;
        }
        match self.still {
            Some((seen, since)) if seen == size => since.elapsed() >= PATIENCE,
            _ => {
                self.still = Some((size, Instant::now()));
                false
            }
        }
    }

    /// Writes a batch; nothing of it if the tree has moved meanwhile.
    async fn take(
        &mut self,
        head: &TreeHead,
        seqs: &[i64],
        mut batch: Vec<Next>,
    ) -> Result<Step, AuditError> {
        let growth = Growth::of(&self.edge, &batch);
        let now = self.core.clock.now();
        let checkpoint = if batch.is_empty() {
            head.checkpoint.to_string()
        } else {
            let origin = self.origin().await?;
            self.core.keys.sign_checkpoint(&origin, growth.edge.size(), growth.root)?
        };
        let rows = rows(growth.from, &mut batch);

        cut!(self, BeforeWriting);
        let mut tx = self.core.db.begin(SCOPE).await?;
        let moved = params![
            integer(growth.edge.size()),
            growth.root,
            checkpoint.as_str(),
            now,
            self.me,
            integer(head.size),
            head.root
        ];
        if tx.execute(MOVE, moved).await? == 0 {
            return Ok(Step::Again);
        }
        cut!(self, AfterMoving);
        insert(&mut tx, &rows).await?;
        cut!(self, AfterEvents);
        for (index, next) in (growth.from..).zip(&batch) {
            for (slot, body) in (1_u32..).zip(&next.event.bodies[1..]) {
                let body = params![integer(index), slot, next.leaf.id, body.account, body.record.as_slice()];
                tx.execute(ADD_BODY, body).await?;
            }
        }
        for (tile, hashes) in &growth.tiles {
            tx.execute(PUT_TILE, params![tile.level, integer(tile.index), hashes.as_slice()]).await?;
        }
        let seqs = serde_json::to_string(seqs).expect("numbers serialise");
        if self.core.db.dialect() == Dialect::Sqlite {
            // Nobody else writes in between: the transaction holds the only writer.
            tx.query(LEAVE_TRACES, params![]).await?;
            let taken = tx.execute(TAKE, params![seqs]).await;
            let restored = tx.query(LEAVE_NO_TRACES, params![]).await;
            taken?;
            restored?;
        } else {
            tx.execute(TAKE, params![seqs]).await?;
        }
        cut!(self, BeforeCommit);
        tx.commit_along(ALONG).await?;
        cut!(self, AfterCommit);

        metrics::gauge!("fortissimo_log_size").set(growth.edge.size() as f64);
        self.publish(&TreeHead {
            size: growth.edge.size(),
            root: growth.root,
            checkpoint: checkpoint.into(),
            at: now,
        });
        self.edge = growth.edge;
        Ok(Step::Again)
    }

    /// The event that tells of rows that could not be read: they are taken out, so that they do not stop the log for ever.
    async fn tell_of(&self, unreadable: u64) -> Result<Next, AuditError> {
        tracing::error!(
            rows = unreadable,
            "the outbox held rows that are no events; they are counted as lost"
        );
        let core = &self.core;
        let at: Timestamp = core.clock.now();
        let event = Event::AuditGap {
            dropped: unreadable,
            refused: 0,
            from: at,
            to: at,
            reason: "unreadable".into(),
        };
        let record = Record::new(at, event).by(Actor::System("audit")).ended(Outcome::Failure);
        let id: Id<ids::Event> = Id::at(at, &core.entropy);
        let sealed = outbox::seal_remembered(&core.keys, &core.entropy, &record, id).await?;
        let sealed = sealed.expect("an event about nobody needs nobody's key");
        let mut events = growth::read(&Packer::of(&sealed))
            .map_err(|_| AuditError::Damaged("an event of our own cannot be read".into()))?;
        events.pop().ok_or_else(|| AuditError::Damaged("an event of our own cannot be read".into()))
    }

    async fn without_known(&self, events: Vec<Next>) -> Result<Vec<Next>, AuditError> {
        let mut tx = self.core.db.begin_read(SCOPE).await?;
        let (mut fresh, mut seen) = (Vec::with_capacity(events.len()), std::collections::HashSet::new());
        for next in events {
            if seen.insert(next.leaf.id) && tx.query_opt(KNOWN, params![next.leaf.id]).await?.is_none() {
                fresh.push(next);
            }
        }
        Ok(fresh)
    }

    async fn origin(&mut self) -> Result<String, AuditError> {
        if let Some(origin) = &self.origin {
            return Ok(origin.clone());
        }
        let settings = &self.core.settings;
        let origin = self.core.keys.prepare_log(&settings.origin, settings.post_quantum).await?;
        if origin != settings.origin {
            tracing::warn!(
                origin,
                configured = settings.origin,
                "the log keeps the name that its first keys gave it"
            );
        }
        self.origin = Some(origin.clone());
        Ok(origin)
    }

    /// Tells this process' readers of a tree that they do not know yet.
    fn publish(&self, head: &TreeHead) {
        self.core.head.send_if_modified(|known| {
            let newer = *known != *head && head.size >= known.size;
            if newer {
                known.clone_from(head);
            }
            newer
        });
    }

    /// Lets another node lead at once.
    pub(crate) async fn leave(&self) {
        let left = async {
            let mut tx = self.core.db.begin(SCOPE).await?;
            tx.execute(LEAVE, params![self.me]).await?;
            tx.commit().await
        };
        if let Err(error) = left.await {
            tracing::debug!(%error, "the log's leadership was not given back; others wait a moment longer");
        }
    }
}

/// What is taken from the outbox at once.
struct Batch {
    seqs: Vec<i64>,
    events: Vec<Next>,
    /// Rows that hold nothing readable.
    unreadable: u64,
}

fn batch(rows: &[Row]) -> Result<Batch, AuditError> {
    let mut batch = Batch { seqs: Vec::new(), events: Vec::with_capacity(BATCH), unreadable: 0 };
    for row in rows {
        let (seq, packed): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        batch.seqs.push(seq);
        match growth::read(&packed) {
            Ok(events) => batch.events.extend(events),
            Err(growth::Unreadable) => batch.unreadable += 1,
        }
        if batch.events.len() >= BATCH {
            break;
        }
    }
    Ok(batch)
}

/// The edge of the tree in the database.
async fn restore(tx: &mut Tx, head: &TreeHead) -> Result<Edge, AuditError> {
    let mut tiles = Vec::new();
    for tile in crypto::log::Tile::partial_in_tree(head.size) {
        tiles.push((tile, reading::hashes(tx, tile).await?));
    }
    let damaged = |error: crypto::log::Malformed| AuditError::Damaged(error.to_string());
    let edge = Edge::restore(head.size, |wanted| {
        let found = tiles.iter().find(|(tile, _)| *tile == wanted);
        Ok::<_, crypto::log::Malformed>(found.map(|(_, bytes)| bytes.clone()).unwrap_or_default())
    })
    .map_err(damaged)?;
    if edge.root() != head.root {
        return Err(AuditError::Damaged("the tiles do not give the root of the tree".into()));
    }
    Ok(edge)
}

fn rows(first: u64, batch: &mut [Next]) -> Vec<Value> {
    let mut values = Vec::with_capacity(batch.len() * COLUMNS);
    for (index, next) in (first..).zip(batch) {
        growth::row(index, next, &mut values);
    }
    values
}

async fn insert(tx: &mut Tx, rows: &[Value]) -> Result<(), DbError> {
    let groups = rows.chunks_exact(GROUP * COLUMNS);
    let rest = groups.remainder();
    for group in groups {
        tx.execute(ADD_8, group).await?;
    }
    for row in rest.chunks_exact(COLUMNS) {
        tx.execute(ADD, row).await?;
    }
    Ok(())
}
