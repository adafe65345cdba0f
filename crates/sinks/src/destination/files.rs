//! JSON lines in files, a folder for each day:
//!
//! ```text
//! 2026-11-23/events-00000000000000000000.jsonl    closed: listed in the manifest, never touched again
//! 2026-11-23/events-00000000000000004711.jsonl    the newest may still grow
//! 2026-11-23/manifest.json                        names, ranges of indexes, sizes, SHA-256
//! ```
//!
//! What was written counts as taken once it is synced. A batch that comes again after a crash is recognised line by
//! line in the newest file, so that nothing is doubled.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base::{Clock, Timestamp};
use serde::{Deserialize, Serialize};

use super::{FilesConfig, Surroundings, Trouble, Verdict, all};
use crate::form::Record;

const MANIFEST: &str = "manifest.json";
/// A manifest or an open file larger than this is not ours.
const MAX_READ: u64 = 1 << 30;

pub(crate) struct Files {
    config: FilesConfig,
    clock: Clock,
    deployment: String,
    open: Option<Open>,
    /// Lines of the newest file from before this process; a batch that comes again finds itself here.
    written: HashSet<[u8; 32]>,
    resumed: bool,
    /// The index after the latest event: files are named after where they begin.
    position: u64,
}

/// The file that grows.
struct Open {
    file: File,
    path: PathBuf,
    opened_at: Timestamp,
    bytes: u64,
    records: u64,
    first: Option<u64>,
    last: Option<u64>,
}

/// What a manifest says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) version: u32,
    pub(crate) deployment: String,
    pub(crate) files: Vec<Closed>,
}

/// A file that does not change any more.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Closed {
    pub(crate) name: String,
    /// The indexes of the first and the last event in it; absent if it holds checkpoints only.
    pub(crate) first_index: Option<u64>,
    pub(crate) last_index: Option<u64>,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) closed_at: String,
}

impl Files {
    pub(super) fn open(config: &FilesConfig, around: &Surroundings) -> Self {
        Self {
            config: config.clone(),
            clock: around.clock.clone(),
            deployment: around.writer.deployment.to_string(),
            open: None,
            written: HashSet::new(),
            resumed: false,
            position: 0,
        }
    }

    pub(super) async fn send(&mut self, records: &[&Record]) -> Result<Vec<Verdict>, Trouble> {
        let lines: Vec<(Option<u64>, String)> =
            records.iter().map(|record| (record.index, record.text.clone())).collect();
        // The state goes along into the thread and comes back; a cancelled send leaves none, and the next resumes.
        let fresh = Self {
            config: self.config.clone(),
            clock: self.clock.clone(),
            deployment: self.deployment.clone(),
            open: None,
            written: HashSet::new(),
            resumed: false,
            position: 0,
        };
        let mut state = std::mem::replace(self, fresh);
        let done = tokio::task::spawn_blocking(move || {
            let outcome = state.append(&lines);
            (state, outcome)
        })
        .await;
        match done {
            Ok((state, Ok(()))) => {
                *self = state;
                Ok(all(records))
            }
            // What is on the disk is looked at anew.
            Ok((_, Err(error))) => Err(Trouble::later(format!("the folder cannot be written: {error}"))),
            Err(_) => Err(Trouble::later("the writing was given up")),
        }
    }

    fn append(&mut self, lines: &[(Option<u64>, String)]) -> io::Result<()> {
        if !self.resumed {
            self.resume()?;
            self.resumed = true;
        }
        for (index, line) in lines {
            if !self.written.is_empty() && self.written.contains(&crypto::mac::sha256(line.as_bytes())) {
                continue;
            }
            let now = self.clock.now();
            let full = self.open.as_ref().is_some_and(|open| {
                open.bytes >= self.config.max_bytes || now.since_ms(open.opened_at) >= self.config.max_age_ms
            });
            if full {
                self.close(now)?;
            }
            let open = match &mut self.open {
                Some(open) => open,
                None => {
                    let begun = begin(&self.config.folder, now, index.unwrap_or(self.position))?;
                    self.open.insert(begun)
                }
            };
            open.file.write_all(line.as_bytes())?;
            open.file.write_all(b"\n")?;
            open.bytes += line.len() as u64 + 1;
            open.records += 1;
            open.first = open.first.or(*index);
            open.last = index.or(open.last);
            self.position = index.map_or(self.position, |index| index + 1);
        }
        if let Some(open) = &self.open {
            open.file.sync_data()?;
        }
        Ok(())
    }

