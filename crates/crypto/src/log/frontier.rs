//! A tree that only grows, in constant memory: the roots of its complete subtrees.

use super::Malformed;
use super::hash::{Hash, empty_root, node_hash};

/// The complete subtrees of a tree of `size` leaves, the largest first: one for each bit of the size.
/// From it follow the root and every larger tree; nothing else of the tree need be kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    pub const fn new() -> Self {
        Self { size: 0, nodes: Vec::new() }
    }

    /// From the roots of the complete subtrees, largest first.
    ///
    /// # Errors
    /// If there are not as many as the size has bits set.
    pub fn from_nodes(size: u64, nodes: Vec<Hash>) -> Result<Self, Malformed> {
        if nodes.len() != size.count_ones() as usize {
            return Err(Malformed::new("frontier", "it has not one hash for each bit of its size"));
        }
        Ok(Self { size, nodes })
    }

    /// How many leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, largest first.
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// Appends one leaf hash.
    ///
    /// # Panics
    /// After 2^64 - 1 leaves.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        // Each trailing one is a complete subtree of the same height, which the new node completes.
        for _ in 0..self.size.trailing_ones() {
            let left = self.nodes.pop().expect("there is a subtree for each bit of the size");
            node = node_hash(&left, &node);
        }
        self.nodes.push(node);
        self.size = self.size.checked_add(1).expect("no log has 2^64 leaves");
    }

    /// Appends a batch of leaf hashes.
    pub fn extend(&mut self, leaves: &[Hash]) {
        for leaf in leaves {
            self.push(*leaf);
        }
    }

    /// The root: the Merkle tree hash of all leaves.
    pub fn root(&self) -> Hash {
        let mut nodes = self.nodes.iter().rev();
        let Some(mut root) = nodes.next().copied() else { return empty_root() };
        for left in nodes {
            root = node_hash(left, &root);
        }
        root
    }

    /// Size (8 bytes, big-endian) and the hashes, to be stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        bytes.extend_from_slice(self.nodes.as_flattened());
        bytes
    }

    /// What [`Frontier::to_bytes`] wrote.
    ///
    /// # Errors
    /// If the length does not fit the size.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let (size, hashes) = bytes.split_first_chunk().ok_or(Malformed::new("frontier", "it has no size"))?;
        let (nodes, rest) = hashes.as_chunks();
        if !rest.is_empty() {
            return Err(Malformed::new("frontier", "it ends within a hash"));
        }
        Self::from_nodes(u64::from_be_bytes(*size), nodes.to_vec())
    }
}
