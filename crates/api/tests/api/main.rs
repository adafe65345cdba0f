//! The API as a client meets it: through the whole pipeline, on in-memory SQLite, with a clock that the test moves.

#![expect(clippy::unwrap_used, reason = "tests outside of #[test] functions; the harness fails by panicking")]

mod access_check;
mod audit;
mod bad_input;
mod factors;
mod house;
mod life;
mod log;
mod offers;
mod operators;
mod relations;
mod strictness;
mod tamper;
