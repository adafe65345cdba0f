//! Signed notes (c2sp.org/signed-note): a text, an empty line, signature lines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Malformed;
use super::vkey::{VerifierKey, check_name};

/// A longer note is refused: room for [`MAX_SIGNATURES`] of the largest signatures.
pub const MAX_NOTE_BYTES: usize = 256 * 1024;
/// More signature lines are refused.
pub const MAX_SIGNATURES: usize = 64;
const PREFIX: &str = "\u{2014} ";

/// A note that was parsed and not yet verified: its text means nothing until it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note<'a> {
    /// The text with its last newline.
    pub text: &'a str,
    /// The signature lines in order.
    pub signatures: Vec<NoteSignature<'a>>,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature<'a> {
    /// The key's name.
    pub name: &'a str,
    /// The key's id.
    pub id: u32,
    /// The signature after the key id.
    pub signature: Vec<u8>,
    /// The line with its newline.
    pub line: &'a str,
}

/// A signature that verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Which of the trusted keys.
    pub key: usize,
    /// When the cosignature was made, in seconds; plain signatures have no time.
    pub time: Option<u64>,
}

/// Why a note is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is not a note, or its text is not what it should be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// No trusted key signed it.
    #[error("no trusted key has signed it")]
    Unsigned,
    /// A line names a trusted key, but the signature is not that key's over this text.
    #[error("the signature of {0} is not valid for this text")]
    Forged(String),
    /// The checkpoint is another log's.
    #[error("it is a checkpoint of {0}")]
    OtherOrigin(String),
}

impl<'a> Note<'a> {
    /// Parses a note.
    ///
    /// # Errors
    /// If it is too long, has control characters, no empty line, or a signature line that is not one.
    pub fn parse(note: &'a str) -> Result<Self, Malformed> {
        let malformed = |why| Malformed::new("signed note", why);
        if note.len() > MAX_NOTE_BYTES {
            return Err(malformed("it is too long"));
        }
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(malformed("it has control characters"));
        }
        let blank = note.rfind("\n\n").ok_or(malformed("it has no empty line"))?;
        let (text, lines) = (&note[..=blank], &note[blank + 2..]);
        if lines.is_empty() || !lines.ends_with('\n') {
            return Err(malformed("it does not end with a signature line"));
        }
        let signatures = signature_lines(lines)?;
        Ok(Self { text, signatures })
    }

    /// Checks the signatures of all trusted keys; others are ignored. Of several lines of one key only
    /// the first counts.
    ///
    /// # Errors
    /// [`NoteError::Forged`] if one of them does not verify, [`NoteError::Unsigned`] if there is none.
    pub fn verify(&self, trusted: &[VerifierKey]) -> Result<Vec<Verified>, NoteError> {
        let mut verified: Vec<Verified> = Vec::new();
        for line in &self.signatures {
            let Some(key) = trusted.iter().position(|k| k.id() == line.id && k.name() == line.name) else {
                continue;
            };
            if verified.iter().any(|v| v.key == key) {
                continue;
            }
            let time = trusted[key]
                .verify(self.text, &line.signature)
                .ok_or_else(|| NoteError::Forged(line.name.to_owned()))?;
            verified.push(Verified { key, time });
        }
        if verified.is_empty() { Err(NoteError::Unsigned) } else { Ok(verified) }
    }
}

/// Parses signature lines, as a note ends with them and a witness answers with them.
///
/// # Errors
/// If there are too many or one is not of the form `— <name> <base64>`.
pub(crate) fn signature_lines(lines: &str) -> Result<Vec<NoteSignature<'_>>, Malformed> {
    let malformed = |why| Malformed::new("signed note", why);
    let mut signatures = Vec::new();
    for line in lines.split_inclusive('\n') {
        if signatures.len() == MAX_SIGNATURES {
            return Err(malformed("it has too many signatures"));
        }
        let parts = line.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix('\n')?.split_once(' '));
        let (name, encoded) = parts.ok_or(malformed("a signature line has another form"))?;
        check_name(name)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| malformed("a signature is not base64"))?;
        let (id, signature) = bytes.split_first_chunk().ok_or(malformed("a signature is too short"))?;
        if signature.is_empty() {
            return Err(malformed("a signature is too short"));
        }
        signatures.push(NoteSignature {
            name,
            id: u32::from_be_bytes(*id),
            signature: signature.to_vec(),
            line,
        });
    }
    Ok(signatures)
}
