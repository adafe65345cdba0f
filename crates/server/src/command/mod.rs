//! The command line.

mod account;
mod account_import;
mod alert;
mod audit;
mod config;
mod keys;
mod mail;
mod migrate;
mod object;
mod policy;
mod serve;
mod setup_link;
mod witness;

use std::ffi::OsString;
use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use base::{Clock, Entropy};
use clap::{Parser, Subcommand};

use crate::config::{Flags, Loaded, Sources, load};
use crate::error::StartError;
use crate::output::Failure;
use crate::services::{Mode, Services};
use crate::{doctor, folder};

/// The security platform of a music platform, as one program.
#[derive(Debug, Parser)]
#[command(name = "fortissimo", version, disable_help_subcommand = true)]
#[command(
    after_help = "Without a command, `serve` is run. Settings: docs/configuration.md, or `fortissimo config sample`."
)]
struct Line {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
struct Common {
    /// Configuration file; without it, ./fortissimo.toml if there is one
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve: the gateway with sign-in, pages and audit trail in front of your services
    Serve,
    /// Check, show or explain the configuration
    #[command(subcommand)]
    Config(config::Config),
    /// Bring the database to this version
    Migrate(migrate::Migrate),
    /// Print a new one-time link to set up the first operator
    SetupLink,
    /// See and change accounts
    #[command(subcommand)]
    Account(account::Account),
    /// Make objects of your services known, and see whose they are
    #[command(subcommand)]
    Object(object::Object),
    /// Read the audit trail
    #[command(subcommand)]
    Audit(audit::Audit),
    /// See alerts, and say that you look into them
    #[command(subcommand)]
    Alert(alert::Alert),
    /// Read the outbox that is used without a mail server
    #[command(subcommand)]
    Mail(mail::Mail),
    /// Check, compare and put in force who may do what
    #[command(subcommand)]
    Policy(policy::Policy),
    /// See keys and rotate those that sign
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Check this installation and say what to do
    Doctor,
    /// Watch the logs of others and cosign what continues them (settings: [witness])
    Witness,
}

/// Runs the command line and gives the exit code: 0, 1 if it could not be done, 2 if it was asked wrongly.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match Line::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => return explain(&error),
    };
    match run(line) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn run(line: Line) -> Result<ExitCode, Failure> {
    let common = &line.common;
    let mut out = io::stdout().lock();
    let done = match line.command.unwrap_or(Command::Serve) {
        Command::Serve => {
            drop(out);
            return serve::run(common.load_to_serve()?);
        }
        Command::Config(command) => config::run(&command, common, &mut out),
        Command::Migrate(command) => migrate::run(&command, common.load()?, &mut out),
        Command::SetupLink => setup_link::run(common.load()?, &mut out),
        Command::Account(command) => account::run(command, common.load()?, &mut out),
        Command::Object(command) => object::run(command, common.load()?, &mut out),
        Command::Audit(command) => audit::run(command, common.load()?, &mut out),
        Command::Alert(command) => alert::run(command, common.load()?, &mut out),
        Command::Mail(command) => mail::run(&command, common.load()?, &mut out),
        Command::Policy(command) => policy::run(command, common.load()?, &mut out),
        Command::Keys(command) => keys::run(&command, common.load()?, &mut out),
        Command::Doctor => return doctor(common, &mut out),
        Command::Witness => {
            drop(out);
            return witness::run(common.load()?);
        }
    };
    done?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn doctor(common: &Common, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let loaded = load(&common.sources());
    let well = runtime(0)?.block_on(doctor::run(loaded, out))?;
    out.flush()?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Common {
    fn sources(&self) -> Sources {
        Sources {
            file: self.config.clone(),
            environment: environment(),
            flags: self.flags.clone(),
            beside: false,
        }
    }

    fn load_to_serve(&self) -> Result<Loaded, Failure> {
        load(&self.sources()).map_err(Failure::Config)
    }

    /// For a command beside a running server.
    fn load(&self) -> Result<Loaded, Failure> {
        load(&Sources { beside: true, ..self.sources() }).map_err(Failure::Config)
    }
}

/// The environment, but for variables that are not text; a setting cannot be one of those.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Says what is wrong with the command line in one line; help and version are no mistakes.
fn explain(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = write!(io::stdout().lock(), "{}", error.render());
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1);
        let names: Vec<&str> = listed
            .take_while(|line| !line.trim().is_empty())
            .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help")
            .collect();
        return Failure::Usage(format!("a command is missing: one of {}", names.join(", "))).report();
    }
    let parts = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let parts: Vec<&str> =
        parts.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more")).collect();
    let line = parts.join(" ").trim_start_matches("error: ").to_owned();
    let line = if line.is_empty() { "a command is missing; see --help".to_owned() } else { line };
    Failure::Usage(line).report()
}

/// A runtime with this many threads; 0 means one per core.
fn runtime(workers: u16) -> Result<tokio::runtime::Runtime, StartError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if workers > 0 {
        builder.worker_threads(usize::from(workers));
    }
    builder.enable_all().build().map_err(|source| StartError::System { what: "cannot start threads", source })
}

/// Opens the services for a command beside a running server, does the work, and closes them whatever came of it.
fn with_services<F, T>(loaded: Loaded, work: impl FnOnce(Services) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    crate::logs::start(&crate::config::Log { level: "warn".to_owned(), ..loaded.config.log.clone() });
    folder::harden_process()?;
    runtime(1)?.block_on(async {
        let services =
            Services::open(loaded.resolved, Clock::system(), Entropy::system(), Mode::Command).await?;
        let outcome = work(services.clone()).await;
        services.close().await;
        outcome
    })
}
