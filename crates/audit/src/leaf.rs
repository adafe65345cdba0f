//! The leaf of one event: the bytes under the tree's hash. Nothing personal is in them.
//!
//! Version 1 is compact JSON with the fields in this order and no spaces, so that anybody can read a log with
//! common tools; the tree's hashes are over the bytes as they are, and verifying the tree never parses them.

use base::{Id, Timestamp, kind as ids};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use crypto::{KeyRef, envelope, mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The version written.
pub const VERSION: u32 = 1;
/// Bytes of a leaf at most: C2SP tlog-tiles gives an entry's length in 16 bits.
pub const MAX_LEAF: usize = u16::MAX as usize;
/// Bytes of a body's salt, which stand before its text in the sealed record.
pub const SALT: usize = 32;

/// What of an event is under the tree's hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// The form's version, [`VERSION`].
    pub v: u32,
    /// The event's id.
    pub id: Id<ids::Event>,
    /// When it happened, in milliseconds since 1970.
    pub at: Timestamp,
    /// The stable dotted name.
    pub kind: String,
    /// OCSF `class_uid`.
    pub class: u32,
    /// OCSF `severity_id`.
    pub severity: u8,
    /// `success`, `failure` or `denied`.
    pub outcome: String,
    /// `critical` or `traffic`.
    pub durability: String,
    /// `anonymous`, `account` (which one is personal) or `system:<part>`.
    pub actor: String,
    /// During which request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Id<ids::Request>>,
    /// The method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The route's template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The answer's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What is committed of each sealed body; the first one is that of the person whom the event is about.
    pub bodies: Vec<Commitment>,
    /// Only in `subject.erased`: the keys that were destroyed with it. Bodies that name one of them are *erased*.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub erases: Vec<KeyHandle>,
}

/// What is committed of one sealed body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    /// The key that seals it: a random handle, not the person.
    pub key: KeyHandle,
    /// HMAC-SHA-256 of the body's text under its salt: whoever is shown both can check them.
    pub commitment: Digest,
    /// SHA-256 of the sealed record: whether it was altered is seen without any key.
    pub sealed: Digest,
}

/// A reference to a key, in base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHandle(pub [u8; 16]);

/// 32 bytes, in base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

/// Why bytes are no leaf that this version reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// A newer version's form. The tree can be verified all the same.
    #[error("the leaf has version {0}, which this program does not know")]
    UnknownVersion(u32),
    /// No leaf of ours.
    #[error("the bytes are not a leaf: {0}")]
    Malformed(String),
}

impl Leaf {
    /// The bytes that are hashed.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        serde_json::to_writer(&mut bytes, self).expect("a leaf's types have string keys and serialise");
        bytes
    }

    /// Reads a leaf.
    ///
    /// # Errors
    /// If it is of another version or malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, LeafError> {
        #[derive(Deserialize)]
        struct Versioned {
            v: u32,
        }
        let malformed = |error: serde_json::Error| LeafError::Malformed(error.to_string());
        match serde_json::from_slice::<Self>(bytes) {
            Ok(leaf) if leaf.v == VERSION => Ok(leaf),
            Ok(leaf) => Err(LeafError::UnknownVersion(leaf.v)),
            Err(error) => match serde_json::from_slice::<Versioned>(bytes).map_err(malformed)? {
                Versioned { v: VERSION } => Err(malformed(error)),
                Versioned { v } => Err(LeafError::UnknownVersion(v)),
            },
        }
    }
}

impl Commitment {
    /// Commits to a body and to the record that seals it; `plain` is salt and text.
    ///
    /// # Panics
    /// If `sealed` is no sealed record or `plain` has no salt: both are our own.
    pub fn of(plain: &[u8], sealed: &[u8]) -> Self {
        let KeyRef(key) = envelope::key_ref(sealed).expect("what was just sealed names its key");
        let (salt, text) = plain.split_at(SALT);
        Self {
            key: KeyHandle(key),
            commitment: Digest(mac::hmac_sha256(salt, text)),
            sealed: Digest(mac::sha256(sealed)),
        }
    }

    /// Whether this is the sealed record that was committed to.
    pub fn is_of_record(&self, sealed: &[u8]) -> bool {
        self.sealed.0 == mac::sha256(sealed)
    }

