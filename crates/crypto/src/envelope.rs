//! The one envelope for fields, wrapped keys, tokens and objects.
//!
//! Record = `0xF7`, version 1, suite 1 (Cobblestone-256), 16-byte key reference, then
//! [`cobblestone`]. The header's bytes are part of the derivation's context, so
//! neither they nor the place where the record lies can be exchanged without the record failing to open.

use base::Entropy;
use zeroize::Zeroizing;

use crate::cobblestone::{self, Broken, Opener, Sealer};
use crate::context::{Context, KeyRef};
use crate::memory::LockedKey;

/// Bytes before the Cobblestone message.
pub const PREFIX: usize = 3 + 16;

const MAGIC: u8 = 0xF7;
const VERSION: u8 = 1;
const SUITE_COBBLESTONE_256: u8 = 1;

/// Why a record was not opened. Whoever reads must not write the value back: it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The bytes are not a record of ours.
    #[error("the bytes are not a sealed record")]
    NotARecord,
    /// Made by a newer version of the product.
    #[error("the record's format version {0} is not known to this version of Fortissimo")]
    UnknownVersion(u8),
    /// Sealed with an algorithm that this version does not have.
    #[error("the record's cipher suite {0} is not known to this version of Fortissimo")]
    UnknownSuite(u8),
    /// Cut off, changed, under another key or in another place.
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// Seals `plaintext` for exactly this place. Every call draws a fresh salt.
pub fn seal(
    key: &LockedKey,
    key_ref: KeyRef,
    context: &Context<'_>,
    plaintext: &[u8],
    entropy: &Entropy,
) -> Vec<u8> {
    let prefix = prefix(key_ref);
    let length = PREFIX as u64 + cobblestone::sealed_len(plaintext.len() as u64);
    let mut out = Vec::with_capacity(usize::try_from(length).expect("the plaintext is in memory already"));
    out.extend_from_slice(&prefix);
    cobblestone::seal_into(key, &[&prefix, &context.encode()], plaintext, entropy, &mut out);
    out
}

/// Which key a record needs.
///
/// # Errors
/// If the bytes are no record, or one of an unknown version or suite.
pub fn key_ref(record: &[u8]) -> Result<KeyRef, OpenError> {
    parse(record).map(|(prefix, _)| key_of(prefix))
}

/// Opens a record.
///
/// # Errors
/// See [`OpenError`]. Nothing of a record that is not whole and authentic is returned.
pub fn open(key: &LockedKey, context: &Context<'_>, record: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (prefix, message) = parse(record)?;
    Ok(cobblestone::open(key, &[prefix, &context.encode()], message)?)
}

/// Seals a stream: the bytes to write first, and the sealer for what follows.
pub fn sealer(
    key: &LockedKey,
    key_ref: KeyRef,
    context: &Context<'_>,
    entropy: &Entropy,
) -> (Vec<u8>, Sealer) {
    let prefix = prefix(key_ref);
    let sealer = Sealer::new(key, &[&prefix, &context.encode()], entropy);
    ([&prefix[..], &sealer.header()].concat(), sealer)
}

/// Opens a stream whose first [`PREFIX`] + [`cobblestone::HEADER`] bytes are `start`.
///
/// # Errors
/// See [`OpenError`].
pub fn opener(key: &LockedKey, context: &Context<'_>, start: &[u8]) -> Result<Opener, OpenError> {
    let (prefix, header) = parse(start)?;
    Ok(Opener::new(key, &[prefix, &context.encode()], header)?)
}

fn prefix(key_ref: KeyRef) -> [u8; PREFIX] {
    let mut prefix = [0; PREFIX];
    prefix[..3].copy_from_slice(&[MAGIC, VERSION, SUITE_COBBLESTONE_256]);
    prefix[3..].copy_from_slice(&key_ref.0);
    prefix
}

fn parse(record: &[u8]) -> Result<(&[u8; PREFIX], &[u8]), OpenError> {
    let (prefix, message) = record.split_first_chunk::<PREFIX>().ok_or(OpenError::NotARecord)?;
    match prefix {
        [MAGIC, VERSION, SUITE_COBBLESTONE_256, ..] => Ok((prefix, message)),
        [MAGIC, VERSION, suite, ..] => Err(OpenError::UnknownSuite(*suite)),
        [MAGIC, version, ..] => Err(OpenError::UnknownVersion(*version)),
        _ => Err(OpenError::NotARecord),
    }
}

fn key_of(prefix: &[u8; PREFIX]) -> KeyRef {
    KeyRef(prefix[3..].try_into().expect("the prefix holds three bytes and a key reference"))
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