    /// Finds the newest file; goes on with it if it is not in the manifest.
    fn resume(&mut self) -> io::Result<()> {
        private_folder(&self.config.folder)?;
        let Some(day) =
            newest(&self.config.folder, |name| name.len() == 10 && name.starts_with(char::is_numeric))?
        else {
            return Ok(());
        };
        let Some(path) = newest(&day, |name| name.starts_with("events-") && name.ends_with(".jsonl"))? else {
            return Ok(());
        };
        let mut file = File::options().read(true).append(true).open(&path)?;
        let mut content = Vec::new();
        (&mut file).take(MAX_READ).read_to_end(&mut content)?;
        // A line that a crash cut off goes; it comes again whole.
        let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        content.truncate(whole);
        let lines: Vec<&[u8]> =
            content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        self.written = lines.iter().map(|line| crypto::mac::sha256(line)).collect();
        let mut indexes = lines.iter().filter_map(|line| index_of(line));
        let first = indexes.next();
        let last = indexes.next_back().or(first);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let begins = name.get(7..27).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        self.position = last.map_or(begins, |last| last + 1);
        if manifest(&day, &self.deployment)?.files.iter().any(|closed| closed.name == name) {
            return Ok(());
        }
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        self.open = Some(Open {
            file,
            opened_at: self.clock.now(),
            bytes: whole as u64,
            records: lines.len() as u64,
            first,
            last,
            path,
        });
        Ok(())
    }

    /// Lists the file in the manifest of its day.
    fn close(&mut self, now: Timestamp) -> io::Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        open.file.sync_all()?;
        let content = fs::read(&open.path)?;
        let folder = open.path.parent().unwrap_or(&self.config.folder);
        let mut manifest = manifest(folder, &self.deployment)?;
        manifest.files.push(Closed {
            name: open.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            first_index: open.first,
            last_index: open.last,
            records: open.records,
            bytes: content.len() as u64,
            sha256: hex::encode(crypto::mac::sha256(&content)),
            closed_at: now.to_rfc3339(),
        });
        replace(&folder.join(MANIFEST), &serde_json::to_vec_pretty(&manifest)?)
    }
}

/// A new file in the folder of today.
fn begin(folder: &Path, now: Timestamp, first: u64) -> io::Result<Open> {
    let day = folder.join(now.to_rfc3339().get(..10).unwrap_or("0000-00-00"));
    private_folder(&day)?;
    let mut path = day.join(format!("events-{first:020}.jsonl"));
    // The same index again: the sink was set back, or the database was.
    for again in 2..1_000 {
        if !path.exists() {
            break;
        }
        path = day.join(format!("events-{first:020}_{again:03}.jsonl"));
    }
    let file = File::options().create_new(true).append(true).mode(0o600).open(&path)?;
    File::open(&day)?.sync_all()?;
    Ok(Open { file, path, opened_at: now, bytes: 0, records: 0, first: None, last: None })
}

fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The entry with the greatest name.
fn newest(folder: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Option<PathBuf>> {
    let mut best = None;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let fits = path.file_name().and_then(|name| name.to_str()).is_some_and(&wanted);
        if fits && best.as_ref().is_none_or(|best| *best < path) {
            best = Some(path);
        }
    }
    Ok(best)
}

fn manifest(folder: &Path, deployment: &str) -> io::Result<Manifest> {
    match fs::read(folder.join(MANIFEST)) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Manifest { version: 1, deployment: deployment.to_owned(), files: Vec::new() })
        }
        Err(error) => Err(error),
    }
}

/// Whole or not at all.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = File::options().create(true).write(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// The place in the log that a line of ours names.
fn index_of(line: &[u8]) -> Option<u64> {
    let event: serde_json::Value = serde_json::from_slice(line).ok()?;
    ["metadata", "event"].iter().find_map(|part| event[part]["sequence"].as_u64())
}
