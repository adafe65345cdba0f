//! What logs and witnesses say to each other (c2sp.org/tlog-witness), and what a witness decides.

use super::checkpoint::Checkpoint;
use super::hash::{Hash, empty_root};
use super::note::{MAX_NOTE_BYTES, Note, NoteError, signature_lines};
use super::proof::{MAX_PROOF_HASHES, verify_consistency};
use super::vkey::VerifierKey;
use super::{Malformed, base64, parse_decimal, parse_hash};

/// The body of `POST <prefix>/add-checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the log believes the witness to have.
    pub old_size: u64,
    /// From there to the new size.
    pub proof: Vec<Hash>,
    /// The new signed checkpoint.
    pub checkpoint: String,
}

/// Why a witness does not cosign, with the status that the protocol gives to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400: the body is not one, or the old size is above the new one.
    #[error("the request is malformed")]
    Bad,
    /// 403: no trusted signature, or a wrong one in the name of a trusted key.
    #[error("the checkpoint is not signed by a key of its log")]
    Unsigned,
    /// 404: nobody asked this witness to watch that log.
    #[error("the log is not known here")]
    UnknownLog,
    /// 409: the witness is at this size; the body says it.
    #[error("the witness is at size {0}")]
    AtOtherSize(u64),
    /// 409: same size, another root. The log has forked.
    #[error("the witness knows another root of this size")]
    OtherRoot,
    /// 422: the proof does not connect the two trees.
    #[error("the consistency proof does not verify")]
    Inconsistent,
}

impl Refusal {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::Bad => 400,
            Self::Unsigned => 403,
            Self::UnknownLog => 404,
            Self::AtOtherSize(_) | Self::OtherRoot => 409,
            Self::Inconsistent => 422,
        }
    }
}

impl AddCheckpoint {
    /// The longest body that is read.
    pub const MAX_BYTES: usize = MAX_NOTE_BYTES + (MAX_PROOF_HASHES + 2) * 64;

    /// The request's body.
    pub fn to_text(&self) -> String {
        let mut text = format!("old {}\n", self.old_size);
        for hash in &self.proof {
            text.push_str(&base64(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Parses a request's body.
    ///
    /// # Errors
    /// If it is not one.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let malformed = |why| Malformed::new("request", why);
        if body.len() > Self::MAX_BYTES {
            return Err(malformed("it is too long"));
        }
        let text = std::str::from_utf8(body).map_err(|_| malformed("it is not UTF-8"))?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(malformed("it has no checkpoint"))?;
        let mut lines = head.split('\n');
        let old_size = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(parse_decimal)
            .ok_or(malformed("it has no old size"))?;
        let proof: Option<Vec<Hash>> = lines.take(MAX_PROOF_HASHES + 1).map(parse_hash).collect();
        let proof = proof.ok_or(malformed("a line of the proof is not a hash"))?;
        if proof.len() > MAX_PROOF_HASHES {
            return Err(malformed("the proof has too many hashes"));
        }
        Ok(Self { old_size, proof, checkpoint: checkpoint.into() })
    }

    /// Whose checkpoint it says it is, not yet verified: to look up the log's keys and state.
    ///
    /// # Errors
    /// If the checkpoint is malformed.
    pub fn origin(&self) -> Result<String, Malformed> {
        Checkpoint::read_unverified(&self.checkpoint).map(|head| head.origin)
    }
}

/// What a witness with these keys for the log, and this size and root as the last that it cosigned (size
/// 0 if none), answers: the head to store and then to cosign, or why not. The checks are in the
/// order of the protocol's text. Storing must be atomic with reading `latest`.
///
/// # Errors
/// The refusal.
pub fn judge(
    request: &AddCheckpoint,
    trusted: &[VerifierKey],
    latest: Option<(u64, Hash)>,
) -> Result<Checkpoint, Refusal> {
    if trusted.is_empty() {
        return Err(Refusal::UnknownLog);
    }
    let note = Note::parse(&request.checkpoint).map_err(|_| Refusal::Bad)?;
    let head = Checkpoint::parse(note.text).map_err(|_| Refusal::Bad)?;
    note.verify(trusted).map_err(|error| match error {
        NoteError::Malformed(_) => Refusal::Bad,
        _ => Refusal::Unsigned,
    })?;
    if request.old_size > head.size {
        return Err(Refusal::Bad);
    }
    let (known_size, known_root) = latest.unwrap_or((0, empty_root()));
    if request.old_size != known_size {
        return Err(Refusal::AtOtherSize(known_size));
    }
    if known_size == head.size && known_root != head.root {
        // Of size 0 there is one root; a log with another has not forked, it cannot count.
        return Err(if known_size == 0 { Refusal::Inconsistent } else { Refusal::OtherRoot });
    }
    if !verify_consistency(known_size, &known_root, head.size, &head.root, &request.proof) {
        return Err(Refusal::Inconsistent);
    }
    Ok(head)
}

/// The signature lines of a witness's answer that are `witness`'s and valid for the checkpoint's text, one for each key.
///
/// # Errors
/// If the answer is not signature lines, or none verifies.
pub fn accept_cosignatures(
    checkpoint: &str,
    answer: &str,
    witness: &[VerifierKey],
) -> Result<Vec<String>, NoteError> {
    let note = Note::parse(checkpoint)?;
    let lines = signature_lines(answer)?;
    let mut accepted = Vec::new();
    // One line per key: a note has room for few, and others' must not be crowded out.
    for key in witness {
        let valid = lines.iter().find(|line| {
            key.id() == line.id && key.name() == line.name && key.verify(note.text, &line.signature).is_some()
        });
        accepted.extend(valid.map(|line| line.line.to_owned()));
    }
    if accepted.is_empty() { Err(NoteError::Unsigned) } else { Ok(accepted) }
}

/// The size in the body of a 409 answer with content type `text/x.tlog.size`.
pub fn size_from_conflict(body: &str) -> Option<u64> {
    parse_decimal(body.strip_suffix('\n')?)
}
