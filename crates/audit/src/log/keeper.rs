//! Keeps the log's files: the mirror in the layout of C2SP tlog-tiles, and the anchor, where the newest checkpoint lies a
//! second time. Both follow the database; nothing waits for them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::{Actor, Scope};
use crypto::log::Tile;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::check::{self, Found};
use super::files::{self, Wanted, blocking};
use super::watch::{self, Watch};
use super::{TreeHead, reading};
use crate::outbox::{self, When};
use crate::writer::Core;
use crate::{AuditError, Event, Outcome, Record};

/// How long the mirror waits between two rounds at least: many small partial tiles would be written and removed again.
const PAUSE: Duration = Duration::from_millis(400);
/// Tiles are not flushed one by one: their flushes would compete with those that requests wait for. Those of the last
/// minutes before a start, which a power cut may have spoiled, are written again from the database.
const UNSETTLED_MS: i64 = 5 * 60_000;
/// Tiles of one round to the disk.
const AT_ONCE: usize = 32;

/// The keeper of one process.
pub(super) struct Keeper {
    pub(super) core: Arc<Core>,
    /// The size of the tree that the mirror shows; `None` if it must be left alone, as evidence.
    mirrored: Option<u64>,
    /// Whether the anchor may be written.
    anchored: bool,
    /// The newest checkpoint that was written to both, to see whether somebody else wrote since.
    pub(super) written: Option<TreeHead>,
    /// Problems that were told of already.
    told: BTreeSet<String>,
    failing: bool,
}

/// Runs until the sequencer has ended and its last checkpoint is written.
pub(super) async fn run(core: Arc<Core>, mut sequenced: oneshot::Receiver<()>) {
    let mut head = core.head.subscribe();
    let mut keeper = Keeper {
        core,
        mirrored: None,
        anchored: false,
        written: None,
        told: BTreeSet::new(),
        failing: false,
    };
    let mut watch = Watch::new(&keeper.core);
    let mut checked = false;
    let mut looked = Instant::now();
    let mut followed: Option<Instant> = None;
    loop {
        let ending = matches!(sequenced.try_recv(), Ok(()) | Err(oneshot::error::TryRecvError::Closed));
        if !checked {
            checked = keeper.check().await;
        }
        if checked {
            keeper.follow().await;
            followed = keeper.written.is_some().then(Instant::now);
        }
        if looked.elapsed() >= keeper.core.settings.watch_every || ending {
            looked = Instant::now();
            watch.look(&mut keeper).await;
        }
        if ending {
            return;
        }
        tokio::select! {
            _ = head.changed() => {}
            _ = &mut sequenced => continue,
            () = tokio::time::sleep(keeper.core.settings.watch_every) => {}
        }
        // The very first checkpoint is written at once, so that a second place exists from the beginning.
        if let Some(followed) = followed {
            tokio::time::sleep_until(followed + PAUSE).await;
        }
    }
}

