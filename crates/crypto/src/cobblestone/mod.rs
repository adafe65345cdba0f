//! C2SP chunked encryption, instance Cobblestone-256 (<https://c2sp.org/chunked-encryption>): a message of
//! up to 4 PiB as independent chunks of 16 KiB, with key commitment, truncation protection and random access.
//!
//! Layout: 24-byte salt, 32-byte commitment, then AES-256-GCM chunks of 16 KiB + 16 bytes, the last of which
//! is always shorter (and may be empty). Key, base nonce and commitment are HKDF-Expand-SHA-512 of key, salt
//! and context; a chunk's nonce is the base nonce XOR its number. This module does no IO.

use std::ops::Range;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA512, Prk};
use base::{Entropy, constant_time_eq};
use zeroize::{Zeroize, Zeroizing};

use crate::mac;
use crate::memory::LockedKey;

mod reader;
mod stream;

pub use reader::{Reader, Span};
pub use stream::{Opener, Sealer};

/// Plaintext bytes of every chunk but the last.
pub const CHUNK: usize = 16 * 1024;
/// Bytes that authenticate one chunk.
pub const TAG: usize = 16;
/// Ciphertext bytes of every chunk but the last.
pub const SEALED_CHUNK: usize = CHUNK + TAG;
/// Bytes of the salt.
pub const SALT: usize = 24;
/// Bytes before the first chunk: salt and commitment.
pub const HEADER: usize = SALT + 32;

const MAX_CHUNKS: u64 = 1 << 38;
const LABEL: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";

/// Why a message was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Too short, cut off, or too long to be a message.
    #[error("the sealed message is cut off or has an impossible length")]
    Length,
    /// The commitment does not fit: another key or another context made it.
    #[error("the sealed message was made with another key or for another place")]
    Commitment,
    /// A chunk is not authentic.
    #[error("the sealed message was changed")]
    Chunk,
    /// The asked-for range lies outside the message.
    #[error("the range lies outside the message")]
    Range,
}

/// The key of one message.
struct Message {
    key: LessSafeKey,
    base_nonce: [u8; 12],
}

impl Message {
    /// Derives the message's key and the commitment to it.
    fn derive(key: &[u8; 32], salt: &[u8], context: &[&[u8]]) -> (Self, [u8; 32]) {
        let prk = Prk::new_less_safe(HKDF_SHA512, key);
        let mut info = Vec::with_capacity(2 + context.len());
        info.extend([LABEL, salt]);
        info.extend(context);
        let mut okm = Zeroizing::new([0; 32 + 12 + 32]);
        mac::expand(&prk, &info, &mut *okm);
        let (aead_key, rest) = okm.split_at(32);
        let key = UnboundKey::new(&AES_256_GCM, aead_key).expect("AES-256 takes 32 bytes");
        let message = Self {
            key: LessSafeKey::new(key),
            base_nonce: rest[..12].try_into().expect("twelve bytes were cut"),
        };
        (message, rest[12..].try_into().expect("32 bytes are left"))
    }

    /// As [`Message::derive`], after checking that the header commits to this key and context.
    fn for_opening(key: &[u8; 32], context: &[&[u8]], header: &[u8]) -> Result<Self, Broken> {
        let (salt, commitment) = header.split_at_checked(SALT).ok_or(Broken::Length)?;
        if commitment.len() != HEADER - SALT {
            return Err(Broken::Length);
        }
        let (message, expected) = Self::derive(key, salt, context);
        if constant_time_eq(&expected, commitment) { Ok(message) } else { Err(Broken::Commitment) }
    }

