//! What a refresh token says: whose session it continues, and that it was issued here.
//!
//! `ftr_` and base64url of: session (16 bytes), number of the epoch key (4, big endian), how many came before it in its
//! family (4), secret (32), tag (16). To clients it is opaque. The tag is no permission: only the token whose hash is stored is good for anything. It tells an
//! old token, whose use is an alarm, from one that somebody made up, without keeping a list of old ones.

use base::{Entropy, Id, Secret, constant_time_eq, kind};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::mac::hmac_sha256;
use keys::{EpochKey, Keys, Purpose};
use zeroize::Zeroizing;

use crate::secret_text;

/// So that scanners of public code recognise a leaked one.
const PREFIX: &str = "ftr_";
/// As [`SUCCESSOR`], for tokens of the earlier form.
const EARLIER_SUCCESSOR: &[u8] = b"fortissimo/refresh-successor/v1\0";
/// Each separates one use of the epoch key from every other.
const SUCCESSOR: &[u8] = b"fortissimo/refresh-successor/v2\0";
const TAG: &[u8] = b"fortissimo/refresh-tag/v1\0";

const SESSION: usize = 16;
const NUMBER: usize = SESSION + 4;
const ROTATION: usize = NUMBER + 4;
const TAGGED: usize = ROTATION + 32;
const BYTES: usize = TAGGED + 16;
/// Characters behind the prefix.
const LENGTH: usize = (BYTES * 8).div_ceil(6);

/// A token that has the right form; nothing more is known of it.
pub(super) enum Presented {
    /// It names its session.
    Named(Named),
    /// Of the form before, which names nothing: 32 bytes that stand in `refresh_token`, or not.
    Earlier,
}

/// The parts of a token; only its hash or its tag says whether they are true.
pub(super) struct Named {
    pub(super) session: Id<kind::Session>,
    /// How many came before it in its family.
    rotation: u32,
    bytes: Zeroizing<[u8; BYTES]>,
}

impl Presented {
    /// `None` if it cannot be one of ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        if rest.len() != LENGTH {
            return secret_text::is_plausible(text, PREFIX).then_some(Self::Earlier);
        }
        // The decoder counts in whole groups of three.
        let mut room = Zeroizing::new([0; BYTES + 3]);
        let decoded = URL_SAFE_NO_PAD.decode_slice(rest, &mut *room).ok()?;
        let bytes: [u8; BYTES] = *room[..decoded].first_chunk().filter(|_| decoded == BYTES)?;
        let bytes = Zeroizing::new(bytes);
        let session = Id::from_bytes(*bytes.first_chunk()?);
        Some(Self::Named(Named { session, rotation: number(&bytes[NUMBER..ROTATION]), bytes }))
    }

    /// How many came before it in its family; those of the earlier form were the first.
    pub(super) fn rotation(&self) -> u32 {
        match self {
            // One that counts so far was never issued; it must not overflow.
            Self::Named(named) => named.rotation.min(u32::MAX - 1),
            Self::Earlier => 0,
        }
    }
}

impl Named {
    /// Whether it was issued here, as far as the key of that time is still there.
    pub(super) fn is_genuine(&self, keys: &Keys) -> bool {
        let (tagged, shown) = self.bytes.split_at(TAGGED);
        keys.epoch_number(Purpose::Refresh, number(&tagged[SESSION..NUMBER]))
            .is_some_and(|epoch| constant_time_eq(shown, &tag(&epoch, tagged)))
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The first token of a session.
pub(super) fn first(epoch: &EpochKey, session: Id<kind::Session>, entropy: &Entropy) -> Secret<String> {
    text(epoch, session, 0, &Zeroizing::new(entropy.bytes()))
}

/// The one successor of a token under this epoch key, in its place in the family.
pub(super) fn successor(
    epoch: &EpochKey,
    session: Id<kind::Session>,
    rotation: u32,
    token: &str,
) -> Secret<String> {
    text(epoch, session, rotation, &derived(epoch, SUCCESSOR, token))
}

/// What the earlier form made of a token.
pub(super) fn earlier_successor(epoch: &EpochKey, token: &str) -> Secret<String> {
    encoded(&*derived(epoch, EARLIER_SUCCESSOR, token))
}

fn derived(epoch: &EpochKey, domain: &[u8], token: &str) -> Zeroizing<[u8; 32]> {
    let data = Zeroizing::new([domain, token.as_bytes()].concat());
    Zeroizing::new(hmac_sha256(epoch.key.expose(), &data))
}

fn text(epoch: &EpochKey, session: Id<kind::Session>, rotation: u32, secret: &[u8; 32]) -> Secret<String> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    bytes[..SESSION].copy_from_slice(session.as_bytes());
    bytes[SESSION..NUMBER].copy_from_slice(&epoch.number.to_be_bytes());
    bytes[NUMBER..ROTATION].copy_from_slice(&rotation.to_be_bytes());
    bytes[ROTATION..TAGGED].copy_from_slice(secret);
    let tag = tag(epoch, &bytes[..TAGGED]);
    bytes[TAGGED..].copy_from_slice(&tag);
    encoded(&*bytes)
}

fn encoded(bytes: &[u8]) -> Secret<String> {
    // Filled in place, so that no longer lived copy of the secret stays behind.
    let mut text = String::with_capacity(PREFIX.len() + LENGTH);
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    Secret::new(text)
}

fn tag(epoch: &EpochKey, tagged: &[u8]) -> [u8; BYTES - TAGGED] {
    let data = Zeroizing::new([TAG, tagged].concat());
    let [tag @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = hmac_sha256(epoch.key.expose(), &data);
    tag
}
