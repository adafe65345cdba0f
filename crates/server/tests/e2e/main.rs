//! End to end: the real binary, over HTTP, with real services around it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where the test should fail")]

mod cli;
mod closing;
mod coverage;
mod crash;
mod evidence;
mod factors;
mod faults;
mod hostile;
mod identity_pages;
mod import;
mod indistinguishable;
mod journey;
mod live;
mod live_nodes;
mod malformed;
mod pages;
mod passkeys;
mod policies;
mod policy_pages;
mod provider;
mod resource_types;
mod rights;
mod risk;
mod sharing;
mod sinks;
mod smtp;
mod studio;
mod team_pages;
mod token_judges;
mod tokens;
mod verify;
mod watch;

use testkit::{Program, Settings};

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_fortissimo");

/// The program with these settings.
fn start(settings: Settings) -> Program {
    Program::start(BINARY, settings)
}

/// The whole path of a repository file.
fn repository(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
