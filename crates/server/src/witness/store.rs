//! The newest checkpoint of each log that was cosigned: one file each.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crypto::log::{Checkpoint, Hash};
use crypto::mac::sha256;
use parking_lot::{Mutex, MutexGuard};

/// The folder of checkpoints. Its data folder's lock keeps other processes out; the mutex keeps our own in turn.
pub(crate) struct Store {
    folder: PathBuf,
    turn: Mutex<()>,
}

/// The right to look and to replace, until dropped.
pub(crate) struct Turn<'a> {
    folder: &'a Path,
    _held: MutexGuard<'a, ()>,
}

impl Store {
    /// A store in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, turn: Mutex::new(()) })
    }

    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn { folder: &self.folder, _held: self.turn.lock() }
    }
}

impl Turn<'_> {
    /// Names of logs are not names of files.
    fn path(&self, origin: &str) -> PathBuf {
        let name: String = sha256(origin.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(name)
    }

    /// Size and root of the last checkpoint that was cosigned for a log; `None` if there is none yet.
    ///
    /// # Errors
    /// If the file cannot be read or is not that log's: then nothing may be cosigned.
    pub(crate) fn latest(&self, origin: &str) -> io::Result<Option<(u64, Hash)>> {
        let note = match fs::read_to_string(self.path(origin)) {
            Ok(note) => note,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let head = Checkpoint::read_unverified(&note).map_err(io::Error::other)?;
        if head.origin != origin {
            return Err(io::Error::other("a stored checkpoint is another log's"));
        }
        Ok(Some((head.size, head.root)))
    }

    /// Replaces the checkpoint of a log; it is on disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written; the old one is there still.
    pub(crate) fn put(&self, origin: &str, note: &str) -> io::Result<()> {
        let path = self.path(origin);
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        drop(file);
        fs::rename(&beside, &path)?;
        sync_folder(&path)
    }
}

/// Makes a file's name durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("the file has no folder"))?;
    File::open(folder)?.sync_all()
}
