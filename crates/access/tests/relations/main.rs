//! Relations over both databases.

#![expect(clippy::unwrap_used, reason = "tests outside of #[test] functions; the harness fails by panicking")]

mod at_once;
mod bad_input;
mod house;
mod lists;
mod offers;
mod shares;
mod things;
mod tokens;
