//! Messages that are larger than memory: sealed and opened as they pass.

use base::Entropy;
use zeroize::Zeroizing;

use super::{Broken, CHUNK, HEADER, Message, SALT, SEALED_CHUNK, TAG};
use crate::memory::LockedKey;

/// Seals a stream; holds at most one chunk.
pub struct Sealer {
    message: Message,
    header: [u8; HEADER],
    index: u64,
    pending: Zeroizing<Vec<u8>>,
}

impl Sealer {
    /// Starts a message with a fresh salt. Write [`Sealer::header`] first.
    pub fn new(key: &LockedKey, context: &[&[u8]], entropy: &Entropy) -> Self {
        let mut header = [0; HEADER];
        entropy.fill(&mut header[..SALT]);
        let (message, commitment) = Message::derive(key.expose(), &header[..SALT], context);
        header[SALT..].copy_from_slice(&commitment);
        Self { message, header, index: 0, pending: Zeroizing::new(Vec::new()) }
    }

    /// Salt and commitment, which come before the first chunk.
    pub const fn header(&self) -> [u8; HEADER] {
        self.header
    }

    /// Takes plaintext in; appends every chunk that is now full to `out`.
    pub fn update(&mut self, mut plaintext: &[u8], out: &mut Vec<u8>) {
        if !self.pending.is_empty() {
            let (now, later) = plaintext.split_at(plaintext.len().min(CHUNK - self.pending.len()));
            self.pending.extend_from_slice(now);
            plaintext = later;
            if self.pending.len() < CHUNK {
                return;
            }
            self.message.seal(self.index, &self.pending, out);
            self.index += 1;
            self.pending.clear();
        }
        // Whole chunks go straight from the caller's slice to the output.
        out.reserve(plaintext.len() + (plaintext.len() / CHUNK + 1) * TAG);
        let mut chunks = plaintext.chunks_exact(CHUNK);
        for chunk in &mut chunks {
            self.message.seal(self.index, chunk, out);
            self.index += 1;
        }
        if !chunks.remainder().is_empty() {
            self.hold(chunks.remainder());
        }
    }

    fn hold(&mut self, rest: &[u8]) {
        // One allocation of final size, kept for the whole stream.
        if self.pending.capacity() < CHUNK {
            self.pending.reserve_exact(CHUNK);
        }
        self.pending.extend_from_slice(rest);
    }

    /// Ends the message: appends its last, short chunk.
    pub fn finish(self, out: &mut Vec<u8>) {
        self.message.seal(self.index, &self.pending, out);
    }
}

/// Opens a stream; holds at most one chunk. Only authentic plaintext comes out, but that the message is
/// complete is known only when [`Opener::finish`] succeeds.
pub struct Opener {
    message: Message,
    index: u64,
    pending: Vec<u8>,
    broken: Option<Broken>,
}

impl Opener {
    /// Starts to open a message whose first [`HEADER`] bytes are `header`.
    ///
    /// # Errors
    /// [`Broken::Length`] or [`Broken::Commitment`].
    pub fn new(key: &LockedKey, context: &[&[u8]], header: &[u8]) -> Result<Self, Broken> {
        let message = Message::for_opening(key.expose(), context, header)?;
        Ok(Self { message, index: 0, pending: Vec::new(), broken: None })
    }

    /// Takes ciphertext in; appends the plaintext of every chunk that is now complete to `out`.
    ///
    /// # Errors
    /// [`Broken::Chunk`]; after an error every further call fails with the same.
    pub fn update(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let done = self.take(sealed, out);
        self.broken = done.err();
        done
    }

    fn take(&mut self, mut sealed: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        if !self.pending.is_empty() {
            let (now, later) = sealed.split_at(sealed.len().min(SEALED_CHUNK - self.pending.len()));
            self.pending.extend_from_slice(now);
            sealed = later;
            if self.pending.len() < SEALED_CHUNK {
                return Ok(());
            }
            self.message.open(self.index, &self.pending, out)?;
            self.index += 1;
            self.pending.clear();
        }
        out.reserve(sealed.len());
        let mut chunks = sealed.chunks_exact(SEALED_CHUNK);
        for chunk in &mut chunks {
            self.message.open(self.index, chunk, out)?;
            self.index += 1;
        }
        if !chunks.remainder().is_empty() {
            if self.pending.capacity() < SEALED_CHUNK {
                self.pending.reserve_exact(SEALED_CHUNK);
            }
            self.pending.extend_from_slice(chunks.remainder());
        }
        Ok(())
    }

    /// Ends the message: opens its last chunk.
    ///
    /// # Errors
    /// [`Broken::Length`] if the message was cut off, [`Broken::Chunk`] if it was changed.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), Broken> {
        match self.broken {
            Some(broken) => Err(broken),
            None => self.message.open(self.index, &self.pending, out),
        }
    }
}
