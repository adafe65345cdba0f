//! A log that proves itself: the RFC 6962 Merkle tree and the C2SP formats around it.
//!
//! | file | what | text |
//! |---|---|---|
//! | `hash` | leaf and node hashes, roots | RFC 6962 section 2.1 |
//! | `frontier`, `edge` | a growing tree in constant memory; its tiles | c2sp.org/tlog-tiles |
//! | `tile` | tile coordinates and paths, entry bundles | c2sp.org/tlog-tiles |
//! | `proof` | inclusion and consistency, built and verified | RFC 6962, RFC 9162 section 2.1 |
//! | `vkey`, `signer`, `note` | signed notes, cosignatures (Ed25519, ML-DSA-44) | c2sp.org/signed-note, tlog-cosignature |
//! | `checkpoint` | signed tree heads | c2sp.org/tlog-checkpoint |
//! | `proof_file` | `.tlog-proof` files | c2sp.org/tlog-proof |
//! | `witness` | `add-checkpoint` bodies and a witness's decision | c2sp.org/tlog-witness |
//!
//! Everything here is a pure function over bytes: no IO, no clock. What comes from outside is bounded and
//! never panics.
//!
//! ```
//! use base::{Entropy, Timestamp};
//! use crypto::log::{Checkpoint, Frontier, KeyType, LogSigner, leaf_hash};
//!
//! let (signer, _seed) = LogSigner::generate("log.example/audit", KeyType::Ed25519, &Entropy::seeded(1)).unwrap();
//! let mut tree = Frontier::new();
//! tree.push(leaf_hash(b"first"));
//! tree.push(leaf_hash(b"second"));
//! let head = Checkpoint::new("log.example/audit", tree.size(), tree.root()).unwrap();
//! let note = head.sign(&[&signer], Timestamp::from_millis(0)).unwrap();
//! let read = Checkpoint::open(&note, "log.example/audit", &[signer.verifier().clone()]).unwrap();
//! assert_eq!(read.checkpoint.size, 2);
//! ```

mod checkpoint;
mod edge;
mod frontier;
mod hash;
mod note;
mod proof;
mod proof_file;
mod signer;
#[cfg(test)]
mod tests;
mod tile;
mod vkey;
mod witness;

pub use checkpoint::{Checkpoint, OpenCheckpoint};
pub use edge::Edge;
pub use frontier::Frontier;
pub use hash::{Hash, empty_root, leaf_hash, node_hash, perfect_root};
pub use note::{MAX_NOTE_BYTES, MAX_SIGNATURES, Note, NoteError, NoteSignature, Verified};
pub use proof::{
    MAX_PROOF_HASHES, Node, consistency_proof, inclusion_proof, root_at, verify_consistency, verify_inclusion,
};
pub use proof_file::ProofFile;
pub use signer::LogSigner;
pub use tile::{
    MAX_ENTRY_BYTES, TILE_WIDTH, Tile, TileKind, TilePath, TileReader, decode_bundle, encode_bundle,
    hashes_from_bytes, hashes_to_bytes,
};
pub use vkey::{KeyType, VerifierKey};
pub use witness::{AddCheckpoint, Refusal, accept_cosignatures, judge, size_from_conflict};

/// A text or byte string that does not follow its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {what} is malformed: {why}")]
pub struct Malformed {
    /// What was read, for example `checkpoint`.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Malformed {
    pub(crate) const fn new(what: &'static str, why: &'static str) -> Self {
        Self { what, why }
    }
}

/// A decimal number without sign and leading zeros, as all the formats here write it. Numbers above
/// 2^63 - 1 are refused, because other implementations hold sizes in a signed integer.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let canonical = match bytes {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let number: u64 = canonical.then(|| text.parse().ok())??;
    i64::try_from(number).is_ok().then_some(number)
}

/// One hash in standard base64 (RFC 4648 section 4), canonical.
pub(crate) fn parse_hash(text: &str) -> Option<Hash> {
    use base64::Engine;
    // 32 bytes are 44 characters; a longer text need not be decoded to be refused.
    if text.len() != 44 {
        return None;
    }
    base64::engine::general_purpose::STANDARD.decode(text).ok()?.try_into().ok()
}

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
