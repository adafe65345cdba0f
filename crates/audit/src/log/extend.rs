//! Puts events into the log: the next indexes, rows, tiles and the signed checkpoint, in a transaction that is open.
//!
//! The sequencer does it with what waits in the outbox. Where writing is one at a time anyway (SQLite), the leader's
//! writer does it at once with what it was about to put there, which saves writing and reading every event twice.

use base::Scope;
use crypto::log::Edge;
use store::{DbError, Dialect, Tx, Value, params, sql};

use super::TreeHead;
use super::growth::{self, COLUMNS, Growth, Next};
use super::reading::{self, integer};
use crate::AuditError;
use crate::writer::{BATCH, Core};

/// Rows of one multi-row statement. On PostgreSQL each statement is a round trip.
const GROUP: usize = 8;

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
    MOVE = "UPDATE audit_tree SET size = $1, root = $2, checkpoint = $3, at = $4, leader = $5
            WHERE only_row = 1 AND size = $6 AND root = $7";
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
    PUT_TILE = "INSERT INTO audit_tile (level, number, hashes) VALUES ($1, $2, $3)
                ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes";
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
    ($core:expr, $point:ident) => {
        #[cfg(test)]
        if *$core.log.cut.lock() == Some($crate::log::extend::Cut::$point) {
            return Err(AuditError::Damaged("cut".into()));
        }
    };
}

pub(super) use cut;

/// Extends the tree by a batch; nothing is said of it before the transaction is committed. `None` if another node moved
/// the tree meanwhile: then the transaction must not be committed.
pub(super) async fn extend(
    core: &Core,
    tx: &mut Tx,
    origin: &str,
    batch: &[&Next],
) -> Result<Option<TreeHead>, AuditError> {
    let head = reading::head(tx).await?;
    // What this process left is right if it has the size and the root of the database, whatever happened since.
    let known =
        core.log.edge.lock().take().filter(|edge| edge.size() == head.size && edge.root() == head.root);
    let edge = match known {
        Some(edge) => edge,
        None => restore(tx, &head).await?,
    };
    let growth = Growth::of(&edge, batch);
    let at = core.clock.now();
    let checkpoint = core.keys.sign_checkpoint(origin, growth.edge.size(), growth.root)?;
    let moved = params![
        integer(growth.edge.size()),
        growth.root,
        checkpoint.as_str(),
        at,
        core.log.me,
        integer(head.size),
        head.root
    ];
    if tx.execute(MOVE, moved).await? == 0 {
        return Ok(None);
    }
    cut!(core, AfterMoving);
    insert(core, tx, &rows(growth.from, batch)).await?;
    cut!(core, AfterEvents);
    for (index, next) in (growth.from..).zip(batch) {
        for (slot, body) in (1_u32..).zip(&next.event.bodies[1..]) {
            let body = params![integer(index), slot, next.leaf.id, body.account, body.record.as_slice()];
            tx.execute(ADD_BODY, body).await?;
        }
    }
    for (tile, hashes) in &growth.tiles {
        tx.execute(PUT_TILE, params![tile.level, integer(tile.index), hashes.as_slice()]).await?;
    }
    let grown = TreeHead { size: growth.edge.size(), root: growth.root, checkpoint: checkpoint.into(), at };
    *core.log.edge.lock() = Some(growth.edge);
    Ok(Some(grown))
}

/// Puts durable events into the log at once, past the outbox; `false` if that is not possible here and now.
pub(crate) async fn straight(core: &Core, events: &[&Next]) -> Result<bool, DbError> {
    let Some(origin) = core.log.origin.get() else { return Ok(false) };
    let may =
        core.db.dialect() == Dialect::Sqlite && core.log.leads() && events.iter().all(|next| next.fits());
    if !may {
        return Ok(false);
    }
    let mut tx = core.db.begin(Scope::System("audit writer")).await?;
    match extend(core, &mut tx, origin, events).await {
        Ok(Some(head)) => {
            tx.commit().await?;
            core.publish(&head);
            Ok(true)
        }
        // Whatever it was, even a damaged page of the log, the outbox takes the events, and the sequencer finds out, says
        // so, and leads again when it can.
        Ok(None) | Err(_) => {
            core.log.set_leads(false);
            Ok(false)
        }
    }
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

fn rows(first: u64, batch: &[&Next]) -> Vec<Value> {
    let mut values = Vec::with_capacity(batch.len() * COLUMNS);
    for (index, next) in (first..).zip(batch) {
        growth::row(index, next, &mut values);
    }
    values
}

async fn insert(core: &Core, tx: &mut Tx, rows: &[Value]) -> Result<(), DbError> {
    let groups = rows.chunks_exact(GROUP * COLUMNS);
    let rest = groups.remainder();
    for group in groups {
        tx.execute(ADD_8, group).await?;
        // Whoever waits for a durable event is a request, too; such batches are small.
        if rows.len() > BATCH * COLUMNS {
            core.give_way();
        }
    }
    for row in rest.chunks_exact(COLUMNS) {
        tx.execute(ADD, row).await?;
    }
    Ok(())
}
