//! Password hashes: Argon2id with a pepper for ours, and comparison with the schemes that other systems
//! leave behind. The rules for new passwords are in [`policy`].
//!
//! Give passwords in the form that [`policy::Policy::normalise`] makes; this module hashes bytes.

use argon2::{Algorithm, Argon2, Block, Version};
use base::{Entropy, Secret, constant_time_eq};
use zeroize::{Zeroize, Zeroizing};

use crate::mac;
use crate::memory::LockedKey;

pub mod common;
mod imported;
mod patterns;
mod phc;
pub mod policy;
mod range;

use imported::Imported;
use phc::{Phc, base64};

pub use range::{RangeKey, range_key};

const SALT: usize = 16;
const OUTPUT: usize = 32;

/// The most memory that a stored hash may ask for, in KiB.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// The most work (KiB times passes) that a stored hash may ask for: about a second.
const MAX_MEMORY_PASSES: u64 = 1024 * 1024;

/// The cost of Argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Params {
    /// 19 MiB, two passes, one lane: the floor that OWASP recommends.
    pub const STANDARD: Self = Self { memory_kib: 19_456, passes: 2, lanes: 1 };

    /// Other costs; `None` if Argon2 does not know them (memory below 8 KiB a lane, no pass, no lane) or they
    /// exceed what this product computes (256 MiB, 16 lanes, 1 GiB over all passes).
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        let known = passes >= 1 && lanes >= 1 && lanes <= 16 && memory_kib >= 8 * lanes;
        let bounded = memory_kib <= MAX_MEMORY_KIB && memory_kib as u64 * passes as u64 <= MAX_MEMORY_PASSES;
        if known && bounded { Some(Self { memory_kib, passes, lanes }) } else { None }
    }

    fn argon2(self, output: usize) -> argon2::Params {
        argon2::Params::new(self.memory_kib, self.passes, self.lanes, Some(output))
            .expect("Params::new and the PHC parser let only known costs through")
    }
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another password.
    Wrong,
    /// The password.
    Right,
    /// The password, but the stored hash has other parameters, no pepper or an imported scheme: hash the
    /// password anew and store that.
    RightRehash,
}

/// A stored hash that nothing can be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedHash {
    /// Not one of the known schemes.
    #[error("the stored password hash is of an unknown scheme")]
    UnknownScheme,
    /// Of a known scheme, but not well formed.
    #[error("the stored password hash is malformed")]
    Malformed,
    /// Its cost is beyond what this product computes for anybody.
    #[error("the stored password hash asks for more work than is allowed")]
    TooCostly,
    /// Made with another pepper than the given one.
    #[error("the stored password hash was made with another pepper")]
    OtherPepper,
}

/// Whether [`Hasher::verify`] could compare with an imported hash: the scheme is known, the text well formed, the cost
/// bounded. No hash is computed. Gives the scheme's short name.
///
/// # Errors
/// See [`UnsupportedHash`]; a hash that names a pepper is [`UnsupportedHash::OtherPepper`].
pub fn check_import(stored: &str) -> Result<&str, UnsupportedHash> {
    if stored.starts_with("$argon2") {
        let phc = Phc::parse(stored)?;
        phc::argon2(&phc)?;
        return match phc::pepper(&phc)? {
            None => Ok(phc.scheme),
            Some(_) => Err(UnsupportedHash::OtherPepper),
        };
    }
    Imported::parse(stored)?;
    let name = stored.trim_start_matches(['$', '{']);
    Ok(name.split(['$', '}']).next().unwrap_or(name))
}

/// Names a pepper without telling anything about it; part of the hashes made with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PepperId([u8; 6]);

impl PepperId {
    /// The id of a pepper.
    pub fn of(pepper: &LockedKey) -> Self {
        let digest = mac::hmac_sha256(pepper.expose(), b"fortissimo/pepper-id/v1");
        Self(digest[..6].try_into().expect("six bytes were cut"))
    }

    /// The id of the pepper that a stored hash needs; `None` if it needs none or is not one of ours.
    pub fn needed_by(stored: &str) -> Option<Self> {
        phc::pepper(&Phc::parse(stored).ok()?).ok()?
    }
}

/// Hashes and compares with one block of memory that is reused, because mapping and clearing fresh memory
/// costs half as much as the hash itself. One per worker thread; wiped on drop.
pub struct Hasher {
    params: Params,
    memory: Vec<Block>,
}

impl Hasher {
    /// Allocates the memory for `params`.
    pub fn new(params: Params) -> Self {
        let blocks = params.argon2(OUTPUT).block_count();
        Self { params, memory: vec![Block::new(); blocks] }
    }

    /// Hashes a password with a fresh salt and the pepper, to
    /// `$argon2id$v=19$m=…,t=…,p=…,keyid=…$salt$hash` (PHC string format).
    pub fn hash(&mut self, password: &Secret<String>, pepper: &LockedKey, entropy: &Entropy) -> String {
        let salt = entropy.bytes::<SALT>();
        let mut output = Zeroizing::new([0; OUTPUT]);
        let work = Work {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            params: self.params,
            secret: Some(pepper),
            salt: &salt,
        };
        self.argon2(&work, password.expose_bytes(), &mut *output);
        let Params { memory_kib, passes, lanes } = self.params;
        format!(
            "$argon2id$v=19$m={memory_kib},t={passes},p={lanes},keyid={}${}${}",
            base64(&PepperId::of(pepper).0),
            base64(&salt),
            base64(&*output),
        )
    }

