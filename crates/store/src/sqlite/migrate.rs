//! Runs the migrations on SQLite, each in a transaction of its own.

use base::Clock;
use rusqlite::{Connection, TransactionBehavior};

use super::error::map_file;
use crate::migrate::{Applied, MIGRATIONS, pending};
use crate::{DbError, Dialect};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    version    INTEGER NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    checksum   TEXT    NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT";

/// Brings the schema up to date; says which migrations ran. Another process may do the same.
pub(super) fn run(conn: &mut Connection, clock: &Clock) -> Result<Vec<&'static str>, DbError> {
    refuse_strangers(conn)?;
    let path = conn.path().unwrap_or("").to_owned();
    let failed = |error: rusqlite::Error| map_file(&path, &error);
    let mut ran = Vec::new();
    // Bounded: every round applies one migration or ends.
    for _ in 0..=MIGRATIONS.len() {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let waiting = pending(MIGRATIONS, &applied(&tx)?, Dialect::Sqlite)?;
        let Some(next) = waiting.first() else { return Ok(ran) };
        tx.execute_batch(TABLE).map_err(failed)?;
        tx.execute_batch(next.sqlite).map_err(|error| match map_file(&path, &error) {
            DbError::Unavailable(message) => {
                DbError::Schema(format!("migration {} ({}) failed: {message}", next.version, next.name))
            }
            other => other,
        })?;
        tx.execute(
            "INSERT INTO schema_migration (version, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)",
            (next.version, next.name, next.checksum(Dialect::Sqlite), clock.now().as_millis()),
        )
        .map_err(failed)?;
        tx.commit().map_err(failed)?;
        ran.push(next.name);
    }
    Ok(ran)
}

/// The applied migrations; none if the table does not exist yet.
pub(super) fn applied(conn: &Connection) -> Result<Vec<Applied>, DbError> {
    let read = || -> rusqlite::Result<Vec<Applied>> {
        if !has_table(conn, "schema_migration")? {
            return Ok(Vec::new());
        }
        conn.prepare("SELECT version, name, checksum, applied_at FROM schema_migration ORDER BY version")?
            .query_map([], |row| {
                Ok(Applied {
                    version: row.get(0)?,
                    name: row.get(1)?,
                    checksum: row.get(2)?,
                    applied_at: row.get(3)?,
                })
            })?
            .collect()
    };
    read().map_err(|error| map_file(conn.path().unwrap_or(""), &error))
}

/// Some other program's database must not be filled with our tables.
fn refuse_strangers(conn: &Connection) -> Result<(), DbError> {
    let strange = || -> rusqlite::Result<bool> {
        let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok(tables > 0 && !has_table(conn, "schema_migration")?)
    };
    let path = conn.path().unwrap_or("");
    match strange().map_err(|error| map_file(path, &error))? {
        false => Ok(()),
        true => Err(DbError::Schema(format!("{path} holds another program's tables: name another file"))),
    }
}

fn has_table(conn: &Connection, name: &str) -> rusqlite::Result<bool> {
    conn.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1", [name], |row| {
        row.get::<_, i64>(0).map(|count| count > 0)
    })
}
