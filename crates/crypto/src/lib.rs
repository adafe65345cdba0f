//! Constructions over aws-lc-rs: sealed envelopes, blind indexes, password hashes, tokens.
//!
//! This crate is pure: no IO, no clock, no database, no async runtime. It is the only crate of Fortissimo
//! that calls cryptographic primitives; each construction is checked against published vectors, positive
//! and negative. Time and randomness come in as arguments. It refuses to choose algorithms at run time:
//! a record's version fixes its cipher, a key fixes its signature algorithm.
//!
//! ```
//! use base::Entropy;
//! use crypto::memory::LockedKey;
//! use crypto::{Context, ContextKind, KeyRef, envelope};
//!
//! let entropy = Entropy::seeded(1);
//! let key = LockedKey::generate(&entropy);
//! let place = Context {
//!     deployment: &[1; 16],
//!     kind: ContextKind::Field,
//!     table: "accounts",
//!     column: "email",
//!     row: &[2; 16],
//!     subject: &[2; 16],
//! };
//! let record = envelope::seal(&key, KeyRef([3; 16]), &place, b"ada@example.com", &entropy);
//! assert_eq!(envelope::key_ref(&record), Ok(KeyRef([3; 16])));
//! assert_eq!(**envelope::open(&key, &place, &record).unwrap(), *b"ada@example.com");
//! assert!(envelope::open(&key, &Context { row: &[9; 16], ..place }, &record).is_err());
//! ```

pub mod cobblestone;
mod compact;
mod context;
pub mod envelope;
pub mod jwe;
pub mod jws;
pub mod log;
pub mod mac;
pub mod memory;
mod p256;
pub mod password;
pub mod timestamp;

#[cfg(test)]
mod jose_vectors;
#[cfg(test)]
mod test_data;
#[cfg(test)]
mod vectors;

pub use context::{Context, ContextKind, KeyRef};