    fn nonce(&self, index: u64) -> Nonce {
        let mut nonce = self.base_nonce;
        for (byte, counter) in nonce[4..].iter_mut().zip(index.to_be_bytes()) {
            *byte ^= counter;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Appends chunk `index` of ciphertext to `out`.
    fn seal(&self, index: u64, plaintext: &[u8], out: &mut Vec<u8>) {
        assert!(index < MAX_CHUNKS, "a message never exceeds 4 PiB");
        let start = out.len();
        out.extend_from_slice(plaintext);
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(index), Aad::empty(), &mut out[start..])
            .expect("AES-GCM seals any chunk");
        out.extend_from_slice(tag.as_ref());
    }

    /// Appends chunk `index` of plaintext to `out`; leaves `out` as it was if the chunk is not authentic.
    fn open(&self, index: u64, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        if index >= MAX_CHUNKS {
            return Err(Broken::Length);
        }
        let body = sealed.len().checked_sub(TAG).ok_or(Broken::Length)?;
        let start = out.len();
        out.resize(start + body, 0);
        let (ciphertext, tag) = sealed.split_at(body);
        let opened = self.key.open_separate_gather(
            self.nonce(index),
            Aad::empty(),
            ciphertext,
            tag,
            &mut out[start..],
        );
        if opened.is_err() {
            out[start..].zeroize();
            out.truncate(start);
            return Err(Broken::Chunk);
        }
        Ok(())
    }
}

/// Ciphertext bytes for a plaintext of `plaintext` bytes, header included.
pub const fn sealed_len(plaintext: u64) -> u64 {
    HEADER as u64 + plaintext + (plaintext / CHUNK as u64 + 1) * TAG as u64
}

/// Plaintext bytes in a ciphertext of `sealed` bytes (header included), or `None` for an impossible length.
pub const fn plain_len(sealed: u64) -> Option<u64> {
    let Some(chunks) = sealed.checked_sub(HEADER as u64) else { return None };
    let (full, rest) = (chunks / SEALED_CHUNK as u64, chunks % SEALED_CHUNK as u64);
    if rest < TAG as u64 || full >= MAX_CHUNKS {
        return None;
    }
    Some(full * CHUNK as u64 + rest - TAG as u64)
}

/// Seals a whole message: `context` is the concatenation of its parts.
pub fn seal_into(key: &LockedKey, context: &[&[u8]], plaintext: &[u8], entropy: &Entropy, out: &mut Vec<u8>) {
    let salt = entropy.bytes::<SALT>();
    let (message, commitment) = Message::derive(key.expose(), &salt, context);
    out.extend_from_slice(&salt);
    out.extend_from_slice(&commitment);
    let chunks = plaintext.chunks_exact(CHUNK);
    let last = chunks.remainder();
    let mut index = 0;
    for chunk in chunks {
        message.seal(index, chunk, out);
        index += 1;
    }
    message.seal(index, last, out);
}

/// Opens a whole message.
///
/// # Errors
/// See [`Broken`]; no byte of a message that is not whole and authentic is returned.
pub fn open(key: &LockedKey, context: &[&[u8]], message: &[u8]) -> Result<Zeroizing<Vec<u8>>, Broken> {
    open_with(key.expose(), context, message)
}

pub(crate) fn open_with(
    key: &[u8; 32],
    context: &[&[u8]],
    message: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Broken> {
    let (header, sealed) = message.split_at_checked(HEADER).ok_or(Broken::Length)?;
    let message = Message::for_opening(key, context, header)?;
    // Allocated once, at the size it will have: a growing vector would leave copies of the plaintext behind.
    let mut out = Zeroizing::new(Vec::with_capacity(sealed.len()));
    let mut chunks = sealed.chunks_exact(SEALED_CHUNK);
    let mut index = 0;
    for chunk in &mut chunks {
        message.open(index, chunk, &mut out)?;
        index += 1;
    }
    message.open(index, chunks.remainder(), &mut out)?;
    Ok(out)
}

/// Opens the plaintext bytes `range` of a message that lies in memory, and checks the message's length.
///
/// # Errors
/// See [`Broken`]; [`Broken::Range`] if the range is not inside the message.
pub fn open_range(
    key: &LockedKey,
    context: &[&[u8]],
    message: &[u8],
    range: Range<u64>,
) -> Result<Zeroizing<Vec<u8>>, Broken> {
    let (header, _) = message.split_at_checked(HEADER).ok_or(Broken::Length)?;
    let reader = Reader::new(key, context, header, message.len() as u64)?;
    let slice = |at: Range<u64>| {
        let (start, end) = (usize::try_from(at.start).ok()?, usize::try_from(at.end).ok()?);
        message.get(start..end)
    };
    reader.check_end(slice(reader.end()).ok_or(Broken::Length)?)?;
    let span = reader.span(range).ok_or(Broken::Range)?;
    reader.open(&span, slice(span.sealed.clone()).ok_or(Broken::Length)?)
}

const fn chunk_start(index: u64) -> u64 {
    HEADER as u64 + index * SEALED_CHUNK as u64
}

#[cfg(test)]
mod tests;
