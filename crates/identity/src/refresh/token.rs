//! What a refresh token says: whose session it continues, and that it was issued here.
//!
//! `ftr_` and base64url of: session (16 bytes), number of the epoch key (4, big endian), secret (32), tag (16). To
//! clients it is opaque. The tag is no permission: only the token whose hash is stored is good for anything. It tells an
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
/// Each separates one use of the epoch key from every other.
const SUCCESSOR: &[u8] = b"fortissimo/refresh-successor/v2\0";
const TAG: &[u8] = b"fortissimo/refresh-tag/v1\0";

const SESSION: usize = 16;
const NUMBER: usize = SESSION + 4;
const TAGGED: usize = NUMBER + 32;
const BYTES: usize = TAGGED + 16;
/// Characters behind the prefix.
const LENGTH: usize = (BYTES * 8).div_ceil(6);

/// A token that has the right form; nothing more is known of it.
pub(super) enum Presented {
    /// With the session that it names.
    Named(Id<kind::Session>, Zeroizing<[u8; BYTES]>),
    /// Of the form before, which names nothing: 32 bytes that stand in `refresh_token`, or not.
    Earlier,
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
        Some(Self::Named(session, bytes))
    }

    /// Whether it was issued here, as far as the key of that time is still there. One of the earlier form stands in its
    /// table, or its session would not be known.
    pub(super) fn is_genuine(&self, keys: &Keys) -> bool {
        let Self::Named(_, bytes) = self else { return true };
        let number =
            u32::from_be_bytes([bytes[SESSION], bytes[SESSION + 1], bytes[SESSION + 2], bytes[SESSION + 3]]);
        keys.epoch_number(Purpose::Refresh, number)
            .is_some_and(|epoch| constant_time_eq(&bytes[TAGGED..], &tag(&epoch, &bytes[..TAGGED])))
    }
}

/// The first token of a session.
pub(super) fn first(epoch: &EpochKey, session: Id<kind::Session>, entropy: &Entropy) -> Secret<String> {
    text(epoch, session, &Zeroizing::new(entropy.bytes()))
}

/// The one successor of a token under this epoch key.
pub(super) fn successor(epoch: &EpochKey, session: Id<kind::Session>, token: &str) -> Secret<String> {
    let data = Zeroizing::new([SUCCESSOR, token.as_bytes()].concat());
    text(epoch, session, &Zeroizing::new(hmac_sha256(epoch.key.expose(), &data)))
}

fn text(epoch: &EpochKey, session: Id<kind::Session>, secret: &[u8; 32]) -> Secret<String> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    bytes[..SESSION].copy_from_slice(session.as_bytes());
    bytes[SESSION..NUMBER].copy_from_slice(&epoch.number.to_be_bytes());
    bytes[NUMBER..TAGGED].copy_from_slice(secret);
    let tag = tag(epoch, &bytes[..TAGGED]);
    bytes[TAGGED..].copy_from_slice(&tag);
    // Filled in place, so that no longer lived copy of the secret stays behind.
    let mut text = String::with_capacity(PREFIX.len() + LENGTH);
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(*bytes, &mut text);
    Secret::new(text)
}

fn tag(epoch: &EpochKey, tagged: &[u8]) -> [u8; BYTES - TAGGED] {
    let data = Zeroizing::new([TAG, tagged].concat());
    let [tag @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = hmac_sha256(epoch.key.expose(), &data);
    tag
}
