//! Random values that are handed out once and stored as hashes.

use base::{Entropy, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::mac::sha256;
use zeroize::Zeroizing;

/// Characters of 256 bits in base64url without padding.
pub(crate) const LENGTH: usize = 43;

/// 256 random bits as 43 characters.
pub(crate) fn random(entropy: &Entropy) -> Secret<String> {
    let bytes = Zeroizing::new(entropy.bytes::<32>());
    // Filled in place, so that no longer lived copy of the secret stays behind.
    let mut text = String::with_capacity(LENGTH);
    URL_SAFE_NO_PAD.encode_string(*bytes, &mut text);
    Secret::new(text)
}

/// What is stored. A plain hash is enough for 256 random bits: there is nothing to guess.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    sha256(text.as_bytes())
}

/// Whether the text could be one of ours at all; everything else is not worth a look into the database.
pub(crate) fn is_plausible(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == LENGTH
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unique_and_recognised() {
        let entropy = Entropy::seeded(1);
        let (one, two) = (random(&entropy), random(&entropy));
        assert_ne!(one.expose(), two.expose());
        assert!(is_plausible(one.expose(), ""));
        assert!(is_plausible(&format!("ftr_{}", two.expose()), "ftr_"));
        for wrong in ["", "ftr_", "ftr_short", &"x".repeat(42), &"ä".repeat(43), &"x".repeat(100_000)] {
            assert!(!is_plausible(wrong, "") && !is_plausible(wrong, "ftr_"), "{wrong:.20}");
        }
    }
}
