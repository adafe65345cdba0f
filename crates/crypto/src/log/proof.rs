//! Inclusion and consistency proofs (RFC 6962 section 2.1; verified as RFC 9162 section 2.1 says).

use super::hash::{Hash, empty_root, node_hash};

/// A proof never has more hashes: sizes are below 2^63 (and c2sp.org/tlog-witness sets the same bound).
pub const MAX_PROOF_HASHES: usize = 63;

/// A complete subtree: it covers the leaves from `index << level` to `(index + 1) << level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node {
    /// Its height; 0 for a leaf.
    pub level: u8,
    /// Counts from 0 within the level.
    pub index: u64,
}

/// The hashes that lead from leaf `index` to the root of the tree of `size` leaves, the leaf's sibling
/// first; `None` if the tree has no such leaf. `read` gives the hashes of complete subtrees.
///
/// # Errors
/// What `read` says.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    mut read: impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if index >= size {
        return Ok(None);
    }
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(range_root(middle, high, &mut read)?);
            high = middle;
        } else {
            path.push(range_root(low, middle, &mut read)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(Some(path))
}

/// The hashes that prove that the tree of `old` leaves is the beginning of the tree of `new` leaves;
/// empty if one of them is empty or they are equal, `None` if the old one is larger.
///
/// # Errors
/// What `read` says.
pub fn consistency_proof<E>(
    old: u64,
    new: u64,
    mut read: impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if old > new {
        return Ok(None);
    }
    if old == 0 || old == new {
        return Ok(Some(Vec::new()));
    }
    let (mut low, mut high) = (0, new);
    let mut path = Vec::new();
    // While the old tree is the whole left part, the verifier knows its root.
    let mut known = true;
    while high > old {
        let middle = low + split(high - low);
        if old <= middle {
            path.push(range_root(middle, high, &mut read)?);
            high = middle;
        } else {
            path.push(range_root(low, middle, &mut read)?);
            low = middle;
            known = false;
        }
    }
    if !known {
        path.push(range_root(low, high, &mut read)?);
    }
    path.reverse();
    Ok(Some(path))
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// What `read` says.
pub fn root_at<E>(size: u64, mut read: impl FnMut(Node) -> Result<Hash, E>) -> Result<Hash, E> {
    if size == 0 { Ok(empty_root()) } else { range_root(0, size, &mut read) }
}

/// Whether `proof` leads from `leaf` (a leaf hash) at `index` to `root` of a tree of `size` leaves.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size || proof.len() > MAX_PROOF_HASHES {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            // A right edge without a right sibling goes up until it has a left one.
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `old` leaves with `old_root` is the beginning of the tree of
/// `new` leaves with `new_root`.
pub fn verify_consistency(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old > new || proof.len() > MAX_PROOF_HASHES {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root && (old > 0 || *old_root == empty_root());
    }
    if old == 0 {
        return proof.is_empty() && *old_root == empty_root();
    }
    // A complete old tree is itself the first node of the way.
    let (first, rest) = match proof.split_first() {
        _ if old.is_power_of_two() => (*old_root, proof),
        Some((first, rest)) => (*first, rest),
        None => return false,
    };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let (mut from_old, mut from_new) = (first, first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            from_old = node_hash(sibling, &from_old);
            from_new = node_hash(sibling, &from_new);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            from_new = node_hash(&from_new, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && from_old == *old_root && from_new == *new_root
}

/// The largest power of two below `length`, which is at least 2.
const fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

/// The Merkle tree hash of the leaves from `low` to `high`, where `low` is a multiple of the largest power
/// of two in the length: it is made of complete subtrees, the largest first.
fn range_root<E>(low: u64, high: u64, read: &mut impl FnMut(Node) -> Result<Hash, E>) -> Result<Hash, E> {
    let mut parts = Vec::new();
    let mut start = low;
    while start < high {
        let level = (high - start).ilog2();
        let node =
            Node { level: u8::try_from(level).expect("a logarithm of 64 bits"), index: start >> level };
        parts.push(read(node)?);
        start += 1 << level;
    }
    let mut root = parts.pop().expect("no range is empty");
    while let Some(left) = parts.pop() {
        root = node_hash(&left, &root);
    }
    Ok(root)
}
