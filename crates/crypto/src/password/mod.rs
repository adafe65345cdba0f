//! Password hashes and the rules for new passwords.

use base::{Entropy, Secret};

use crate::memory::LockedKey;

mod filter;
pub mod policy;

/// Cost of Argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Params {
    /// 19 MiB, two passes, one lane: the OWASP floor.
    pub const STANDARD: Self = Self { memory_kib: 19_456, passes: 2, lanes: 1 };
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another password.
    Wrong,
    /// The password.
    Right,
    /// The password, but the stored hash has other parameters or an imported scheme: hash anew and store.
    RightRehash,
}

/// A stored hash that cannot be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedHash {
    /// Not one of the known schemes.
    #[error("the stored password hash is of an unknown scheme")]
    UnknownScheme,
    /// Of a known scheme, but not well formed.
    #[error("the stored password hash is malformed")]
    Malformed,
    /// Its cost is beyond what this product computes.
    #[error("the stored password hash asks for more work than is allowed")]
    TooCostly,
    /// Made with another pepper, or with one while none was given.
    #[error("the stored password hash was made with another pepper")]
    OtherPepper,
}

/// Names a pepper without revealing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PepperId([u8; 6]);

/// Hashes and compares with one reused block of memory; one per worker thread.
pub struct Hasher {
    params: Params,
}

impl Hasher {
    /// Allocates the memory.
    pub fn new(params: Params) -> Self {
        Self { params }
    }

    /// Hashes to a PHC string.
    pub fn hash(&mut self, password: &Secret<String>, pepper: &LockedKey, entropy: &Entropy) -> String {
        let _ = (self.params, password, pepper, entropy);
        unimplemented!()
    }

    /// Compares.
    ///
    /// # Errors
    /// See [`UnsupportedHash`].
    pub fn verify(
        &mut self,
        password: &Secret<String>,
        pepper: Option<&LockedKey>,
        stored: &str,
    ) -> Result<Verdict, UnsupportedHash> {
        let _ = (password, pepper, stored);
        unimplemented!()
    }

    /// Stretches a passphrase to a key by Argon2id with these parameters and `salt`.
    pub fn stretch(&mut self, passphrase: &Secret<String>, salt: &[u8; 16]) -> LockedKey {
        let _ = (passphrase, salt);
        unimplemented!()
    }
}

/// The id of a pepper.
pub fn pepper_id(pepper: &LockedKey) -> PepperId {
    let _ = pepper;
    unimplemented!()
}

/// The id of the pepper that a stored hash needs, if it needs one.
pub fn stored_pepper(stored: &str) -> Option<PepperId> {
    let _ = stored;
    unimplemented!()
}
