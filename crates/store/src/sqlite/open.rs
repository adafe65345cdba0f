//! Opens SQLite connections with the settings that keep data durable, private and intact.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::map_file;
use crate::DbError;

/// Up to this size the whole file is checked at start; above, header and schema must do.
const CHECKED_BYTES: u64 = 16 * 1024 * 1024;
/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 256;

/// Opens the connection that writes, and makes the file (mode 0600) if there is none. Blocks.
pub(super) fn writer(path: &Path, patience: Duration) -> Result<Connection, DbError> {
    let shown = path.display().to_string();
    let size = create_or_measure(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|e| map_file(&shown, &e))?;
    let set_up = || -> rusqlite::Result<String> {
        conn.busy_timeout(patience)?;
        // SQLite silently falls back to reading only; reading the schema first finds damage early.
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        if conn.is_readonly("main")? {
            return Ok("readonly".into());
        }
        if size <= CHECKED_BYTES {
            let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if verdict != "ok" {
                return Ok("damaged".into());
            }
        }
        let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        common(&conn)?;
        conn.pragma_update(None, "cache_size", -8_000)?;
        // Checkpoints run beside the writer (see `keeper`), not inside somebody's commit.
        conn.pragma_update(None, "wal_autocheckpoint", 0)?;
        // A log that begins anew keeps its size; the keeper empties it.
        conn.pragma_update(None, "journal_size_limit", -1)?;
        conn.busy_timeout(Duration::ZERO)?;
        Ok(mode)
    };
    match set_up().map_err(|e| map_file(&shown, &e))?.as_str() {
        "wal" => Ok(conn),
        "readonly" => {
            Err(DbError::ReadOnly(format!("{shown}: check the owner and mode of the file and its folder")))
        }
        "damaged" => Err(DbError::Corrupt(format!("{shown}: move it away and restore a backup"))),
        _ => {
            Err(DbError::Unavailable(format!("{shown}: its file system cannot hold a WAL; use a local disk")))
        }
    }
}

/// Opens a connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, DbError> {
    let open = || -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags)?;
        // Readers wait for nobody but a process that recovers or removes the WAL, which is rare and short.
        conn.busy_timeout(Duration::from_millis(250))?;
        common(&conn)?;
        conn.pragma_update(None, "cache_size", -2_000)?;
        Ok(conn)
    };
    open().map_err(|e| map_file(&path.display().to_string(), &e))
}

/// A connection for checkpoints only.
pub(super) fn checkpointer(path: &Path) -> Result<Connection, DbError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(Duration::ZERO)?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "cache_size", -500)?;
        Ok(conn)
    };
    open().map_err(|e| map_file(&path.display().to_string(), &e))
}

/// A database in memory.
pub(super) fn memory() -> Result<Connection, DbError> {
    let open = || -> rusqlite::Result<Connection> {
        let conn = Connection::open_in_memory()?;
        common(&conn)?;
        Ok(conn)
    };
    open().map_err(|e| map_file("memory", &e))
}

fn common(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", "ON")?;
    // Deleted content is overwritten with zeros instead of staying in free pages.
    conn.pragma_update(None, "secure_delete", "ON")?;
    conn.pragma_update(None, "trusted_schema", "OFF")?;
    conn.pragma_update(None, "cell_size_check", "ON")?;
    conn.pragma_update(None, "mmap_size", 0)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // A misspelt column in double quotes is an error, as in PostgreSQL, and not a string.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    Ok(())
}

/// Makes an empty file that only its owner may read, or looks whether an existing one is a database.
fn create_or_measure(path: &Path) -> Result<u64, DbError> {
    let shown = path.display();
    let explain = |error: &std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => DbError::Unavailable(format!(
            "cannot make {shown}: its folder does not exist; make the folder first"
        )),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => DbError::ReadOnly(format!(
            "{shown}: this user may not write there; check the owner and mode of the folder"
        )),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            DbError::Full(format!("make room on the disk of {shown}"))
        }
        _ => DbError::Unavailable(format!("cannot open {shown}: {error}")),
    };
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => return Ok(0),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(explain(&error)),
    }
    let size = fs::metadata(path).map_err(|e| explain(&e))?.len();
    if size > 0 {
        let mut header = [0; 16];
        let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut header));
        match read {
            Ok(()) if &header == b"SQLite format 3\0" => {}
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(explain(&error)),
            _ => {
                return Err(DbError::Corrupt(format!(
                    "{shown} is not a SQLite database: move it away or name another file"
                )));
            }
        }
    }
    Ok(size)
}
