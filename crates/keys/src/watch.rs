//! Listens for changes: keys that another node rotated, subjects whose key was destroyed.

use std::sync::Weak;
use std::time::Duration;

use store::Change;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::{Inner, Subject};

/// How long to wait after a reload that failed; old keys stay in use meanwhile.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until the keys or the database are dropped.
pub(crate) async fn watch(keys: Weak<Inner>, mut changes: Receiver<Change>) {
    let mut reload = false;
    loop {
        let change = if reload {
            tokio::time::timeout(RETRY, changes.recv()).await.ok()
        } else {
            Some(changes.recv().await)
        };
        let Some(inner) = keys.upgrade() else { return };
        match change {
            Some(Ok(Change::Account(id))) => inner.subjects.forget(Subject::Account(id)),
            Some(Ok(Change::Keys | Change::Everything) | Err(RecvError::Lagged(_))) => reload = true,
            Some(Ok(Change::Session(_) | Change::Policies | Change::Object(_) | Change::Relations)) => {}
            Some(Err(RecvError::Closed)) => return,
            None => reload = true,
        }
        if reload {
            reload = match inner.reload().await {
                Ok(()) => false,
                Err(error) => {
                    tracing::warn!(%error, "the signing keys could not be read again; the old ones stay in use");
                    true
                }
            };
        }
    }
}