impl Keeper {
    /// Compares database, mirror and anchor; `false` if it could not be done yet.
    async fn check(&mut self) -> bool {
        match self.try_check().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "the log's files cannot be compared with the database yet");
                false
            }
        }
    }

    async fn try_check(&mut self) -> Result<(), AuditError> {
        let core = Arc::clone(&self.core);
        // Before the first event there is no key and nothing to compare with; a file that is there all the same is
        // that of another log or of one that was lost.
        core.keys.prepare_log(&core.settings.origin, core.settings.post_quantum).await?;
        let head = self.head().await?;
        if let Some(reason) = check::own(&core, &head).await? {
            let event = Event::LogInconsistent { place: "database", size: head.size, reason: reason.into() };
            self.tell("database", format!("the log in the database is damaged: {reason}"), event).await;
        }
        let mirror = self
            .compare("mirror", core.settings.folder.as_deref().map(|f| f.join("checkpoint")), &head)
            .await?;
        self.mirrored = match mirror {
            Found::Prefix { size } => Some(size),
            Found::Nothing { .. } => Some(0),
            Found::Newer { .. } | Found::Other { .. } => None,
        };
        let anchor = self.compare("anchor", core.settings.anchor.clone(), &head).await?;
        self.anchored = matches!(anchor, Found::Prefix { .. } | Found::Nothing { .. });
        self.missing(&mirror, &anchor).await;
        if let (Some(folder), Some(size)) = (&core.settings.folder, self.mirrored) {
            let mut tx = core.db.begin_read(Scope::System("keeping the log's files")).await?;
            let since = reading::first_at(&mut tx, head.at.plus_ms(-UNSETTLED_MS)).await?.unwrap_or(size);
            drop(tx);
            self.mirror(folder, since.min(size), size).await?;
            for tile in Tile::partial_in_tree(size) {
                write(self.wanted(folder, tile).await?).await?;
            }
        }
        Ok(())
    }

    /// Where one place knows this log, the other was there as well.
    async fn missing(&self, mirror: &Found, anchor: &Found) {
        let settings = &self.core.settings;
        let gone = Found::Nothing { damaged: false };
        let known = |found: &Found| matches!(found, Found::Prefix { .. });
        for (place, kept, missing) in [
            ("mirror", settings.folder.is_some(), *mirror == gone && known(anchor)),
            ("anchor", settings.anchor.is_some(), *anchor == gone && known(mirror)),
        ] {
            if kept && missing {
                let file = format!("{place}/checkpoint").into();
                self.record(Event::LogFileChanged { file, what: "deleted", rebuilt: true }).await;
            }
        }
    }

    async fn compare(
        &mut self,
        place: &'static str,
        path: Option<PathBuf>,
        head: &TreeHead,
    ) -> Result<Found, AuditError> {
        let Some(path) = path else { return Ok(Found::Nothing { damaged: false }) };
        let text = match blocking(move || files::read_checkpoint(&path)).await {
            Ok(text) => text,
            // Unreadable bytes are no evidence of another tree; a missing right to read says itself when writing.
            Err(error) => {
                tracing::warn!(%error, place, "the checkpoint there cannot be read");
                Some(String::new())
            }
        };
        let found = check::compare(&self.core, head, text.as_deref()).await?;
        if let (Some(event), Some(problem)) = (found.event(place, head), found.problem(place, head)) {
            self.tell(place, problem, event).await;
        }
        if found == (Found::Nothing { damaged: true }) {
            let event = Event::LogFileChanged {
                file: format!("{place}/checkpoint").into(),
                what: "altered",
                rebuilt: true,
            };
            self.record(event).await;
        }
        Ok(found)
    }

    pub(super) async fn head(&self) -> Result<TreeHead, AuditError> {
        let mut tx = self.core.db.begin_read(Scope::System("keeping the log's files")).await?;
        reading::head(&mut tx).await
    }

    /// Brings mirror and anchor to the newest tree. What fails is said once and tried again.
    async fn follow(&mut self) {
        let failed = match self.try_follow().await {
            Ok(()) => None,
            Err(error) => Some(error.to_string()),
        };
        match (&failed, self.failing) {
            (Some(error), false) => {
                tracing::error!(error, "the log's files cannot be written; the log in the database goes on");
                self.core
                    .log
                    .problems
                    .lock()
                    .insert("files".into(), format!("the log's files cannot be written: {error}"));
            }
            (None, true) => {
                self.core.log.problems.lock().remove("files");
            }
            _ => {}
        }
        self.failing = failed.is_some();
    }

    async fn try_follow(&mut self) -> Result<(), AuditError> {
        let head = self.head().await?;
        if head.size == 0 {
            return Ok(());
        }
        if self.written.as_ref().is_some_and(|written| written.checkpoint == head.checkpoint) {
            return Ok(());
        }
        watch::checkpoints(self).await;
        let core = Arc::clone(&self.core);
        let checkpoint = head.checkpoint.as_bytes();
        if let (Some(folder), Some(from)) = (&core.settings.folder, self.mirrored) {
            self.mirror(folder, from, head.size).await?;
            write(vec![durable(folder.join("checkpoint"), checkpoint)]).await?;
            self.mirrored = Some(head.size);
            sweep(folder, from, head.size).await?;
        }
        if let Some(anchor) = core.settings.anchor.as_deref().filter(|_| self.anchored) {
            write(vec![durable(anchor.to_owned(), checkpoint)]).await?;
        }
        self.written = Some(head);
        for place in ["mirror/checkpoint", "anchor/checkpoint"] {
            self.over(place);
        }
        Ok(())
    }

    /// Writes every tile and bundle that the tree of `to` leaves has and that of `from` leaves had not. Before the
    /// checkpoint: whoever reads it finds everything that it stands on.
    pub(super) async fn mirror(&self, folder: &Path, from: u64, to: u64) -> Result<(), AuditError> {
        let tiles: Vec<Tile> = Tile::grown(from, to).collect();
        for tiles in tiles.chunks(AT_ONCE) {
            let mut wanted = Vec::with_capacity(2 * tiles.len());
            for tile in tiles {
                wanted.extend(self.wanted(folder, *tile).await?);
            }
            write(wanted).await?;
        }
        Ok(())
    }

    /// The files of one tile: its hashes, and on the lowest level its entries.
    pub(super) async fn wanted(&self, folder: &Path, tile: Tile) -> Result<Vec<Wanted>, AuditError> {
        let mut tx = self.core.db.begin_read(Scope::System("keeping the log's files")).await?;
        let durable = false;
        let bytes = reading::hashes(&mut tx, tile).await?;
        let mut files = vec![Wanted { path: folder.join(tile.path()), bytes, durable }];
        if tile.level == 0 {
            let bytes = reading::bundle(&mut tx, tile).await?;
            files.push(Wanted { path: folder.join(tile.entries_path()), bytes, durable });
        }
        Ok(files)
    }

    /// Whether the mirror is ours to write, and up to where.
    pub(super) const fn mirrored(&self) -> Option<u64> {
        self.mirrored
    }

    /// Whether the anchor is ours to write.
    pub(super) const fn anchored(&self) -> bool {
        self.anchored
    }

    /// Writes mirror and anchor from the database again.
    pub(super) fn rewrite(&mut self) {
        self.written = None;
    }

    /// Notes a problem for `/ready` and records its event, once until it is over.
    pub(super) async fn tell(&mut self, key: &str, problem: String, event: Event) {
        tracing::error!(problem, "the log watches itself");
        self.core.log.problems.lock().insert(key.to_owned(), problem);
        self.tell_once(key, event).await;
    }

    /// Records an event, once until it is over; `/ready` does not care, because it is repaired.
    pub(super) async fn tell_once(&mut self, key: &str, event: Event) {
        if self.told.insert(key.to_owned()) {
            self.record(event).await;
        }
    }

    /// A problem is over.
    pub(super) fn over(&mut self, key: &str) {
        if self.told.remove(key) {
            self.core.log.problems.lock().remove(key);
        }
    }

    /// Records an event of the log's own.
    pub(super) async fn record(&self, event: Event) {
        let core = &self.core;
        let record = Record::new(core.clock.now(), event).by(Actor::System("log")).ended(Outcome::Failure);
        let recorded = async {
            let next = core.seal(&record).await.map_err(|refusal| core.refused(record.at, refusal))?;
            let mut tx = core.db.begin(Scope::System("audit watch")).await?;
            outbox::insert(&mut tx, crate::packed::Packer::of(&next.event), When::Next).await?;
            tx.commit().await?;
            core.written.notify_one();
            Ok::<_, AuditError>(())
        };
        if let Err(error) = recorded.await {
            tracing::error!(%error, "what the log saw of itself could not be recorded");
        }
    }
}

