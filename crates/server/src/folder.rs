//! The data folder: made private, and served by one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::StartError;

/// Makes files private from here on and forbids core dumps; both for the whole process.
pub(crate) fn harden_process() -> Result<(), StartError> {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    crypto::memory::forbid_core_dumps()
        .map_err(|source| StartError::System { what: "cannot forbid core dumps", source })
}

/// Lets this process open as many files as the system allows it to. The usual first limit of 1024 is met long before
/// `http.max_connections`, and then neither a service nor the database can be reached. Says how many that are.
pub(crate) fn allow_many_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Refused only where a stricter rule holds; then the limit stays as it was.
    let allowed = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    allowed.unwrap_or(u64::MAX)
}

/// Makes the folder (mode 0700) if it is not there, and checks that it is a folder of ours.
pub(crate) fn prepare(path: &Path) -> Result<(), StartError> {
    let wrong = |source: io::Error, hint| StartError::Folder { path: path.to_owned(), source, hint };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| wrong(source, "choose a folder that can be written with --data-dir"))?;
    let found = fs::metadata(path).map_err(|source| wrong(source, "check its permissions"))?;
    // Whoever can write here can put a file in place of ours. Whoever can only look sees names: every file is 0600,
    // and the mode of a folder that somebody else made is theirs to choose; `doctor` mentions it.
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(wrong(
            io::Error::other(format!("others may write into it, mode {mode:04o}")),
            "run: chmod 700 on it",
        ));
    }
    Ok(())
}

/// The right to serve a data folder, until dropped. The system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Where the lock of a data folder is.
pub(crate) fn lock_path(folder: &Path) -> PathBuf {
    folder.join("serve.lock")
}

/// Takes the lock of a data folder, or says that another process has it.
pub(crate) fn lock(folder: &Path) -> Result<Lock, StartError> {
    let path = lock_path(folder);
    let hint = "check that the folder and everything in it belongs to the user that runs fortissimo";
    let wrong = |source| StartError::Folder { path: path.clone(), source, hint };
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(wrong)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(StartError::Locked { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(wrong(source)),
    }
}

/// A file system's space, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    /// What an unprivileged process can still write.
    pub(crate) free: u64,
    /// All of it.
    pub(crate) total: u64,
}

/// The space of the file system that `path` is on.
pub(crate) fn space(path: &Path) -> io::Result<Space> {
    let found = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_limit_of_open_files_is_not_the_last() {
        let hard = getrlimit(Resource::Nofile).maximum;
        let few = Rlimit { current: hard.map(|most| most.min(256)), maximum: hard };
        setrlimit(Resource::Nofile, few).unwrap();
        assert_eq!(allow_many_files(), hard.unwrap_or(u64::MAX));
        assert_eq!(getrlimit(Resource::Nofile).current, hard);
    }

    #[test]
    fn a_folder_is_made_private_and_locked_once() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("a/b");
        prepare(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        prepare(&folder).unwrap();
        let first = lock(&folder).unwrap();
        assert!(matches!(lock(&folder), Err(StartError::Locked { .. })));
        drop(first);
        lock(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_others_may_write_or_a_file_is_refused_with_a_remedy() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("open");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(prepare(&folder).unwrap_err().to_string().contains("chmod 700"));
        let file = outer.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(prepare(&file).unwrap_err().to_string().contains("--data-dir"));
    }
}
