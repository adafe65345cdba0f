//! The log watches its own files: somebody who deletes, replaces or cuts them, or fills the disk, is noticed and told of.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base::Timestamp;
use crypto::log::Tile;
use tokio::time::Instant;

use super::files::{self, blocking};
use super::keeper::{self, Keeper};
use crate::writer::Core;
use crate::{AuditError, Event};

/// Full tiles whose files are looked at in one round; the rounds go through the whole mirror again and again.
const TILES_AT_ONCE: u64 = 128;
/// The clock may be set back by this much (a leap second, a time server's correction) without a word.
const CLOCK_TOLERANCE_MS: i64 = 2_000;
/// Below this share and this size of free space a disk is nearly full.
const MIN_FREE_BYTES: u64 = 256 << 20;

/// What was seen in the last round.
pub(super) struct Watch {
    database: Option<Seen>,
    clock: (Timestamp, Instant),
    /// The full tile where the next round goes on.
    next_tile: u64,
}

struct Seen {
    path: PathBuf,
    inode: u64,
    size: u64,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Deleted,
    Replaced,
    Truncated,
    Altered,
}

impl Change {
    const fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Replaced => "replaced",
            Self::Truncated => "truncated",
            Self::Altered => "altered",
        }
    }
}

impl Watch {
    pub(super) fn new(core: &Core) -> Self {
        let database = core.settings.database.as_ref().and_then(|path| {
            let found = std::fs::metadata(path).ok()?;
            Some(Seen { path: path.clone(), inode: found.ino(), size: found.size() })
        });
        Self { database, clock: (core.clock.now(), Instant::now()), next_tile: 0 }
    }

    /// One round. What it finds is told of; what can be rebuilt is.
    pub(super) async fn look(&mut self, keeper: &mut Keeper) {
        self.clock(keeper).await;
        self.database(keeper).await;
        room(keeper).await;
        checkpoints(keeper).await;
        if let Err(error) = self.tiles(keeper).await {
            tracing::warn!(%error, "the log's tiles could not be looked at");
        }
    }

    async fn clock(&mut self, keeper: &Keeper) {
        let (then, since) = self.clock;
        let now = keeper.core.clock.now();
        self.clock = (now, Instant::now());
        let back = then.since_ms(now);
        if back > CLOCK_TOLERANCE_MS {
            // How far back is more than the difference: time went on meanwhile.
            let passed = i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX);
            let by_ms = back.saturating_add(passed).unsigned_abs();
            keeper.record(Event::LogClockSteppedBack { by_ms }).await;
        }
    }

    /// The database's own file: whoever exchanges it under a running program leaves us writing to a file without a name.
    async fn database(&mut self, keeper: &mut Keeper) {
        let Some(seen) = &mut self.database else { return };
        let change = match std::fs::metadata(&seen.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Change::Deleted),
            Err(_) => None,
            Ok(found) if found.ino() != seen.inode => Some(Change::Replaced),
            // We never shrink it.
            Ok(found) if found.size() < seen.size => Some(Change::Truncated),
            Ok(found) => {
                seen.size = found.size();
                None
            }
        };
        match change {
            None => keeper.over("database file"),
            Some(change) => {
                let event =
                    Event::LogFileChanged { file: "database".into(), what: change.name(), rebuilt: false };
                let problem = format!("the database's file was {}; stop the program and look", change.name());
                keeper.tell("database file", problem, event).await;
            }
        }
    }

    /// A part of the mirror's full tiles: are they there, and as long as they must be?
    async fn tiles(&mut self, keeper: &mut Keeper) -> Result<(), AuditError> {
        let core = keeper.core.clone();
        let (Some(folder), Some(size)) = (&core.settings.folder, keeper.mirrored()) else { return Ok(()) };
        let full = size / 256;
        if self.next_tile >= full {
            self.next_tile = 0;
        }
        let end = full.min(self.next_tile + TILES_AT_ONCE);
        let mut looked_at: Vec<Tile> = (self.next_tile..end).map(|index| Tile::full(0, index)).collect();
        self.next_tile = end;
        looked_at.extend(Tile::partial_in_tree(size));
        let wrong = wrong_files(folder.clone(), looked_at).await?;
        for (tile, path, change) in wrong {
            let files = keeper.wanted(folder, tile).await?;
            keeper::write(files).await?;
            let event = Event::LogFileChanged { file: path.into(), what: change.name(), rebuilt: true };
            keeper.record(event).await;
        }
        Ok(())
    }
}

