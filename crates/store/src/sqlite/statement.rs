//! Runs statements on a SQLite connection, in place: 3–10 µs for a point statement.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection};

use super::error::map;
use crate::{DbError, Row, Sql, Value};

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(int) => ValueRef::Integer(*int),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Prepares a statement without running it.
pub(super) fn check(conn: &Connection, sql: &Sql) -> Result<(), DbError> {
    conn.prepare(sql.sqlite()).map(drop).map_err(|error| map(conn, sql.name(), &error))
}

pub(super) fn execute(conn: &Connection, sql: &Sql, params: &[Value]) -> Result<u64, DbError> {
    let run = |mut statement: CachedStatement<'_>| {
        // A statement with RETURNING gives rows; whoever wants the count only must not be refused.
        if statement.column_count() == 0 {
            return statement.execute(rusqlite::params_from_iter(params)).map(|n| n as u64);
        }
        let mut rows = statement.query(rusqlite::params_from_iter(params))?;
        let mut count = 0;
        while rows.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    };
    conn.prepare_cached(sql.sqlite()).and_then(run).map_err(|error| map(conn, sql.name(), &error))
}

/// All rows of a query. With `read_only` a statement that would write is refused.
pub(super) fn query(
    conn: &Connection,
    sql: &Sql,
    params: &[Value],
    read_only: bool,
) -> Result<Vec<Row>, DbError> {
    let failed = |error| map(conn, sql.name(), &error);
    let mut statement = conn.prepare_cached(sql.sqlite()).map_err(failed)?;
    if read_only && !statement.readonly() {
        return Err(DbError::Statement {
            sql: sql.name(),
            message: "it writes in a read-only transaction".into(),
        });
    }
    let columns = statement.column_count();
    let mut rows = statement.query(rusqlite::params_from_iter(params)).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let mut values = Vec::with_capacity(columns);
        for index in 0..columns {
            values.push(match row.get_ref(index).map_err(failed)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(int) => Value::Int(int),
                ValueRef::Real(real) => Value::Real(real),
                ValueRef::Text(text) => Value::Text(String::from_utf8(text.to_vec()).map_err(|_| {
                    DbError::Column { index, wanted: "text", found: "text that is not UTF-8".into() }
                })?),
                ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
            });
        }
        found.push(Row(values));
    }
    Ok(found)
}
