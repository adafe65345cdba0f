//! Whether a checkpoint is signed by whom it should be.

use crypto::log::{Checkpoint, Note, NoteError, VerifierKey};

use super::{Finding, Trust};

/// What a checkpoint's note says, and what is wrong with its signatures.
pub(super) struct Checked {
    pub(super) head: Option<Checkpoint>,
    pub(super) signed_by: Vec<String>,
    pub(super) finding: Option<Finding>,
}

/// Reads a note. The head is given even if nobody trusted signed it: it helps to say what happened.
pub(super) fn check(note: &str, trust: &Trust) -> Checked {
    let failed = |head, finding| Checked { head, signed_by: Vec::new(), finding: Some(finding) };
    let malformed = |error: crypto::log::Malformed| Finding::CheckpointMalformed { why: error.to_string() };
    let parsed = match Note::parse(note) {
        Ok(parsed) => parsed,
        Err(error) => return failed(None, malformed(error)),
    };
    let head = match Checkpoint::parse(parsed.text) {
        Ok(head) => head,
        Err(error) => return failed(None, malformed(error)),
    };
    let signers = match parsed.verify(&trust.keys) {
        Ok(signers) => signers,
        Err(NoteError::Forged(key)) => return failed(Some(head), Finding::CheckpointEdited { key }),
        Err(NoteError::Malformed(error)) => return failed(Some(head), malformed(error)),
        Err(NoteError::Unsigned | NoteError::OtherOrigin(_)) => {
            let keys = parsed.signatures.iter().take(16);
            let keys = keys.map(|line| format!("{}+{:08x}", line.name, line.id)).collect();
            return failed(Some(head), Finding::SignedByAnother { keys });
        }
    };
    // Who signs with a key may sign for its own name only, unless the caller says which log it is.
    let expected = trust.origin.as_deref().unwrap_or_else(|| trust.keys[signers[0].key].name());
    if head.origin != expected {
        let origin = head.origin.clone();
        return failed(Some(head), Finding::OtherLog { origin });
    }
    let label = |key: &VerifierKey| format!("{}+{:08x}", key.name(), key.id());
    let mut signed_by: Vec<String> = signers.iter().map(|signer| label(&trust.keys[signer.key])).collect();
    // A witness's line that does not verify is not counted, and takes nothing from the log's own signature.
    for witness in &trust.witnesses {
        if parsed.verify(std::slice::from_ref(witness)).is_ok() {
            signed_by.push(label(witness));
        }
    }
    Checked { head: Some(head), signed_by, finding: None }
}
