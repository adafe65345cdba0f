//! The `fortissimo` program as a library: configuration, wiring, workers, the operations listener and the commands.
//!
//! [`start()`] runs a whole server inside a process, with its own clock and randomness; [`command::main`] is the
//! command line. What this crate refuses to do: it has no business rule, no SQL and no cryptography of its own.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use base::{Clock, Entropy};
//! let running = server::start(&server::config::Config::default(), Clock::system(), Entropy::system()).await?;
//! println!("http://{}", running.public_addr);
//! running.shutdown("example").await;
//! # Ok(()) }
//! ```

pub mod command;
pub mod config;
mod doctor;
mod error;
mod evidence;
mod folder;
mod front;
mod logs;
mod ops;
mod output;
mod policy_watch;
mod proof;
mod replay;
mod services;
mod signing;
mod sink_setup;
mod start;
mod tls_watch;
mod vouch;
mod whereabouts;
mod witness;
mod worker;

#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod start_tests;

pub use error::StartError;
pub use services::Services;
pub use start::{FirstLink, Running, own_endpoints, start};