    /// Whether this is the body (salt and text) that was committed to.
    pub fn is_of_body(&self, plain: &[u8]) -> bool {
        plain.len() >= SALT && {
            let (salt, text) = plain.split_at(SALT);
            self.commitment.0 == mac::hmac_sha256(salt, text)
        }
    }
}

impl KeyHandle {
    /// From hexadecimal, as events name keys; `None` if the text is something else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        for (byte, at) in bytes.iter_mut().zip((0..32).step_by(2)) {
            *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// In hexadecimal.
    pub fn to_hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }
}

macro_rules! as_base64 { ($($name:ident $len:literal)*) => { $(
    impl Serialize for $name {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut text = [0; $len * 4 / 3 + 1];
            let length = BASE64.encode_slice(self.0, &mut text).expect("the buffer fits the fixed length");
            serializer.serialize_str(std::str::from_utf8(&text[..length]).expect("base64 is ASCII"))
        }
    }

    impl<'de> Deserialize<'de> for $name {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
            let bytes = BASE64.decode(text.as_bytes()).map_err(serde::de::Error::custom)?;
            let fixed = bytes.try_into().map_err(|_| {
                serde::de::Error::custom(concat!("expected ", $len, " bytes in base64url"))
            })?;
            Ok(Self(fixed))
        }
    }
)* } }
as_base64!(KeyHandle 16 Digest 32);

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf() -> Leaf {
        Leaf {
            v: VERSION,
            id: Id::from_bytes([7; 16]),
            at: Timestamp::from_millis(1_700_000_000_000),
            kind: "session.signed_in".into(),
            class: 3002,
            severity: 1,
            outcome: "success".into(),
            durability: "critical".into(),
            actor: "account".into(),
            request: Some(Id::from_bytes([8; 16])),
            method: Some("POST".into()),
            route: None,
            status: None,
            bodies: vec![Commitment {
                key: KeyHandle([1; 16]),
                commitment: Digest([2; 32]),
                sealed: Digest([3; 32]),
            }],
            erases: Vec::new(),
        }
    }

    /// What was hashed once must be written the same way for ever.
    #[test]
    fn the_bytes_of_a_leaf_are_fixed() {
        assert_eq!(
            String::from_utf8(leaf().encode()).unwrap(),
            r#"{"v":1,"id":"07070707-0707-0707-0707-070707070707","at":1700000000000,"kind":"session.signed_in","class":3002,"severity":1,"outcome":"success","durability":"critical","actor":"account","request":"08080808-0808-0808-0808-080808080808","method":"POST","bodies":[{"key":"AQEBAQEBAQEBAQEBAQEBAQ","commitment":"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI","sealed":"AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM"}]}"#
        );
    }

    #[test]
    fn leaves_are_read_back_and_others_are_named() {
        for leaf in [leaf(), Leaf { erases: vec![KeyHandle([9; 16])], status: Some(204), ..leaf() }] {
            assert_eq!(Leaf::decode(&leaf.encode()).unwrap(), leaf);
        }
        let newer = String::from_utf8(leaf().encode()).unwrap().replacen("\"v\":1", "\"v\":2,\"x\":0", 1);
        assert_eq!(Leaf::decode(newer.as_bytes()), Err(LeafError::UnknownVersion(2)));
        for wrong in ["", "{}", "[1]", "{\"v\":1}", "{\"v\":1"] {
            assert!(matches!(Leaf::decode(wrong.as_bytes()), Err(LeafError::Malformed(_))), "{wrong}");
        }
        let short = String::from_utf8(leaf().encode()).unwrap().replace("AQEBAQEBAQEBAQEBAQEBAQ", "AQE");
        assert!(matches!(Leaf::decode(short.as_bytes()), Err(LeafError::Malformed(_))));
    }

    #[test]
    fn a_commitment_fits_its_body_only() {
        let mut plain = vec![5; SALT];
        plain.extend_from_slice(b"{}");
        let mut sealed = vec![0xF7, 1, 1];
        sealed.extend_from_slice(&[6; 60]);
        let made = Commitment::of(&plain, &sealed);
        assert_eq!(made.key, KeyHandle([6; 16]));
        assert!(made.is_of_body(&plain) && made.is_of_record(&sealed));
        sealed[40] ^= 1;
        plain[SALT] ^= 1;
        assert!(!made.is_of_body(&plain) && !made.is_of_record(&sealed) && !made.is_of_body(b"short"));
    }
}
