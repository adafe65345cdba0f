//! Files that lie in memory whole, and are read again when the operator replaces them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock};

/// The largest file that is read; the whole of it stays in memory. Full city files have about 130 MiB.
const MAX_BYTES: u64 = 512 << 20;

/// What changes when a file is replaced.
type Stamp = (SystemTime, u64);

/// Makes something of a file's bytes, or says in one sentence why not.
type Parse<T> = fn(Vec<u8>) -> Result<T, String>;

/// A file and what was last read of it.
pub(super) struct File<T> {
    path: PathBuf,
    parse: Parse<T>,
    contents: RwLock<Arc<T>>,
    seen: Mutex<Option<Stamp>>,
}

/// A file of any contents, for whoever watches them.
pub(super) trait Replaceable: Send + Sync {
    /// Reads the file again if it is another one than at the last look; the old one stays if it cannot be used. One that
    /// is just being written is refused and looked at again: its time changes once more when it is whole.
    fn take_up(&self);
}

impl<T> File<T> {
    /// Reads a file; the error is a sentence that names it.
    pub(super) fn open(path: &Path, parse: Parse<T>) -> Result<Self, String> {
        // Looked at before it is read: what is replaced in between is read again.
        let seen = stamp(path);
        let contents = read(path, parse).map_err(|reason| format!("{}: {reason}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            parse,
            contents: RwLock::new(Arc::new(contents)),
            seen: Mutex::new(seen),
        })
    }

    /// What the file says at present.
    pub(super) fn contents(&self) -> Arc<T> {
        Arc::clone(&self.contents.read())
    }
}

impl<T: Send + Sync> Replaceable for File<T> {
    fn take_up(&self) {
        let now = stamp(&self.path);
        if std::mem::replace(&mut *self.seen.lock(), now) == now {
            return;
        }
        let file = self.path.display();
        match read(&self.path, self.parse) {
            Ok(contents) => {
                *self.contents.write() = Arc::new(contents);
                tracing::info!(%file, "took up a replaced file");
            }
            Err(reason) => {
                tracing::error!(%file, reason, "a replaced file cannot be used; what was read before stays");
            }
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

fn read<T>(path: &Path, parse: Parse<T>) -> Result<T, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_BYTES {
        return Err("has more than 512 MiB, which no such file has".to_owned());
    }
    parse(std::fs::read(path).map_err(|error| error.to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: Vec<u8>) -> Result<u32, String> {
        String::from_utf8_lossy(&bytes).trim().parse().map_err(|_| "is no number".to_owned())
    }

    #[test]
    fn a_replaced_file_is_taken_up_and_a_wrong_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let missing = File::open(&path, number).err().unwrap();
        assert!(missing.starts_with(&path.display().to_string()), "{missing}");
        std::fs::write(&path, "1").unwrap();
        let file = File::open(&path, number).unwrap();
        // Other lengths, because two writes may fall into one tick of the file system's clock.
        std::fs::write(&path, "half written").unwrap();
        file.take_up();
        assert_eq!(*file.contents(), 1);
        std::fs::write(&path, "22").unwrap();
        file.take_up();
        assert_eq!(*file.contents(), 22);
        std::fs::remove_file(&path).unwrap();
        file.take_up();
        assert_eq!(*file.contents(), 22);
        std::fs::write(&path, "333").unwrap();
        file.take_up();
        assert_eq!(*file.contents(), 333);
    }
}
