//! `cargo xtask test`: every test, with the real servers beside it.

use std::process::Command;

use anyhow::Result;

use crate::{postgres::Postgres, tools};

/// Runs the tests; `rest` goes to `cargo test` instead of `--workspace`.
pub(crate) fn run(rest: &[String]) -> Result<()> {
    let tools = tools::prepare_all()?;
    let postgres = Postgres::start()?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(tools::root()).arg("test").args(["--no-fail-fast"]);
    if rest.is_empty() {
        cargo.args(["--workspace", "--all-targets"]);
    } else {
        cargo.args(rest);
    }
    cargo
        .env("FORTISSIMO_TEST_POSTGRES", &postgres.url)
        .env("FORTISSIMO_TEST_PYTHON", &tools.python)
        .env("FORTISSIMO_TEST_NODE_MODULES", &tools.node_modules)
        .env("FORTISSIMO_TEST_CHROMIUM", &tools.chromium)
        .env("FORTISSIMO_TEST_RSYSLOG", "/usr/sbin/rsyslogd")
        .env("FORTISSIMO_TEST_HYDRA", "/usr/bin/hydra");
    tools::run(&mut cargo)?;
    if rest.is_empty() {
        let mut doc = Command::new("cargo");
        tools::run(doc.current_dir(tools::root()).args(["test", "--workspace", "--doc"]))?;
    }
    Ok(())
}
