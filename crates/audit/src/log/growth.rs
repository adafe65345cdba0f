//! One step of the tree's growth, computed before anything is written: it is pure, and nobody waits for it.

use crypto::log::{Edge, Hash, Tile, hashes_to_bytes, leaf_hash};
use store::Value;

use crate::leaf::Leaf;
use crate::packed::{self, SealedEvent};

/// A row of the outbox that holds nothing readable, or an event in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// An event with what its leaf says, ready for the log.
pub(crate) struct Next {
    pub(crate) leaf: Leaf,
    pub(crate) event: SealedEvent,
}

impl Next {
    /// Whether the log can take it: what does not fit would stop everything behind it.
    pub(super) fn fits(&self) -> bool {
        self.event.leaf.len() <= crate::leaf::MAX_LEAF && self.leaf.bodies.len() == self.event.bodies.len()
    }
}

/// The events of one row of the outbox.
pub(super) fn read(packed: &[u8]) -> Result<Vec<Next>, Unreadable> {
    let events = packed::unpack(packed).map_err(|_| Unreadable)?;
    let read = |event: SealedEvent| {
        let leaf = Leaf::decode(&event.leaf).map_err(|_| Unreadable)?;
        Some(Next { leaf, event }).filter(Next::fits).ok_or(Unreadable)
    };
    events.into_iter().map(read).collect()
}

/// What a batch makes of the tree.
pub(super) struct Growth {
    /// The size before.
    pub(super) from: u64,
    /// The edge after.
    pub(super) edge: Edge,
    /// The root after.
    pub(super) root: Hash,
    /// Every tile that is new or wider than before, as it is now.
    pub(super) tiles: Vec<(Tile, Vec<u8>)>,
}

impl Growth {
    /// Appends a batch to a tree.
    pub(super) fn of(edge: &Edge, batch: &[&Next]) -> Self {
        let mut after = edge.clone();
        let hashes: Vec<Hash> = batch.iter().map(|next| leaf_hash(&next.event.leaf)).collect();
        let mut tiles = Vec::new();
        after.append(&hashes, |tile, hashes| tiles.push((tile, hashes_to_bytes(hashes))));
        let grown: Vec<Tile> = Tile::grown(edge.size(), after.size()).collect();
        let partial = after.partial().filter(|(tile, _)| grown.contains(tile));
        tiles.extend(partial.map(|(tile, hashes)| (tile, hashes_to_bytes(hashes))));
        let root = after.root();
        Self { from: edge.size(), edge: after, root, tiles }
    }
}

/// Columns of `audit_event`, in the order of [`row`].
pub(super) const COLUMNS: usize = 16;

/// The values of one row.
pub(super) fn row(index: u64, next: &Next, into: &mut Vec<Value>) {
    let Next { leaf, event } = next;
    let actor = match event.actor {
        Some(id) => format!("account:{id}"),
        None => leaf.actor.clone(),
    };
    into.extend([
        super::reading::integer(index).into(),
        leaf.id.into(),
        leaf.at.into(),
        leaf.kind.as_str().into(),
        leaf.severity.into(),
        leaf.outcome.as_str().into(),
        event.account.into(),
        actor.into(),
        leaf.request.into(),
        leaf.method.as_deref().into(),
        leaf.route.as_deref().into(),
        leaf.status.into(),
        event.address_index.into(),
        u32::try_from(event.bodies.len()).unwrap_or(u32::MAX).into(),
        event.leaf.as_slice().into(),
        event.bodies[0].record.as_slice().into(),
    ]);
}
