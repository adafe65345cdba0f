//! Reading files that somebody else may have put there: a pipe must not make the reader wait for ever, a device must not
//! be read at all.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading; `None` if there is none at this path, which includes what is no regular file (a
/// folder, a pipe, a socket, a device) and names that no file can have.
///
/// # Errors
/// If there is one that may not be read.
pub(crate) fn open(path: &Path) -> io::Result<Option<File>> {
    // Without waiting: the opening of a pipe would last until somebody writes to it.
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC).bits());
    let flags = flags.map_err(|_| io::Error::other("the system's flags do not fit"))?;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if is_nothing(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Up to `max` bytes of a regular file; `None` as in `open`.
///
/// # Errors
/// If there is one that cannot be read.
pub fn read(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let known = file.metadata().map_or(0, |found| found.len()).min(max);
    let mut bytes = Vec::with_capacity(usize::try_from(known).unwrap_or(0));
    file.take(max).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// A socket, a loop of links, a file where a folder should be: as good as nothing.
fn is_nothing(error: &io::Error) -> bool {
    let no_such =
        matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput);
    let errno = rustix::io::Errno::from_io_error(error);
    no_such
        || matches!(
            errno,
            Some(rustix::io::Errno::NXIO | rustix::io::Errno::LOOP | rustix::io::Errno::NAMETOOLONG)
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read_and_nothing_waits() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), [7; 100]).unwrap();
        assert_eq!(read(&at("file"), 10).unwrap(), Some(vec![7; 10]));
        assert_eq!(read(&at("file"), 1_000).unwrap(), Some(vec![7; 100]));
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        assert_eq!(read(&at("link"), 1).unwrap(), Some(vec![7]));
        std::os::unix::fs::symlink(at("loop"), at("loop")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("device")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
            .unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for nothing in
            ["nowhere", "loop", "device", "pipe", "socket", "file/below", ".", &"long".repeat(1_000)]
        {
            assert_eq!(read(&at(nothing), 10).unwrap(), None, "{nothing}");
        }
    }
}
