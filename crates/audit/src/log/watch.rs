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
const TILES_AT_ONCE: u64 = 256;
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
    /// The last time that a way through the mirror began, and this time.
    before: Option<Begun>,
    now: Option<Begun>,
}

/// When a way through the mirror began, by the clock that files are stamped with, and how many full tiles had been written
/// before that: nobody writes to those any more.
#[derive(Debug, Clone, Copy)]
struct Begun {
    at: (i64, i64),
    full: u64,
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
        let clock = (core.clock.now(), Instant::now());
        Self { database, clock, next_tile: 0, before: None, now: None }
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
        // All tiles were written before the checkpoint that covers them.
        let checkpoint = folder.join("checkpoint");
        let found = blocking(move || regular(&checkpoint)).await.ok().flatten();
        let latest = found.map(|found| Begun { at: (found.ctime(), found.ctime_nsec()), full });
        if self.next_tile == 0 {
            self.before = self.now;
            self.now = latest;
        }
        let end = full.min(self.next_tile + TILES_AT_ONCE);
        let mut looked_at: Vec<Tile> = (self.next_tile..end).map(|index| Tile::full(0, index)).collect();
        self.next_tile = end;
        looked_at.extend(Tile::partial_in_tree(size));
        let Looked { wrong, touched } = look_at(folder.clone(), looked_at, self.before, latest).await?;
        for (tile, path, change) in wrong {
            repair(keeper, folder, tile, path, change).await;
        }
        for tile in touched {
            for wanted in keeper.wanted(folder, tile).await? {
                let path = wanted.path.clone();
                let same = blocking(move || files::holds(&wanted.path, &wanted.bytes)).await;
                if !matches!(same, Ok(Some(true))) {
                    let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
                    repair(keeper, folder, tile, name, Change::Altered).await;
                }
            }
        }
        Ok(())
    }
}

/// Writes a tile's files again from the database and tells of it; what cannot be repaired is told once.
async fn repair(keeper: &mut Keeper, folder: &Path, tile: Tile, path: String, change: Change) {
    let rebuilt = match keeper.wanted(folder, tile).await {
        Ok(files) => keeper::write(files).await,
        Err(error) => Err(error),
    };
    let event =
        |rebuilt: bool| Event::LogFileChanged { file: path.as_str().into(), what: change.name(), rebuilt };
    match &rebuilt {
        Ok(()) => {
            keeper.record(event(true)).await;
            keeper.over(&path);
        }
        Err(error) => {
            let problem = format!("{path} was {} and cannot be written again: {error}", change.name());
            keeper.tell(&path, problem, event(false)).await;
        }
    }
}

/// What a look at some files came to.
struct Looked {
    wrong: Vec<(Tile, String, Change)>,
    /// Tiles with a file that somebody has written to since it was complete; their contents are to be compared.
    touched: Vec<Tile>,
}

/// The files of these tiles that are missing or cut, and the tiles that somebody has written to; of entries only the
/// presence is known without reading them.
async fn look_at(
    folder: PathBuf,
    tiles: Vec<Tile>,
    before: Option<Begun>,
    latest: Option<Begun>,
) -> Result<Looked, AuditError> {
    let look = move || {
        let mut looked = Looked { wrong: Vec::new(), touched: Vec::new() };
        for tile in tiles {
            let settled = match tile.is_full() {
                true => before.filter(|begun| tile.index < begun.full),
                false => latest,
            };
            let mut touched = false;
            let mut paths = vec![(tile.path(), Some(tile.byte_len() as u64))];
            if tile.level == 0 {
                paths.push((tile.entries_path(), None));
            }
            for (path, size) in paths {
                let found = regular(&folder.join(&path))?;
                if let Some(change) = changed(found.as_ref(), size) {
                    looked.wrong.push((tile, path, change));
                    touched = false;
                    break;
                }
                let written = found.map(|found| (found.ctime(), found.ctime_nsec()));
                touched |= settled.is_some_and(|begun| written.is_some_and(|at| at > begun.at));
            }
            if touched {
                looked.touched.push(tile);
            }
        }
        Ok(looked)
    };
    blocking(look).await.map_err(|error| AuditError::Files(error.to_string()))
}

/// What is known of a file without opening it; `None` if there is none, or something else in its place.
fn regular(path: &Path) -> io::Result<Option<Metadata>> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some(found).filter(Metadata::is_file)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        Err(_) => Ok(None),
    }
}

fn changed(found: Option<&Metadata>, size: Option<u64>) -> Option<Change> {
    let Some(found) = found else { return Some(Change::Deleted) };
    match size {
        Some(size) if found.size() < size => Some(Change::Truncated),
        Some(size) if found.size() > size => Some(Change::Altered),
        None if found.size() == 0 => Some(Change::Truncated),
        _ => None,
    }
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
        let key = format!("{place}/checkpoint");
        let change = match blocking(move || files::holds(&path, text.as_bytes())).await {
            Ok(Some(true)) => {
                keeper.over(&key);
                continue;
            }
            Ok(Some(false)) => Change::Altered,
            Ok(None) => Change::Deleted,
            Err(error) => {
                tracing::warn!(%error, place, "the checkpoint there cannot be read");
                continue;
            }
        };
        // Said once until it is right again: what cannot be repaired is not said every two seconds.
        let event = Event::LogFileChanged { file: key.as_str().into(), what: change.name(), rebuilt: true };
        keeper.tell_once(&key, event).await;
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
