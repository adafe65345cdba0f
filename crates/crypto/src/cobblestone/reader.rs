//! Parts of a message, without reading the rest.

use std::ops::Range;

use zeroize::Zeroizing;

use super::{Broken, CHUNK, Message, SEALED_CHUNK, chunk_start, plain_len, sealed_len};
use crate::memory::LockedKey;

/// Random access to a message of known length.
pub struct Reader {
    message: Message,
    plain_len: u64,
}

/// Which ciphertext bytes to fetch for a range of plaintext, and what to cut from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The ciphertext bytes to fetch, counted from the start of the message (header included).
    pub sealed: Range<u64>,
    first_chunk: u64,
    skip: usize,
    take: usize,
}

impl Reader {
    /// For a message with this `header` and `sealed_len` bytes of ciphertext, header included.
    ///
    /// # Errors
    /// [`Broken::Length`] or [`Broken::Commitment`].
    pub fn new(key: &LockedKey, context: &[&[u8]], header: &[u8], sealed_len: u64) -> Result<Self, Broken> {
        let plain_len = plain_len(sealed_len).ok_or(Broken::Length)?;
        Ok(Self { message: Message::for_opening(key.expose(), context, header)?, plain_len })
    }

    /// Plaintext bytes in the message; believe it only after [`Reader::check_end`].
    pub const fn plain_len(&self) -> u64 {
        self.plain_len
    }

    /// Where the last chunk lies in the ciphertext.
    pub const fn end(&self) -> Range<u64> {
        chunk_start(self.plain_len / CHUNK as u64)..sealed_len(self.plain_len)
    }

    /// Authenticates the message's length from its last chunk.
    ///
    /// # Errors
    /// [`Broken::Chunk`] or [`Broken::Length`].
    pub fn check_end(&self, last_chunk: &[u8]) -> Result<(), Broken> {
        let mut scratch = Zeroizing::new(Vec::with_capacity(last_chunk.len()));
        self.message.open(self.plain_len / CHUNK as u64, last_chunk, &mut scratch)
    }

    /// What to fetch for the plaintext bytes `range`; `None` if it lies outside the message or is reversed.
    pub fn span(&self, range: Range<u64>) -> Option<Span> {
        if range.start > range.end || range.end > self.plain_len {
            return None;
        }
        let first_chunk = range.start / CHUNK as u64;
        let last_chunk = if range.is_empty() { first_chunk } else { (range.end - 1) / CHUNK as u64 };
        Some(Span {
            sealed: chunk_start(first_chunk)..chunk_start(last_chunk + 1).min(sealed_len(self.plain_len)),
            first_chunk,
            skip: usize::try_from(range.start % CHUNK as u64).ok()?,
            take: usize::try_from(range.end - range.start).ok()?,
        })
    }

    /// Opens the fetched bytes of a span.
    ///
    /// # Errors
    /// [`Broken::Chunk`], or [`Broken::Length`] if `sealed` is not the span's bytes.
    pub fn open(&self, span: &Span, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Broken> {
        if sealed.len() as u64 != span.sealed.end - span.sealed.start {
            return Err(Broken::Length);
        }
        let mut out = Zeroizing::new(Vec::with_capacity(sealed.len()));
        for (index, chunk) in (span.first_chunk..).zip(sealed.chunks(SEALED_CHUNK)) {
            self.message.open(index, chunk, &mut out)?;
        }
        out.truncate(span.skip + span.take);
        out.drain(..span.skip);
        Ok(out)
    }
}
