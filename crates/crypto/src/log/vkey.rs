//! Public keys of logs and witnesses, and their text form (c2sp.org/signed-note, "verifier keys").

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, ML_DSA_44, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::Checkpoint;
use super::{Malformed, base64};
use crate::mac::sha256;

/// What a key signs and how: the signature type byte of c2sp.org/signed-note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyType {
    /// `0x01`: Ed25519 over the note's text. What logs sign checkpoints with.
    Ed25519,
    /// `0x04`: Ed25519 with a time (`cosignature/v1`). What witnesses sign checkpoints with.
    CosignatureEd25519,
    /// `0x06`: ML-DSA-44 (FIPS 204) with a time, over the tree head: for witnesses, and for a log that
    /// wants a second signature that a quantum computer does not forge.
    CosignatureMlDsa44,
}

impl KeyType {
    /// The byte that stands for it in key ids and vkeys.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureEd25519 => 0x04,
            Self::CosignatureMlDsa44 => 0x06,
        }
    }

    /// Its stable name, as stored and written in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::CosignatureEd25519 => "cosignature-ed25519",
            Self::CosignatureMlDsa44 => "cosignature-ml-dsa-44",
        }
    }

    /// The one with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ed25519, Self::CosignatureEd25519, Self::CosignatureMlDsa44]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Ed25519),
            0x04 => Some(Self::CosignatureEd25519),
            0x06 => Some(Self::CosignatureMlDsa44),
            _ => None,
        }
    }

    /// Bytes of a public key.
    pub const fn public_len(self) -> usize {
        match self {
            Self::Ed25519 | Self::CosignatureEd25519 => 32,
            Self::CosignatureMlDsa44 => 1312,
        }
    }

    /// Bytes of a signature after the key id.
    pub(crate) const fn signature_len(self) -> usize {
        match self {
            Self::Ed25519 => 64,
            Self::CosignatureEd25519 => 8 + 64,
            Self::CosignatureMlDsa44 => 8 + 2420,
        }
    }
}

/// A public key with the name of its owner; written as a vkey, `<name>+<key id>+<base64>`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    kind: KeyType,
    public: Vec<u8>,
    id: u32,
}

impl VerifierKey {
    /// A key of its parts.
    ///
    /// # Errors
    /// If the name is empty, too long or has spaces, `+` or control characters, or the key has another
    /// length than its type.
    pub fn new(name: &str, kind: KeyType, public: &[u8]) -> Result<Self, Malformed> {
        check_name(name)?;
        if public.len() != kind.public_len() {
            return Err(Malformed::new("verifier key", "the key has another length than its type"));
        }
        let mut hashed = Vec::with_capacity(name.len() + 2 + public.len());
        hashed.extend_from_slice(name.as_bytes());
        hashed.extend_from_slice(&[b'\n', kind.byte()]);
        hashed.extend_from_slice(public);
        let [a, b, c, d, ..] = sha256(&hashed);
        let id = u32::from_be_bytes([a, b, c, d]);
        Ok(Self { name: name.into(), kind, public: public.to_vec(), id })
    }

    /// Whose key: a log's origin or a witness's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id: with the name it tells whose a signature line is.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// What it signs and how.
    pub const fn kind(&self) -> KeyType {
        self.kind
    }

    /// The public key's bytes.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Checks a signature (without its key id) over a note's text. For cosignatures the answer has the
    /// time at which it was made, in seconds.
    pub(crate) fn verify(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        if signature.len() != self.kind.signature_len() {
            return None;
        }
        match self.kind {
            KeyType::Ed25519 => self.check(&ED25519, text.as_bytes(), signature).then_some(None),
            KeyType::CosignatureEd25519 => {
                let (time, signature) = timed(signature)?;
                self.check(&ED25519, &cosigned_v1(time, text), signature).then_some(Some(time))
            }
            KeyType::CosignatureMlDsa44 => {
                let (time, signature) = timed(signature)?;
                let head = Checkpoint::parse(text).ok()?;
                let message = cosigned_subtree(&self.name, time, &head)?;
                self.check(&ML_DSA_44, &message, signature).then_some(Some(time))
            }
        }
    }

    fn check(&self, algorithm: &'static dyn VerificationAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(algorithm, &self.public).verify(message, signature).is_ok()
    }
}

/// Key names are non-empty and have no Unicode spaces and no plus. The bound is the one that ML-DSA-44
/// cosignatures set on names and origins.
pub(crate) fn check_name(name: &str) -> Result<(), Malformed> {
    let malformed = |why| Err(Malformed::new("key name", why));
    match name {
        "" => malformed("it is empty"),
        _ if name.len() > 255 => malformed("it is longer than 255 bytes"),
        _ if name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+') => {
            malformed("it has a space, a plus or a control character")
        }
        _ => Ok(()),
    }
}

fn timed(signature: &[u8]) -> Option<(u64, &[u8])> {
    let (time, signature) = signature.split_first_chunk()?;
    let time = u64::from_be_bytes(*time);
    i64::try_from(time).is_ok().then_some((time, signature))
}

/// The message of an Ed25519 cosignature.
pub(crate) fn cosigned_v1(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// The message of an ML-DSA-44 cosignature of a whole tree; `None` if a name is too long for it, or the
/// checkpoint has extension lines: the message would not cover them.
pub(crate) fn cosigned_subtree(cosigner: &str, time: u64, head: &Checkpoint) -> Option<Vec<u8>> {
    if !head.extension.is_empty() {
        return None;
    }
    let mut message = b"subtree/v1\n\0".to_vec();
    push_short(&mut message, cosigner)?;
    message.extend_from_slice(&time.to_be_bytes());
    push_short(&mut message, &head.origin)?;
    message.extend_from_slice(&0_u64.to_be_bytes());
    message.extend_from_slice(&head.size.to_be_bytes());
    message.extend_from_slice(&head.root);
    Some(message)
}

fn push_short(message: &mut Vec<u8>, text: &str) -> Option<()> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length > 0)?;
    message.push(length);
    message.extend_from_slice(text.as_bytes());
    Some(())
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed = [&[self.kind.byte()], &*self.public].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id, base64(&typed))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({}+{:08x}, {})", self.name, self.id, self.kind.name())
    }
}

impl FromStr for VerifierKey {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = |why| Malformed::new("verifier key", why);
        if text.len() > 4096 {
            return Err(malformed("it is too long"));
        }
        // The name has no plus, base64 may have some.
        let (name, rest) = text.split_once('+').ok_or(malformed("it has no key id"))?;
        let (id, key) = rest.split_once('+').ok_or(malformed("it has no key"))?;
        let bytes = STANDARD.decode(key).map_err(|_| malformed("the key is not base64"))?;
        let (kind, public) = bytes.split_first().ok_or(malformed("the key is empty"))?;
        let kind = KeyType::from_byte(*kind).ok_or(malformed("its type is not known here"))?;
        let parsed = Self::new(name, kind, public)?;
        if format!("{:08x}", parsed.id) != id {
            return Err(malformed("the key id is not that of the key"));
        }
        Ok(parsed)
    }
}