    /// Compares a password with a stored hash, in time that depends on the hash's costs only.
    ///
    /// Known schemes: ours; `$argon2i$` and `$argon2id$` without pepper; bcrypt (`$2a$`, `$2b$`, `$2y$`);
    /// `$scrypt$ln=…,r=…,p=…$`; `$pbkdf2-sha1$`, `$pbkdf2-sha256$` and `$pbkdf2-sha512$` in PHC and in
    /// passlib form; `$firebase-scrypt$ln=…,r=…,ss=…,sk=…$`; RFC 2307's `{SSHA}`, `{SSHA256}`, `{SSHA512}`;
    /// `$salted-sha1$`, `$salted-sha256$`, `$salted-sha512$` with `order=salt-first|salt-last`. The pepper is used
    /// only for ours. A wrong password costs at least as much as with a hash of ours, so that an account whose hash
    /// was imported from a quick scheme cannot be told from one that does not exist.
    ///
    /// # Errors
    /// See [`UnsupportedHash`]; no hash is computed then.
    pub fn verify(
        &mut self,
        password: &Secret<String>,
        pepper: Option<&LockedKey>,
        stored: &str,
    ) -> Result<Verdict, UnsupportedHash> {
        if stored.starts_with("$argon2") {
            return self.verify_argon2(password, pepper, stored);
        }
        if Imported::parse(stored)?.matches(password.expose_bytes())? {
            return Ok(Verdict::RightRehash);
        }
        self.decoy(password);
        Ok(Verdict::Wrong)
    }

    fn verify_argon2(
        &mut self,
        password: &Secret<String>,
        pepper: Option<&LockedKey>,
        stored: &str,
    ) -> Result<Verdict, UnsupportedHash> {
        let phc = Phc::parse(stored)?;
        let (algorithm, version, params) = phc::argon2(&phc)?;
        let needed = phc::pepper(&phc)?;
        let secret = match (needed, pepper) {
            (None, _) => None,
            (Some(id), Some(pepper)) if PepperId::of(pepper) == id => Some(pepper),
            (Some(_), _) => return Err(UnsupportedHash::OtherPepper),
        };
        let mut output = Zeroizing::new(vec![0; phc.hash.len()]);
        let work = Work { algorithm, version, params, secret, salt: &phc.salt };
        self.argon2(&work, password.expose_bytes(), &mut output);
        let ours = secret.is_some()
            && matches!((algorithm, version), (Algorithm::Argon2id, Version::V0x13))
            && params == self.params
            && (phc.salt.len(), phc.hash.len()) == (SALT, OUTPUT);
        Ok(match (constant_time_eq(&output, &phc.hash), ours) {
            (false, _) => Verdict::Wrong,
            (true, true) => Verdict::Right,
            (true, false) => Verdict::RightRehash,
        })
    }

    /// Does the work of one comparison with a hash of ours and forgets the result, so that an unknown
    /// account takes as long as a known one.
    pub fn decoy(&mut self, password: &Secret<String>) {
        let mut output = Zeroizing::new([0; OUTPUT]);
        self.argon2(&Work::unkeyed(self.params, &[0; SALT]), password.expose_bytes(), &mut *output);
        std::hint::black_box(&output);
    }

    /// Stretches a passphrase to a key: Argon2id with this hasher's parameters, a stored random `salt` and no
    /// pepper.
    pub fn stretch(&mut self, passphrase: &Secret<String>, salt: &[u8; SALT]) -> LockedKey {
        let work = Work::unkeyed(self.params, salt);
        LockedKey::filled_by(|key| self.argon2(&work, passphrase.expose_bytes(), key))
    }

    fn argon2(&mut self, work: &Work<'_>, password: &[u8], output: &mut [u8]) {
        let params = work.params.argon2(output.len());
        let argon2 = match work.secret {
            Some(pepper) => {
                Argon2::new_with_secret(pepper.expose(), work.algorithm, work.version, params.clone())
                    .expect("a pepper has 32 bytes")
            }
            None => Argon2::new(work.algorithm, work.version, params.clone()),
        };
        // Only imported hashes need more than our own block; theirs is not kept.
        let mut larger = Vec::new();
        let memory = if params.block_count() > self.memory.len() {
            larger.resize(params.block_count(), Block::new());
            &mut larger
        } else {
            &mut self.memory
        };
        argon2
            .hash_password_into_with_memory(password, work.salt, output, &mut memory[..])
            .expect("salt, output and memory have lengths that Argon2 takes");
        larger.zeroize();
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.memory.zeroize();
    }
}

struct Work<'a> {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    secret: Option<&'a LockedKey>,
    salt: &'a [u8],
}

impl<'a> Work<'a> {
    const fn unkeyed(params: Params, salt: &'a [u8]) -> Self {
        Self { algorithm: Algorithm::Argon2id, version: Version::V0x13, params, secret: None, salt }
    }
}

#[cfg(test)]
mod tests;
