//! Fortissimo's own tool: `cargo xtask test` runs every test with real servers beside it,
//! `cargo xtask lint` what must hold before a change lands, `cargo xtask bench` the measurements.
#![expect(clippy::print_stdout, reason = "a command-line tool speaks on stdout")]

mod bench;
mod lint;
mod postgres;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Tests, lints and measurements of Fortissimo")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every test; installs and starts what the tests need (PostgreSQL, Chromium, SMTP, FastAPI).
    Test {
        /// Passed on to `cargo test`, for example `-p fortissimo-store` or a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Format, clippy, cargo-deny, documents and the tidy checks.
    Lint,
    /// Measure, and write the table of ratios to docs/performance.md.
    Bench {
        /// Seconds for each load run.
        #[arg(long, default_value_t = 8)]
        seconds: u32,
        /// Only one part; the others stay on the page as they were measured. An unknown name lists the parts.
        #[arg(long)]
        only: Option<String>,
        /// Events that go through the audit trail while its memory is looked at (default 300000), and with `--only search`
        /// those of the log that is searched (default 1000000); 10000000 (15 GB of disk) for the figures that count.
        #[arg(long)]
        events: Option<u64>,
    },
    /// Install what tests and benchmarks need, then stop.
    Prepare,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Test { rest } => test::run(&rest),
        Command::Lint => lint::run(),
        Command::Bench { seconds, only, events } => {
            bench::run(&bench::Effort { seconds, events }, only.as_deref())
        }
        Command::Prepare => tools::prepare_all().map(drop),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
