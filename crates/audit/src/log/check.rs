//! Does what is written elsewhere belong to the log in the database? Asked at the start, of the mirror and of the anchor,
//! so that a log that was cut off, or replaced by yesterday's copy, does not come back to life unnoticed.

use base::Scope;
use crypto::log::{Checkpoint, root_at};

use super::TreeHead;
use super::reading::{self, with_nodes};
use crate::writer::Core;
use crate::{AuditError, Event};

/// What a checkpoint found somewhere is to the log in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// There is none, or it is no checkpoint at all: it may be written anew.
    Nothing { damaged: bool },
    /// The database's tree is this one or continues it.
    Prefix { size: u64 },
    /// The database's tree is older. Evidence: it must not be overwritten.
    Newer { size: u64 },
    /// The database's tree is another one. Evidence as well.
    Other { size: u64, reason: &'static str },
}

impl Found {
    /// What the log says of it; `None` where all is well.
    pub(super) fn event(&self, place: &'static str, head: &TreeHead) -> Option<Event> {
        match self {
            Self::Nothing { .. } | Self::Prefix { .. } => None,
            Self::Newer { size } => Some(Event::LogRolledBack { place, known: *size, found: head.size }),
            Self::Other { size, reason } => {
                Some(Event::LogInconsistent { place, size: *size, reason: (*reason).into() })
            }
        }
    }

    /// What `/ready` says of it.
    pub(super) fn problem(&self, place: &str, head: &TreeHead) -> Option<String> {
        match self {
            Self::Nothing { .. } | Self::Prefix { .. } => None,
            Self::Newer { size } => Some(format!(
                "the {place} knows a log of {size} events, the database has {} only: it was cut off or an older copy was \
                 restored; run `fortissimo audit verify`",
                head.size
            )),
            Self::Other { size, reason } => Some(format!(
                "the {place}'s checkpoint of {size} events does not belong to the log in the database ({reason}); run \
                 `fortissimo audit verify`"
            )),
        }
    }
}

/// Compares a checkpoint's text with the database.
pub(super) async fn compare(core: &Core, head: &TreeHead, text: Option<&str>) -> Result<Found, AuditError> {
    let Some(text) = text else { return Ok(Found::Nothing { damaged: false }) };
    let Ok(claimed) = Checkpoint::read_unverified(text) else { return Ok(Found::Nothing { damaged: true }) };
    let size = claimed.size;
    let trusted = core.keys.log_verifiers();
    let origin = core.keys.log_origin().unwrap_or_default();
    if Checkpoint::open(text, &origin, &trusted).is_err() {
        return Ok(Found::Other { size, reason: "not signed by this log's keys" });
    }
    if size > head.size {
        return Ok(Found::Newer { size });
    }
    let mut tx = core.db.begin_read(Scope::System("checking the log")).await?;
    let root = with_nodes(&mut tx, head.size, |read| root_at(size, read)).await?;
    Ok(if root == claimed.root {
        Found::Prefix { size }
    } else {
        Found::Other { size, reason: "another root" }
    })
}

/// Whether the database's own checkpoint is signed and says what its row says.
pub(super) async fn own(core: &Core, head: &TreeHead) -> Result<Option<&'static str>, AuditError> {
    if head.size == 0 {
        return Ok(None);
    }
    let origin = core.keys.log_origin().unwrap_or_default();
    let Ok(open) = Checkpoint::open(&head.checkpoint, &origin, &core.keys.log_verifiers()) else {
        return Ok(Some("its checkpoint is not signed by this log's keys"));
    };
    if (open.checkpoint.size, open.checkpoint.root) != (head.size, head.root) {
        return Ok(Some("its checkpoint is of another tree"));
    }
    let mut tx = core.db.begin_read(Scope::System("checking the log")).await?;
    let last = reading::has_event(&mut tx, head.size - 1).await?;
    let beyond = reading::has_event(&mut tx, head.size).await?;
    Ok(match (last, beyond) {
        (false, _) => Some("its last event is missing"),
        (_, true) => Some("it has events beyond its tree"),
        _ => None,
    })
}
