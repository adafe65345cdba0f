//! PostgreSQL's errors in the store's words. The server's DETAIL is never passed on: it holds values.

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::{ConstraintKind, DbError};

/// Translates an error of a statement.
pub(super) fn map(sql: &'static str, error: &Error) -> DbError {
    let Some(db) = error.as_db_error() else {
        if error.is_closed()
            || std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
        {
            return DbError::Unavailable(
                "the connection to PostgreSQL broke off; is the server running?".into(),
            );
        }
        return DbError::Statement { sql, message: error.to_string().into() };
    };
    let constraint =
        |kind| DbError::Constraint { kind, name: db.constraint().unwrap_or("unnamed").to_owned() };
    let code = db.code();
    if *code == SqlState::UNIQUE_VIOLATION {
        constraint(ConstraintKind::Unique)
    } else if *code == SqlState::FOREIGN_KEY_VIOLATION {
        constraint(ConstraintKind::ForeignKey)
    } else if *code == SqlState::NOT_NULL_VIOLATION {
        let name = format!("{}.{}", db.table().unwrap_or("?"), db.column().unwrap_or("?"));
        DbError::Constraint { kind: ConstraintKind::NotNull, name }
    } else if *code == SqlState::CHECK_VIOLATION {
        constraint(ConstraintKind::Check)
    } else if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED {
        DbError::Conflict
    } else if *code == SqlState::QUERY_CANCELED || *code == SqlState::LOCK_NOT_AVAILABLE {
        DbError::Busy(format!("{sql} ran into its time limit"))
    } else if *code == SqlState::DISK_FULL {
        DbError::Full("make room on the disk of the PostgreSQL server".into())
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        DbError::ReadOnly("this transaction or server (a standby?) only reads".into())
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        DbError::Denied(db.message().to_owned())
    } else if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED {
        DbError::Corrupt("PostgreSQL found damaged data: restore a backup".into())
    } else if code.code().starts_with("53") {
        DbError::Busy("the PostgreSQL server has no resources left".into())
    } else if code.code().starts_with("57P") || code.code().starts_with("08") {
        DbError::Unavailable("the PostgreSQL server ended the connection".into())
    } else {
        DbError::Statement { sql, message: format!("{} ({})", db.message(), code.code()).into() }
    }
}

/// Translates an error of connecting. `shown` is the address without password.
pub(super) fn map_connect(shown: &str, error: &Error) -> DbError {
    match error.as_db_error() {
        Some(db) => DbError::Unavailable(format!("{shown}: {}", db.message())),
        None => {
            let cause =
                std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
            DbError::Unavailable(format!("cannot reach {shown}: {cause}"))
        }
    }
}

/// Translates an error of the pool.
pub(super) fn map_pool(shown: &str, error: &PoolError) -> DbError {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => {
            DbError::Busy(format!("all connections to {shown} are in use"))
        }
        PoolError::Timeout(_) => DbError::Unavailable(format!("{shown} does not answer in time")),
        PoolError::Backend(error) => map_connect(shown, error),
        PoolError::Closed => DbError::Unavailable(format!("{shown} is closed")),
        other => DbError::Unavailable(format!("{shown}: {other}")),
    }
}
