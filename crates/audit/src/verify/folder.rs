//! A log in a folder, in the layout of C2SP tlog-tiles.

use std::io;
use std::path::PathBuf;

use super::Source;
use crate::regular;

/// More than any file of a log has: a bundle of 256 entries of 64 KiB.
const MAX_BYTES: u64 = 257 * 65_537;

/// Reads a log's files. The reads block: it is for a thread that may. Whoever made the folder is not trusted: what is no
/// regular file is as good as nothing.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder that has `checkpoint` and `tile/`.
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }
}

impl Source for Folder {
    async fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        regular::read(&self.0.join(path), MAX_BYTES)
    }
}
