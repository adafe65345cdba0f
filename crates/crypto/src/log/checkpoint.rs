//! Checkpoints: signed tree heads (c2sp.org/tlog-checkpoint).

use base::Timestamp;

use super::hash::Hash;
use super::note::{Note, NoteError, Verified};
use super::signer::LogSigner;
use super::vkey::VerifierKey;
use super::{Malformed, base64, parse_decimal, parse_hash};

/// A tree head: whose log, how many leaves, which root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// Further lines, which nobody should use; ours have none.
    pub extension: Vec<String>,
}

/// A checkpoint whose signatures verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCheckpoint {
    /// The tree head.
    pub checkpoint: Checkpoint,
    /// Which of the trusted keys signed it.
    pub signed_by: Vec<Verified>,
}

impl Checkpoint {
    /// A tree head.
    ///
    /// # Errors
    /// If the origin is empty, longer than 255 bytes, or has spaces, `+` or control characters.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, Malformed> {
        super::vkey::check_name(origin)?;
        Ok(Self { origin: origin.into(), size, root, extension: Vec::new() })
    }

    /// The note's text.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, base64(&self.root));
        for line in &self.extension {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Parses a note's text.
    ///
    /// # Errors
    /// If it is not a checkpoint's.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let malformed = |why| Malformed::new("checkpoint", why);
        let body = text.strip_suffix('\n').ok_or(malformed("it does not end with a newline"))?;
        let mut lines = body.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(malformed("it has no origin"))?;
        let size = lines.next().and_then(parse_decimal).ok_or(malformed("its size is not a number"))?;
        let root = lines.next().and_then(parse_hash).ok_or(malformed("its root is not a hash"))?;
        let extension: Vec<String> = lines.map(str::to_owned).collect();
        if extension.iter().any(String::is_empty) {
            return Err(malformed("it has an empty line"));
        }
        Ok(Self { origin: origin.into(), size, root, extension })
    }

    /// The signed note: this head with one signature line of each signer, in their order.
    ///
    /// # Errors
    /// If the head's text does not parse as a checkpoint (an origin with a newline, for example).
    pub fn sign(&self, signers: &[&LogSigner], at: Timestamp) -> Result<String, Malformed> {
        let text = self.text();
        if Self::parse(&text).as_ref() != Ok(self) {
            return Err(Malformed::new("checkpoint", "it cannot be written as a note"));
        }
        let mut note = format!("{text}\n");
        for signer in signers {
            note.push_str(&signer.sign_line(&text, at)?);
        }
        Ok(note)
    }

    /// Parses and verifies a signed note as the checkpoint of `origin`.
    ///
    /// # Errors
    /// If it is malformed, of another origin, or not signed by one of the keys.
    pub fn open(note: &str, origin: &str, trusted: &[VerifierKey]) -> Result<OpenCheckpoint, NoteError> {
        let note = Note::parse(note)?;
        let signed_by = note.verify(trusted)?;
        let checkpoint = Self::parse(note.text)?;
        if checkpoint.origin != origin {
            return Err(NoteError::OtherOrigin(checkpoint.origin));
        }
        Ok(OpenCheckpoint { checkpoint, signed_by })
    }

    /// Reads a signed note without verifying it, where the signatures are somebody else's matter.
    ///
    /// # Errors
    /// If it is not a checkpoint.
    pub fn read_unverified(note: &str) -> Result<Self, Malformed> {
        Self::parse(Note::parse(note)?.text)
    }
}
