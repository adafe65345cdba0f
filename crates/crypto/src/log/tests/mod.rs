//! Tests of the log formats: published vectors, attacks, and random input.

mod formats;
mod properties;
mod tree;
mod witness;

use super::*;

pub(super) fn hash(hex_text: &str) -> Hash {
    hex::decode(hex_text).unwrap().try_into().unwrap()
}

/// A tree whose leaf hashes are all kept: what proofs are read from in the tests.
pub(super) struct WholeTree(pub(super) Vec<Hash>);

impl WholeTree {
    pub(super) fn of(leaves: u64) -> Self {
        Self((0..leaves).map(|i| leaf_hash(&i.to_be_bytes())).collect())
    }

    pub(super) fn size(&self) -> u64 {
        self.0.len() as u64
    }

    /// The definition of RFC 6962, written as it stands there.
    pub(super) fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            more => {
                let split = more.len().next_power_of_two() / 2;
                node_hash(&Self::root(&more[..split]), &Self::root(&more[split..]))
            }
        }
    }

    pub(super) fn root_at(&self, size: u64) -> Hash {
        Self::root(&self.0[..usize::try_from(size).unwrap()])
    }

    pub(super) fn node(&self, node: Node) -> Result<Hash, Malformed> {
        let (start, length) = (usize::try_from(node.index << node.level).unwrap(), 1 << node.level);
        let leaves = self.0.get(start..start + length).ok_or(Malformed::new("tree", "no such node"))?;
        Ok(Self::root(leaves))
    }

    pub(super) fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
        inclusion_proof(index, size, |node| self.node(node)).unwrap().unwrap()
    }

    pub(super) fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        consistency_proof(old, new, |node| self.node(node)).unwrap().unwrap()
    }
}
