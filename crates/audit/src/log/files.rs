//! Files of the log: written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::regular;

/// Bytes of a checkpoint file that are read at most.
const MAX_CHECKPOINT: u64 = 64 * 1024;

/// A file to be written.
pub(super) struct Wanted {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    /// Whether it must survive a power cut now: checkpoints. Tiles are written again from the database if they did not.
    pub(super) durable: bool,
}

/// Writes files beside their names and renames them, so that a reader sees an old or a new file and never half of one.
///
/// # Errors
/// At the first file that cannot be written.
pub(super) fn write_all(files: &[Wanted]) -> io::Result<()> {
    for file in files {
        write(file)?;
        // Making files is work for the kernel that nothing interrupts; requests are in more of a hurry.
        std::thread::yield_now();
    }
    Ok(())
}

fn write(file: &Wanted) -> io::Result<()> {
    let folder = file.path.parent().ok_or_else(|| io::Error::other("the file has no folder"))?;
    fs::create_dir_all(folder)?;
    let mut name = file.path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    // What lies there is left from a crash, or somebody else's: a link would lead us to write over another file.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut out = File::create_new(&beside)?;
    out.write_all(&file.bytes)?;
    if file.durable {
        out.sync_data()?;
    }
    drop(out);
    fs::rename(&beside, &file.path)?;
    if file.durable {
        // The name, too, must survive.
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The text of a checkpoint file; `None` if there is none.
///
/// # Errors
/// If it is there and cannot be read, or is no text of a checkpoint's length.
pub(super) fn read_checkpoint(path: &Path) -> io::Result<Option<String>> {
    match regular::read(path, MAX_CHECKPOINT)? {
        Some(bytes) => String::from_utf8(bytes).map(Some).map_err(io::Error::other),
        None if fs::symlink_metadata(path).is_ok() => Err(io::Error::other("it is no regular file")),
        None => Ok(None),
    }
}

/// Whether a file holds exactly these bytes; `None` if there is no such file.
///
/// # Errors
/// If it is there and cannot be read.
pub(super) fn holds(path: &Path, bytes: &[u8]) -> io::Result<Option<bool>> {
    Ok(match regular::read(path, bytes.len() as u64 + 1)? {
        Some(found) => Some(found == bytes),
        // Something else stands in its place.
        None => fs::symlink_metadata(path).is_ok().then_some(false),
    })
}

/// Runs something that blocks where that is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tile/0/000");
        for (bytes, durable) in [(vec![1; 32], false), (vec![2; 64], true)] {
            write_all(&[Wanted { path: path.clone(), bytes: bytes.clone(), durable }]).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
            assert_eq!(holds(&path, &bytes).unwrap(), Some(true));
            assert_eq!(holds(&path, &[3; 32]).unwrap(), Some(false));
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        assert_eq!(holds(&folder.path().join("no"), &[]).unwrap(), None);
        assert_eq!(read_checkpoint(&folder.path().join("no")).unwrap(), None);
    }
}
