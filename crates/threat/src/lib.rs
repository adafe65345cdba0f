//! Scores over time. So far: how unlike its owner a sign-in is ([`login`], AUTH-10).
//!
//! Pure: no sockets, no clock, no database, no randomness. State comes in as a value and goes out as a value; whoever
//! keeps it (sealed, bounded) is above this crate.
//!
//! What this crate refuses to do: it decides nothing about passwords or permissions, and it learns nothing by itself.
//! Only a caller who saw a sign-in completed by its owner may say so.
//!
//! ```
//! use base::Timestamp;
//! use threat::login::{Agent, Engine, History, Outcome, Population, Sighting};
//! let (engine, mut population, mut history) = (Engine::default(), Population::default(), History::default());
//! let mut sighting = Sighting::at(Timestamp::from_millis(1_790_000_000_000));
//! sighting.address = Some([192, 0, 2, 7].into());
//! sighting.agent = Agent::parse("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0");
//! // Nothing is known of this person yet, and the assessment says so instead of guessing.
//! assert!(engine.assess(&sighting, &history, &population).cold_start);
//! for _ in 0..3 {
//!     engine.learn(&sighting, &mut history, &mut population);
//! }
//! assert_eq!(engine.assess(&sighting, &history, &population).outcome, Outcome::Allow);
//! ```

pub mod login;
