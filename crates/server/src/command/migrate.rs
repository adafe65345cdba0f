//! `fortissimo migrate [--status]`.

use std::io::Write;

use base::Clock;

use super::runtime;
use crate::config::Loaded;
use crate::config::value::DatabaseUrl;
use crate::error::StartError;
use crate::output::{Failure, table};
use crate::{folder, services};

/// Bring the database to this version.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// Only show which migrations are applied and which wait
    #[arg(long)]
    status: bool,
}

pub(super) fn run(command: &Migrate, loaded: Loaded, out: &mut impl Write) -> Result<(), Failure> {
    folder::harden_process()?;
    let config = loaded.resolved;
    if let DatabaseUrl::Sqlite(path) = &config.database_url {
        if command.status && !path.exists() {
            return Err(StartError::NoData { path: path.clone() }.into());
        }
        folder::prepare(&config.server.data_dir)?;
    }
    runtime(1)?.block_on(async {
        let db = services::connect(&config, &Clock::system()).await?;
        if command.status {
            let status = db.migration_status().await?;
            let row = |one: &store::MigrationStatus| {
                let applied = one.applied_at.map_or_else(|| "waits".to_owned(), |at| at.to_rfc3339());
                vec![format!("V{:04}", one.version), one.name.clone(), applied]
            };
            table(out, &["version", "name", "applied"], &status.iter().map(row).collect::<Vec<_>>())?;
        } else {
            let done = db.migrate().await?;
            for name in &done {
                writeln!(out, "applied {name}")?;
            }
            if done.is_empty() {
                writeln!(out, "the database is at this version already")?;
            }
        }
        db.close().await?;
        Ok(())
    })
}
