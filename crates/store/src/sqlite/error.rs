//! SQLite's errors in the store's words.

use rusqlite::ffi::{self, ErrorCode};
use rusqlite::{Connection, Error};

use crate::{ConstraintKind, DbError};

/// Translates an error of a statement.
pub(super) fn map(conn: &Connection, sql: &'static str, error: &Error) -> DbError {
    let Error::SqliteFailure(code, message) = error else {
        return DbError::Statement { sql, message: error.to_string().into() };
    };
    let message = message.as_deref().unwrap_or("");
    if code.code == ErrorCode::ConstraintViolation {
        return constraint(conn, code.extended_code, message);
    }
    outage(conn.path().unwrap_or("memory"), code, message)
        .unwrap_or_else(|| DbError::Statement { sql, message: message.into() })
}

/// Translates an error of opening or of an internal statement (BEGIN, COMMIT, PRAGMA).
pub(super) fn map_file(path: &str, error: &Error) -> DbError {
    let found = match error {
        Error::SqliteFailure(code, message) => outage(path, code, message.as_deref().unwrap_or("")),
        _ => None,
    };
    found.unwrap_or_else(|| DbError::Unavailable(format!("{path}: {error}")))
}

/// The errors that are about the file, not about the statement.
fn outage(path: &str, code: &ffi::Error, message: &str) -> Option<DbError> {
    let path = if path.is_empty() { "the database in memory" } else { path };
    Some(match code.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            DbError::Busy(format!("another process holds {path}; stop it or try again"))
        }
        ErrorCode::DiskFull => DbError::Full(format!("make room on the disk of {path}")),
        ErrorCode::ReadOnly => {
            DbError::ReadOnly(format!("{path}: check the owner and mode of the file and its folder"))
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            DbError::Corrupt(format!("{path}: move it away and restore a backup"))
        }
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied => DbError::Unavailable(format!(
            "cannot open {path}: check that its folder exists and that this user may write there"
        )),
        ErrorCode::SystemIoFailure => {
            DbError::Unavailable(format!("reading or writing {path} failed ({message}): check the disk"))
        }
        ErrorCode::OutOfMemory => DbError::Unavailable(format!("no memory left to work on {path}")),
        _ => return None,
    })
}

fn constraint(conn: &Connection, extended: i32, message: &str) -> DbError {
    let what = message.split_once(": ").map_or(message, |(_, what)| what);
    let (kind, name) = match extended {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            (ConstraintKind::Unique, unique_name(conn, what))
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => (ConstraintKind::ForeignKey, "foreign_key".to_owned()),
        ffi::SQLITE_CONSTRAINT_NOTNULL => (ConstraintKind::NotNull, what.to_owned()),
        _ => (ConstraintKind::Check, what.to_owned()),
    };
    DbError::Constraint { kind, name }
}

/// SQLite names the columns (`job.dedup`) where PostgreSQL names the index. Callers must be able to
/// tell two unique indexes apart by the same name on both, so the index is looked up.
fn unique_name(conn: &Connection, what: &str) -> String {
    if let Some(index) = what.strip_prefix("index ") {
        return index.trim_matches('\'').to_owned();
    }
    let Some(table) = what.split('.').next() else { return what.to_owned() };
    let columns: Vec<&str> =
        what.split(", ").map(|column| column.split_once('.').map_or(column, |(_, name)| name)).collect();
    let found = indexes(conn, table).unwrap_or_default().into_iter().find(|(.., of)| *of == columns);
    match found {
        Some((name, origin, _)) if origin == "c" => name,
        Some((_, origin, _)) if origin == "u" => format!("{table}_{}_key", columns.join("_")),
        _ => format!("{table}_pkey"),
    }
}

/// The unique indexes of a table: name, origin (`c` created, `u` constraint, `pk`), columns.
fn indexes(conn: &Connection, table: &str) -> rusqlite::Result<Vec<(String, String, Vec<String>)>> {
    let mut list = conn.prepare_cached(
        "SELECT name, origin FROM pragma_index_list(?1) WHERE \"unique\" ORDER BY origin, name",
    )?;
    let mut info =
        conn.prepare_cached("SELECT coalesce(name, '') FROM pragma_index_info(?1) ORDER BY seqno")?;
    let names = list.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
    names
        .map(|row| {
            let (name, origin): (String, String) = row?;
            let columns = info.query_map([&name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            Ok((name, origin, columns))
        })
        .collect()
}
