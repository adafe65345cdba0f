//! Data folder, root key, disk space, locked memory.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use base::Entropy;
use rustix::process::{Resource, getrlimit};

use super::Line;
use crate::config::Resolved;
use crate::{folder, services};

/// Below this, the disk is nearly full.
const COMFORTABLE_BYTES: u64 = 1 << 30;
/// `/ready` says no below this.
const LEAST_BYTES: u64 = 64 << 20;
/// What the arena of live keys may need.
const LOCKED_BYTES: u64 = 1 << 20;

pub(super) fn check(config: &Resolved) -> Vec<Line> {
    let mut lines = vec![data_folder(&config.server.data_dir)];
    lines.extend(foreign(&config.server.data_dir));
    lines.push(root_key(config));
    lines.push(disk(&config.server.data_dir));
    lines.push(locked_memory());
    lines
}

fn data_folder(path: &Path) -> Line {
    let shown = path.display();
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Line::ok(format!("data folder: {shown} is not there yet; the first start makes it"))
        }
        Err(error) => Line::fail(
            format!("data folder: {shown}: {error}"),
            "check the path and the permissions above it",
        ),
        Ok(found) if !found.is_dir() => {
            Line::fail(format!("data folder: {shown} is not a folder"), "choose another server.data_dir")
        }
        Ok(found) if found.permissions().mode() & 0o022 != 0 => Line::fail(
            format!("data folder: others may write into {shown}"),
            format!("run: chmod 700 {shown}"),
        ),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => Line::warn(
            format!("data folder: others may look into {shown}"),
            format!("run: chmod 700 {shown}"),
        ),
        Ok(_) => Line::ok(format!("data folder: {shown} is private")),
    }
}

/// Files that belong to somebody else, as after a start by root.
fn foreign(path: &Path) -> Option<Line> {
    let me = rustix::process::geteuid().as_raw();
    let entries = fs::read_dir(path).ok()?;
    let other =
        entries.take(1_000).flatten().find(|entry| entry.metadata().is_ok_and(|found| found.uid() != me))?;
    let text = format!("data folder: {} belongs to another user", other.path().display());
    Some(Line::fail(
        text,
        "run fortissimo as the user that owns the folder, or change the owner of its files",
    ))
}

fn root_key(config: &Resolved) -> Line {
    let shown = config.root_file.display();
    if !config.root_file.exists() {
        return Line::ok(format!("root key: {shown} is not there yet; the first start makes it"));
    }
    match services::root_key(config, &Entropy::system()) {
        Err(error) => Line::fail(
            format!("root key: {error}"),
            "without the right root key nothing sealed can be opened",
        ),
        Ok(_) if config.keys.passphrase.is_none() => Line::ok(format!(
            "root key: {shown} opens (no passphrase: its mode protects it); keep a copy apart from the data"
        )),
        Ok(_) => {
            Line::ok(format!("root key: {shown} opens with its passphrase; keep a copy apart from the data"))
        }
    }
}

fn disk(path: &Path) -> Line {
    let existing = path.ancestors().find(|one| one.exists()).unwrap_or(Path::new("."));
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    match folder::space(existing).map(|space| space.free) {
        Err(error) => Line::warn(format!("disk: cannot be asked: {error}"), "check the file system"),
        Ok(free) if free < LEAST_BYTES => Line::fail(
            format!("disk: {} MiB free", free >> 20),
            "make room: what must be recorded is refused when the disk is full",
        ),
        Ok(free) if free < COMFORTABLE_BYTES => {
            Line::warn(format!("disk: {} MiB free", free >> 20), "make room soon")
        }
        Ok(free) => Line::ok(format!("disk: {} GiB free", free >> 30)),
    }
}

fn locked_memory() -> Line {
    match getrlimit(Resource::Memlock).current {
        Some(limit) if limit < LOCKED_BYTES => Line::warn(
            format!("memory: only {} KiB may be locked, keys could be swapped out", limit >> 10),
            "raise it: ulimit -l 1024, or LimitMEMLOCK=1M in the unit file; or switch swap off",
        ),
        Some(limit) => Line::ok(format!("memory: {} KiB may be locked for keys", limit >> 10)),
        None => Line::ok("memory: any amount may be locked for keys"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn an_open_folder_fails_and_a_private_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let line = data_folder(folder.path());
        assert_eq!(line.level, Level::Fail);
        assert!(line.remedy.unwrap().starts_with("run: chmod 700 "));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(data_folder(folder.path()).level, Level::Ok);
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(data_folder(&file).level, Level::Fail);
    }
}
