//! Takes up a new location file without a restart.

use std::time::{Duration, SystemTime};

use guard::Geo;
use tokio::sync::watch;

/// How often the file is looked at. Such files are replaced once a week or less often.
const PERIOD: Duration = Duration::from_secs(10);

/// Reads the file again when its time of change or size differs from the last look, until `stop` becomes true. A file
/// that is just being written is refused and looked at again: its time changes once more when it is whole.
pub(crate) async fn run(geo: Geo, mut stop: watch::Receiver<bool>) {
    let mut seen = look(&geo).await;
    while !*stop.borrow() {
        tokio::select! {
            _ = stop.changed() => continue,
            () = tokio::time::sleep(PERIOD) => {}
        }
        let now = look(&geo).await;
        if now == seen {
            continue;
        }
        seen = now;
        let again = geo.clone();
        // Reading and checking a large file takes a while.
        match tokio::task::spawn_blocking(move || again.reload()).await {
            Ok(Ok(())) => tracing::info!(file = %geo.path().display(), "took up the location file again"),
            Ok(Err(error)) => {
                tracing::error!(%error, "the new location file cannot be used; the old one stays")
            }
            Err(_) => tracing::error!("reading the location file panicked; the old one stays"),
        }
    }
}

async fn look(geo: &Geo) -> Option<(SystemTime, u64)> {
    let found = tokio::fs::metadata(geo.path()).await.ok()?;
    Some((found.modified().ok()?, found.len()))
}
