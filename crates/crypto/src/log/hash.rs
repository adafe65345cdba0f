//! Hashes of the tree (RFC 6962 section 2.1): leaves and nodes have different first bytes, so that neither
//! can be passed off as the other.

use aws_lc_rs::digest::{Context, SHA256, digest};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

const LEAF: u8 = 0x00;
const NODE: u8 = 0x01;
/// Leaves up to this size are hashed from the stack in one call: an incremental context costs an allocation.
const SHORT: usize = 2047;

/// The hash of one entry: `SHA-256(0x00 || entry)`.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    if entry.len() <= SHORT {
        let mut message = [0; SHORT + 1];
        message[0] = LEAF;
        message[1..=entry.len()].copy_from_slice(entry);
        return to_32(digest(&SHA256, &message[..=entry.len()]).as_ref());
    }
    let mut context = Context::new(&SHA256);
    context.update(&[LEAF]);
    context.update(entry);
    to_32(context.finish().as_ref())
}

/// The hash of two subtrees: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut message = [0; 65];
    message[0] = NODE;
    message[1..33].copy_from_slice(left);
    message[33..].copy_from_slice(right);
    to_32(digest(&SHA256, &message).as_ref())
}

/// The root of the tree without leaves: `SHA-256("")`.
pub fn empty_root() -> Hash {
    to_32(digest(&SHA256, b"").as_ref())
}

/// The root over hashes whose number is a power of two; `None` for any other number.
pub fn perfect_root(hashes: &[Hash]) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        for pair in 0..level.len() / 2 {
            level[pair] = node_hash(&level[2 * pair], &level[2 * pair + 1]);
        }
        level.truncate(level.len() / 2);
    }
    level.first().copied()
}

fn to_32(bytes: &[u8]) -> Hash {
    bytes.try_into().expect("SHA-256 gives 32 bytes")
}