/// The files of these tiles that are missing or cut; of entries only the presence is known without reading them.
async fn wrong_files(folder: PathBuf, tiles: Vec<Tile>) -> Result<Vec<(Tile, String, Change)>, AuditError> {
    let look = move || {
        let mut wrong = Vec::new();
        for tile in tiles {
            if let Some(change) = changed(&folder.join(tile.path()), Some(tile.byte_len() as u64))? {
                wrong.push((tile, tile.path(), change));
            } else if tile.level == 0
                && let Some(change) = changed(&folder.join(tile.entries_path()), None)?
            {
                wrong.push((tile, tile.entries_path(), change));
            }
        }
        Ok(wrong)
    };
    blocking(look).await.map_err(|error| AuditError::Files(error.to_string()))
}

fn changed(path: &Path, size: Option<u64>) -> io::Result<Option<Change>> {
    let found: Metadata = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Change::Deleted)),
        Err(error) => return Err(error),
    };
    Ok(match size {
        Some(size) if found.size() < size => Some(Change::Truncated),
        Some(size) if found.size() > size => Some(Change::Altered),
        None if found.size() == 0 => Some(Change::Truncated),
        _ => None,
    })
}

/// The two places of the newest checkpoint: do they hold what was written? Asked before a newer one is written there, too:
/// otherwise a busy log would cover up what was done to its files.
pub(super) async fn checkpoints(keeper: &mut Keeper) {
    let Some(written) = keeper.written.clone() else { return };
    let settings = keeper.core.settings.clone();
    let mirror =
        settings.folder.filter(|_| keeper.mirrored().is_some()).map(|folder| folder.join("checkpoint"));
    let anchor = settings.anchor.filter(|_| keeper.anchored());
    for (place, path) in [("mirror", mirror), ("anchor", anchor)] {
        let Some(path) = path else { continue };
        let text = written.checkpoint.clone();
        let change = match blocking(move || files::holds(&path, text.as_bytes())).await {
            Ok(Some(true)) => continue,
            Ok(Some(false)) => Change::Altered,
            Ok(None) => Change::Deleted,
            Err(error) => {
                tracing::warn!(%error, place, "the checkpoint there cannot be read");
                continue;
            }
        };
        let file = format!("{place}/checkpoint");
        keeper.record(Event::LogFileChanged { file: file.into(), what: change.name(), rebuilt: true }).await;
        keeper.rewrite();
    }
}

/// Whether the folders can be written and have room.
async fn room(keeper: &mut Keeper) {
    let settings = keeper.core.settings.clone();
    let parent = |path: Option<PathBuf>| path.and_then(|path| path.parent().map(Path::to_owned));
    let folders = [
        ("mirror", settings.folder),
        ("anchor", parent(settings.anchor)),
        ("database", parent(settings.database)),
    ];
    for (name, folder) in folders {
        let Some(folder) = folder else { continue };
        let asked = blocking(move || {
            let space = rustix::fs::statvfs(&folder)?;
            let writable = rustix::fs::access(&folder, rustix::fs::Access::WRITE_OK).is_ok();
            let read_only = space.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) || !writable;
            Ok((
                space.f_bavail.saturating_mul(space.f_frsize),
                space.f_blocks.saturating_mul(space.f_frsize),
                read_only,
            ))
        });
        // A folder that is not there yet is made when it is written.
        let Ok((free, total, read_only)) = asked.await else { continue };
        let key = format!("{name} read-only");
        if read_only {
            let problem = format!("the {name}'s folder cannot be written");
            keeper.tell(&key, problem, Event::LogReadOnly { folder: name }).await;
        } else {
            keeper.over(&key);
        }
        let key = format!("{name} room");
        if free < MIN_FREE_BYTES.min(total / 20) {
            let free_mib = free >> 20;
            let problem = format!("the {name}'s disk has {free_mib} MiB left");
            keeper.tell(&key, problem, Event::LogDiskLow { folder: name, free_mib }).await;
        } else {
            keeper.over(&key);
        }
    }
}
