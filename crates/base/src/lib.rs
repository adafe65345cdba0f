//! The words that every crate of Fortissimo shares: identifiers, time, randomness, secrets, names
//! of people, who acts, for whom a transaction is opened, and what a client is told on failure.
//!
//! This crate does no IO and knows no async runtime. Time comes from a [`Clock`], randomness from an
//! [`Entropy`]; both are passed in, so that everything above can be tested deterministically.
//!
//! ```
//! use base::{Clock, Entropy, Id, kind};
//! let (clock, entropy) = (Clock::controlled(1_700_000_000_000), Entropy::seeded(7));
//! let id: Id<kind::Account> = Id::new(&clock, &entropy);
//! assert_eq!(id.to_string().parse::<Id<kind::Account>>().unwrap(), id);
//! ```

mod actor;
mod clock;
mod entropy;
mod id;
mod language;
mod name;
mod problem;
mod secret;

pub use actor::{Actor, Scope};
pub use clock::{Clock, Timestamp};
pub use entropy::Entropy;
pub use id::{Id, InvalidId, kind};
pub use language::Language;
pub use name::{Email, FullName, InvalidName, Username};
pub use problem::{FieldError, Problem, ProblemKind};
pub use secret::{Secret, constant_time_eq};
