//! A transaction: the only way to the rows.

use crate::{Change, DbError, Row, Sql, Value};

/// A transaction for one [`base::Scope`]. Dropping it without [`commit`](Tx::commit) undoes it.
///
/// After a statement failed, everything but dropping gives [`DbError::Aborted`], on both databases.
/// Hold it for as short as possible and never across a wait for something else (a hash, the network):
/// on SQLite everybody else who writes waits behind it.
pub struct Tx {}

impl Tx {
    /// Runs a statement and says how many rows it changed.
    pub async fn execute(&mut self, sql: Sql, params: &[Value]) -> Result<u64, DbError> {
        let _ = (sql, params);
        todo!()
    }

    /// Runs a statement and gives all its rows; limit them in the statement.
    pub async fn query(&mut self, sql: Sql, params: &[Value]) -> Result<Vec<Row>, DbError> {
        let _ = (sql, params);
        todo!()
    }

    /// Like [`query`](Tx::query), for what takes more than a millisecond: on SQLite it runs on a thread
    /// where blocking is allowed.
    pub async fn query_long(&mut self, sql: Sql, params: &[Value]) -> Result<Vec<Row>, DbError> {
        let _ = (sql, params);
        todo!()
    }

    /// The row, or `None`; more than one row is an error.
    pub async fn query_opt(&mut self, sql: Sql, params: &[Value]) -> Result<Option<Row>, DbError> {
        let _ = (sql, params);
        todo!()
    }

    /// The one row; none or several are [`DbError::NotOne`].
    pub async fn query_one(&mut self, sql: Sql, params: &[Value]) -> Result<Row, DbError> {
        let _ = (sql, params);
        todo!()
    }

    /// Tells every cache, here and on other nodes, once the transaction is stored.
    pub fn announce(&mut self, change: Change) {
        let _ = change;
    }

    /// Wakes the job workers, here and on other nodes, once the transaction is stored.
    pub fn wake_jobs(&mut self) {}

    /// Stores the transaction durably. Once this future was polled, the outcome is the database's:
    /// dropping the future does not undo anything.
    pub async fn commit(self) -> Result<(), DbError> {
        todo!()
    }
}
