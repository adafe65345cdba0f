//! A log in a folder, in the layout of C2SP tlog-tiles.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;

use super::Source;

/// More than any file of a log has: a bundle of 256 entries of 64 KiB.
const MAX_BYTES: u64 = 257 * 65_537;

/// Reads a log's files. The reads block: it is for a thread that may.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder that has `checkpoint` and `tile/`.
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    fn read_now(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.0.join(path)) {
            // A file where a folder should be is as good as nothing.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            opened => opened?,
        };
        let mut bytes = Vec::new();
        if let Ok(known) = file.metadata() {
            bytes.reserve(usize::try_from(known.len().min(MAX_BYTES)).unwrap_or(0));
        }
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

impl Source for Folder {
    async fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.read_now(path)
    }
}
