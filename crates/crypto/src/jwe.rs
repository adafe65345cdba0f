//! Encrypted tokens.

use base::Entropy;
use zeroize::Zeroizing;

use crate::memory::LockedKey;

/// A key for encrypted tokens.
pub enum JweKey {
    /// The content key itself, shared beforehand.
    Direct(LockedKey),
}

/// Why an encrypted token was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JweError {
    /// Not a token of the strict form.
    #[error("malformed encrypted token: {0}")]
    Malformed(&'static str),
}

/// Encrypts a signed token.
pub fn encrypt(key: &JweKey, jws: &str, entropy: &Entropy) -> String {
    let _ = (key, jws, entropy);
    unimplemented!()
}

/// Decrypts.
///
/// # Errors
/// See [`JweError`].
pub fn decrypt(key: &JweKey, token: &str) -> Result<Zeroizing<Vec<u8>>, JweError> {
    let _ = (key, token);
    unimplemented!()
}
