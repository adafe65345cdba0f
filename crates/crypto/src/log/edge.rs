//! The right edge of a growing tree: its partial tiles, from which the next tiles follow.

use super::Malformed;
use super::frontier::Frontier;
use super::hash::{Hash, perfect_root};
use super::tile::{Tile, hashes_from_bytes};

/// The partial tile of each level. What a sequencer keeps between two batches, and a verifier while it
/// reads: at most 255 hashes for each of eight levels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    levels: [Vec<Hash>; 8],
}

impl Edge {
    /// The empty tree's.
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge of a tree of `size` leaves; `read` gives the bytes of its partial tiles.
    ///
    /// # Errors
    /// What `read` says, or [`Malformed`] for a tile of another length. The hashes are not checked:
    /// compare [`Edge::root`] with a root that is known.
    pub fn restore<E: From<Malformed>>(
        size: u64,
        mut read: impl FnMut(Tile) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let mut edge = Self { size, ..Self::default() };
        for tile in Tile::partial_in_tree(size) {
            let bytes = read(tile)?;
            edge.levels[usize::from(tile.level)] = hashes_from_bytes(tile, &bytes)?.to_vec();
        }
        Ok(edge)
    }

    /// How many leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends leaf hashes. Calls `full` with every tile as it becomes full, each before those above it.
    /// The tiles that remain partial are [`Edge::partial`].
    pub fn append(&mut self, leaves: &[Hash], mut full: impl FnMut(Tile, &[Hash])) {
        for leaf in leaves {
            self.size += 1;
            self.levels[0].push(*leaf);
            let (mut level, mut span) = (0_u8, self.size);
            while self.levels[usize::from(level)].len() == 256 {
                span >>= 8;
                let hashes = std::mem::take(&mut self.levels[usize::from(level)]);
                full(Tile::full(level, span - 1), &hashes);
                let root = perfect_root(&hashes).expect("256 is a power of two");
                // The room is kept for the next tile.
                let mut room = hashes;
                room.clear();
                self.levels[usize::from(level)] = room;
                level += 1;
                let Some(above) = self.levels.get_mut(usize::from(level)) else { break };
                above.push(root);
            }
        }
    }

    /// The partial tiles, level 0 first; none is empty.
    pub fn partial(&self) -> impl Iterator<Item = (Tile, &[Hash])> {
        Tile::partial_in_tree(self.size).map(|tile| (tile, &*self.levels[usize::from(tile.level)]))
    }

    /// The complete subtrees.
    pub fn frontier(&self) -> Frontier {
        let mut nodes = Vec::with_capacity(self.size.count_ones() as usize);
        for level in self.levels.iter().rev() {
            let mut rest = &level[..];
            while !rest.is_empty() {
                let (first, after) = rest.split_at(1 << rest.len().ilog2());
                nodes.push(perfect_root(first).expect("its length is a power of two"));
                rest = after;
            }
        }
        Frontier::from_nodes(self.size, nodes).expect("the widths of the partial tiles are the size's digits")
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        self.frontier().root()
    }
}
