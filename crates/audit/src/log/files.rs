//! Files of the log: written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

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
    }
    Ok(())
}

fn write(file: &Wanted) -> io::Result<()> {
    let folder = file.path.parent().ok_or_else(|| io::Error::other("the file has no folder"))?;
    fs::create_dir_all(folder)?;
    let mut name = file.path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    let mut out = File::create(&beside)?;
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
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(MAX_CHECKPOINT).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Whether a file holds exactly these bytes; `None` if there is no such file.
///
/// # Errors
/// If it is there and cannot be read.
pub(super) fn holds(path: &Path, bytes: &[u8]) -> io::Result<Option<bool>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut found = Vec::with_capacity(bytes.len() + 1);
    file.take(bytes.len() as u64 + 1).read_to_end(&mut found)?;
    Ok(Some(found == bytes))
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
