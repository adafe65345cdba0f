//! `fortissimo audit prove`: the proof of one event, from the log's files or, where there are none, the database.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use audit::verify::{Database, Folder, ProveError, Source, Wanted, prove};
use base::{Id, kind as ids};

use super::verify::open;
use crate::config::Loaded;
use crate::output::Failure;

/// How long a proof that could not be made is left alone.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(200);

/// Which event.
#[derive(Debug, clap::Args)]
pub(in crate::command) struct Prove {
    /// The event's id, or its index in the log
    #[arg(value_name = "ID|INDEX", value_parser = wanted)]
    event: Wanted,
    /// The log's files; without it, those of this installation
    #[arg(long, value_name = "DIR")]
    log: Option<PathBuf>,
    /// Write the proof to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn wanted(text: &str) -> Result<Wanted, &'static str> {
    let index = text.parse().map(Wanted::Index).ok();
    index
        .or_else(|| text.parse::<Id<ids::Event>>().map(Wanted::Id).ok())
        .ok_or("expected the id of an event, or its index in the log")
}

pub(super) fn run(command: Prove, loaded: Loaded, out: &mut impl Write) -> Result<(), Failure> {
    crate::logs::start(&crate::config::Log { level: "warn".to_owned(), ..loaded.config.log.clone() });
    let proof = crate::command::runtime(1)?.block_on(async {
        let config = &loaded.resolved;
        let folder = command.log.clone().unwrap_or_else(|| config.log_folder.clone());
        if command.log.is_some() || folder.join("checkpoint").exists() {
            return find(&mut Folder::new(folder), command.event).await;
        }
        let (db, _keys) = open(config).await?;
        let found = find(&mut Database::new(db.clone()), command.event).await;
        let _ = db.close().await;
        found
    })?;
    match &command.output {
        None => write!(out, "{proof}")?,
        Some(path) => {
            fs::write(path, &proof)
                .map_err(|error| Failure::Runtime(format!("cannot write {}: {error}", path.display())))?;
            writeln!(out, "{}", path.display())?;
        }
    }
    Ok(())
}

async fn find(source: &mut impl Source, event: Wanted) -> Result<String, Failure> {
    let mut found = prove(source, event).await;
    // A log that grows replaces its newest files: what was there a moment ago is now in a longer one.
    for _ in 0..5 {
        if !matches!(found, Err(ProveError::Damaged(_))) {
            break;
        }
        tokio::time::sleep(AGAIN).await;
        found = prove(source, event).await;
    }
    let found = found.map_err(|error| Failure::Runtime(error.to_string()))?;
    let found = found.ok_or_else(|| Failure::Runtime("the log has no such event".into()))?;
    Ok(found.to_text())
}