fn durable(path: PathBuf, bytes: &[u8]) -> Wanted {
    Wanted { path, bytes: bytes.to_vec(), durable: true }
}

pub(super) async fn write(files: Vec<Wanted>) -> Result<(), AuditError> {
    blocking(move || files::write_all(&files)).await.map_err(|error| AuditError::Files(error.to_string()))
}

/// Removes the partial tiles that wider ones replaced. Their readers ask for the newest checkpoint and go on.
async fn sweep(folder: &Path, from: u64, to: u64) -> Result<(), AuditError> {
    let mut folders = Vec::new();
    for old in Tile::partial_in_tree(from) {
        let Some(new) = Tile::in_tree(old.level, old.index, to) else { continue };
        if new.width == old.width {
            continue;
        }
        folders.push((folder.join(old.path()), new.is_full()));
        if old.level == 0 {
            folders.push((folder.join(old.entries_path()), new.is_full()));
        }
    }
    let sweep = move || {
        for (file, whole) in folders {
            // The name is `….p/<width>`: the folder goes with its tile, which is full now.
            let gone = match file.parent() {
                Some(partial) if whole => std::fs::remove_dir_all(partial),
                _ => std::fs::remove_file(&file),
            };
            match gone {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    };
    blocking(sweep).await.map_err(|error| AuditError::Files(error.to_string()))
}
