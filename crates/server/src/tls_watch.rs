//! Takes up a renewed certificate without a restart.

use std::time::{Duration, SystemTime};

use gateway::Tls;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config;

/// How often the files are looked at; SIGHUP makes it look at once.
const PERIOD: Duration = Duration::from_secs(30);

/// Reloads when a file's time of change differs from the last look, until `stop` becomes true.
pub(crate) async fn run(tls: Tls, files: config::Tls, mut stop: watch::Receiver<bool>) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => {
            return tracing::warn!(%error, "cannot watch the certificate; a renewed one needs a restart");
        }
    };
    let mut seen = changed_at(&files).await;
    while !*stop.borrow() {
        let asked = tokio::select! {
            _ = stop.changed() => continue,
            _ = hangup.recv() => true,
            () = tokio::time::sleep(PERIOD) => false,
        };
        let now = changed_at(&files).await;
        if asked || now != seen {
            match tls.reload() {
                Ok(()) => tracing::info!("took up the certificate again"),
                Err(error) => {
                    tracing::error!(%error, "the new certificate cannot be used; the old one stays")
                }
            }
            seen = now;
        }
    }
}

async fn changed_at(files: &config::Tls) -> [Option<SystemTime>; 2] {
    let at = async |path| tokio::fs::metadata(path).await.and_then(|found| found.modified()).ok();
    [at(&files.cert).await, at(&files.key).await]
}
