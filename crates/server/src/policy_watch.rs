//! Puts a changed policy folder in force without a command, where `[access] reload` says so.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use access::{Bundle, LifeError, Permit, Policies};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config;

/// How often the folder is looked at; SIGHUP makes it look at once.
const PERIOD: Duration = Duration::from_secs(1);
/// Who acts, in the audit trail.
const PART: &str = "policy folder";

/// What a look at the folder sees: name, length and time of change of each file.
type Seen = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// Activates the folder's policies whenever they differ from those in force and the folder has come to rest, until
/// `stop` becomes true. Wrong ones are refused once, with their place; the old ones stay.
pub(crate) async fn run(
    policies: Policies,
    config: config::Access,
    folder: PathBuf,
    mut stop: watch::Receiver<bool>,
) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => {
            return tracing::warn!(%error, "cannot watch the policy folder; use `fortissimo policy activate`");
        }
    };
    let (mut done, mut last) = (None, None);
    while !*stop.borrow() {
        let now = look(&folder).await;
        // A folder that changed since the last look may be half written.
        if now != done && now == last {
            take_up(&policies, &config, &folder).await;
            done.clone_from(&now);
        }
        last = now;
        tokio::select! {
            _ = stop.changed() => {}
            _ = hangup.recv() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

async fn take_up(policies: &Policies, config: &config::Access, folder: &Path) {
    let (config, path) = (config.clone(), folder.to_owned());
    let loaded = tokio::task::spawn_blocking(move || config.files(Some(&path))).await;
    let files = match loaded {
        Ok(Ok(files)) => files,
        Ok(Err(error)) => {
            return tracing::error!(%error, "the policy folder cannot be read; the old policies stay");
        }
        Err(_) => return,
    };
    // What is in force already needs no line in the history.
    if Bundle::from_files(files.clone()).is_ok_and(|new| *new.version() == policies.access().version()) {
        return;
    }
    match policies.activate(Permit::for_system(PART), files, "the folder changed").await {
        Ok(active) => {
            tracing::info!(version = active.version, serial = active.serial, "took up the policy folder")
        }
        Err(LifeError::Refused(error)) => {
            tracing::error!(%error, "the policy folder is wrong; the old policies stay");
        }
        Err(error) => {
            tracing::error!(%error, "the policy folder could not be put in force; the old policies stay")
        }
    }
}

async fn look(folder: &Path) -> Option<Seen> {
    let folder = folder.to_owned();
    let seen = tokio::task::spawn_blocking(move || {
        let mut seen = Vec::new();
        for entry in std::fs::read_dir(folder).ok()?.take(1_000) {
            let entry = entry.ok()?;
            let about = entry.metadata().ok()?;
            seen.push((entry.path(), about.len(), about.modified().ok()));
        }
        seen.sort();
        Some(seen)
    });
    seen.await.ok().flatten()
}
