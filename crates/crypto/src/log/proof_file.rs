//! `.tlog-proof` files (c2sp.org/tlog-proof): everything that shows offline that an entry is in a log.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::{Checkpoint, OpenCheckpoint};
use super::hash::{Hash, leaf_hash};
use super::note::{MAX_NOTE_BYTES, NoteError};
use super::proof::{MAX_PROOF_HASHES, verify_inclusion};
use super::vkey::VerifierKey;
use super::{Malformed, base64, parse_decimal, parse_hash};

const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Room for one entry of the largest size, twice encoded, and the note.
const MAX_BYTES: usize = MAX_NOTE_BYTES + 256 * 1024;

/// A proof of inclusion with its checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// Data for the application, which the proof does not authenticate.
    pub extra: Option<Vec<u8>>,
    /// The entry's index.
    pub index: u64,
    /// The inclusion proof, the leaf's sibling first.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

impl ProofFile {
    /// The file's text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        if let Some(extra) = &self.extra {
            text.push_str(&format!("extra {}\n", base64(extra)));
        }
        text.push_str(&format!("index {}\n", self.index));
        for hash in &self.hashes {
            text.push_str(&base64(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Parses a file.
    ///
    /// # Errors
    /// If it is not one.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let malformed = |why| Malformed::new("proof", why);
        if text.len() > MAX_BYTES {
            return Err(malformed("it is too long"));
        }
        let rest = text
            .strip_prefix(HEADER)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or(malformed("it does not begin with c2sp.org/tlog-proof@v1"))?;
        let (head, checkpoint) = rest.split_once("\n\n").ok_or(malformed("it has no checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            None => None,
            Some(encoded) => {
                let bytes =
                    STANDARD.decode(encoded).map_err(|_| malformed("its extra data is not base64"))?;
                lines.next();
                Some(bytes)
            }
        };
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(parse_decimal)
            .ok_or(malformed("it has no index"))?;
        let hashes: Option<Vec<Hash>> = lines.take(MAX_PROOF_HASHES + 1).map(parse_hash).collect();
        let hashes = hashes.ok_or(malformed("a line of it is not a hash"))?;
        if hashes.len() > MAX_PROOF_HASHES {
            return Err(malformed("it has too many hashes"));
        }
        Ok(Self { extra, index, hashes, checkpoint: checkpoint.into() })
    }

    /// Verifies that `entry` is in the log of `origin`: the checkpoint's signature and the way to its root.
    /// How many witnesses are enough is the caller's policy, over [`OpenCheckpoint::signed_by`].
    ///
    /// # Errors
    /// What is wrong with the checkpoint, or [`NoteError::Malformed`] if the hashes do not lead to its root.
    pub fn verify(
        &self,
        entry: &[u8],
        origin: &str,
        trusted: &[VerifierKey],
    ) -> Result<OpenCheckpoint, NoteError> {
        let open = Checkpoint::open(&self.checkpoint, origin, trusted)?;
        let head = &open.checkpoint;
        if !verify_inclusion(&leaf_hash(entry), self.index, head.size, &self.hashes, &head.root) {
            return Err(
                Malformed::new("proof", "it does not lead from the entry to the checkpoint's root").into()
            );
        }
        Ok(open)
    }
}
