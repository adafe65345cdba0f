//! Tracks: the audio of each in one file, its facts in another beside it. Who may have which, the gateway decides.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use access::{Facts, Hold, Relation, ResourceRef, Subject};
use axum::http::StatusCode;
use base::Clock;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::audio::{Format, HEAD};
use crate::problem::Refused;

/// Bytes of one track; the gateway's own default.
pub const LARGEST: u64 = 600 * 1024 * 1024;
/// Tracks of one account.
const MOST: usize = 1_000;
/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// What people are told about a track. `size` in bytes, `sha256` in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    pub id: String,
    pub title: String,
    pub format: Format,
    pub size: u64,
    pub sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    owner: String,
    created_ms: u128,
    track: Track,
}

/// All tracks, in one folder.
pub struct Tracks {
    folder: PathBuf,
    known: Mutex<HashMap<String, Kept>>,
}

impl Tracks {
    /// Reads what is there, and removes uploads that were under way when the service ended. Blocks, for start-up.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let mut known = HashMap::new();
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            match path.extension().and_then(|end| end.to_str()) {
                Some("json") => {
                    let kept: Kept = serde_json::from_slice(&std::fs::read(&path)?)?;
                    known.insert(kept.track.id.clone(), kept);
                }
                Some("part") => std::fs::remove_file(&path)?,
                _ => {}
            }
        }
        Ok(Self { folder, known: Mutex::new(known) })
    }

    /// The tracks of an account, newest first.
    pub fn of(&self, owner: &str) -> Vec<Track> {
        let known = self.known();
        let mut own: Vec<&Kept> = known.values().filter(|kept| kept.owner == owner).collect();
        own.sort_by(|a, b| b.created_ms.cmp(&a.created_ms).then_with(|| a.track.id.cmp(&b.track.id)));
        own.into_iter().map(|kept| kept.track.clone()).collect()
    }

    /// A track. Who may have it, its owner and those it is shared with, the gateway has decided: its route names the
    /// object (`track:read on track/{id}`).
    pub fn one(&self, id: &str) -> Result<Track, Refused> {
        let known = self.known();
        let found = known.get(id);
        found
            .map(|kept| kept.track.clone())
            .ok_or(Refused::new(StatusCode::NOT_FOUND, "There is no such track."))
    }

    /// How somebody stands to a track, as far as this service knows: whether it is theirs.
    pub fn standing(&self, subject: &Subject, track: ResourceRef) -> Facts {
        let owner = self.known().get(&track.id).map(|kept| kept.owner.clone());
        let theirs = subject.account.is_some_and(|account| owner == Some(account.to_string()));
        let facts = Facts::unrelated(track, Clock::system().now());
        if theirs { facts.with(Relation::Owner, Hold::Always) } else { facts }
    }

    /// Takes a track away. What cannot be removed from the disk any more is not known any more either.
    pub async fn discard(&self, id: &str) -> Result<(), Refused> {
        let gone = self.known().remove(id);
        let gone = gone.ok_or(Refused::new(StatusCode::NOT_FOUND, "There is no such track."))?;
        for end in ["json", "audio"] {
            let removed = tokio::fs::remove_file(self.path(&gone.track.id, end)).await;
            removed.map_err(|error| Refused::internal(&error))?;
        }
        Ok(())
    }

    /// The audio of a track, in pieces.
    pub async fn read(
        &self,
        track: &Track,
    ) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>, Refused> {
        let file = File::open(self.path(&track.id, "audio")).await.map_err(|e| Refused::internal(&e))?;
        Ok(futures_util::stream::try_unfold(file, |mut file| async move {
            let mut piece = BytesMut::with_capacity(PIECE);
            let read = file.read_buf(&mut piece).await?;
            Ok((read > 0).then(|| (piece.freeze(), file)))
        }))
    }

    /// Stores a body as it arrives, a piece in memory at a time. Whatever is refused leaves nothing behind.
    pub async fn receive<S, E>(&self, owner: &str, title: String, body: S) -> Result<Track, Refused>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(|e| Refused::internal(&e))?;
        let id = hex::encode(name);
        let part = Part(self.path(&id, "part"));
        let track = write(&part.0, id, title, body).await?;
        self.keep(owner, track, &part.0).await
    }

    /// From here on the track exists: first its audio, then the facts that make it known.
    async fn keep(&self, owner: &str, track: Track, part: &Path) -> Result<Track, Refused> {
        let created_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let kept = Kept { owner: owner.to_owned(), created_ms, track: track.clone() };
        let facts = serde_json::to_vec(&kept).map_err(|e| Refused::internal(&e))?;
        {
            // Counted and entered under one lock, so that uploads at the same time cannot pass the limit together.
            let mut known = self.known();
            if known.values().filter(|kept| kept.owner == owner).count() >= MOST {
                return Err(Refused::new(StatusCode::CONFLICT, "You have as many tracks as fit."));
            }
            known.insert(track.id.clone(), kept);
        }
        let stored = async {
            tokio::fs::rename(part, self.path(&track.id, "audio")).await?;
            tokio::fs::write(self.path(&track.id, "json"), facts).await
        };
        if let Err(error) = stored.await {
            self.known().remove(&track.id);
            let _ = tokio::fs::remove_file(self.path(&track.id, "audio")).await;
            return Err(Refused::internal(&error));
        }
        Ok(track)
    }

    /// `id` is one that we made: a stranger's text never becomes a path.
    fn path(&self, id: &str, end: &str) -> PathBuf {
        self.folder.join(format!("{id}.{end}"))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An upload under way, removed unless it was renamed.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn write<S, E>(part: &Path, id: String, title: String, mut body: S) -> Result<Track, Refused>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut file = File::create_new(part).await.map_err(|e| Refused::internal(&e))?;
    let (mut digest, mut size, mut head) = (Sha256::new(), 0, Vec::with_capacity(HEAD));
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| Refused::new(StatusCode::BAD_REQUEST, "The upload broke off."))?;
        size += piece.len() as u64;
        if size > LARGEST {
            return Err(too_large());
        }
        if head.len() < HEAD {
            head.extend(piece.iter().take(HEAD - head.len()));
            // Half a gigabyte of something else need not be waited for.
            if head.len() == HEAD {
                known_format(&head)?;
            }
        }
        digest.update(&piece);
        file.write_all(&piece).await.map_err(|e| Refused::internal(&e))?;
    }
    file.flush().await.map_err(|e| Refused::internal(&e))?;
    Ok(Track { id, title, format: known_format(&head)?, size, sha256: hex::encode(digest.finalize()) })
}

fn known_format(head: &[u8]) -> Result<Format, Refused> {
    const UNKNOWN: Refused =
        Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "This is none of: mp3, wav, flac, ogg.");
    Format::sniff(head).ok_or(UNKNOWN)
}

/// 413 for a body beyond [`LARGEST`].
pub const fn too_large() -> Refused {
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "A track has at most 600 MiB.")
}
