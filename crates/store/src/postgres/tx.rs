//! A transaction on PostgreSQL.

use std::time::Duration;

use base::Scope;
use deadpool_postgres::{Object, Pool};
use tokio_postgres::types::ToSql;

use super::error::map;
use super::value;
use super::{CHANGE_CHANNEL, JOB_CHANNEL};
use crate::signal::{Announcement, Signals};
use crate::{DbError, Row, Sql, Value};

/// How long an abandoned transaction may take to be undone before its connection is given up.
const ROLLBACK: Duration = Duration::from_secs(5);

/// Holds a connection, with a transaction open. Dropping it undoes the transaction.
pub(crate) struct PgTx {
    client: Option<Object>,
    read_only: bool,
    signals: Signals,
    /// What was about to be committed when the future was dropped; nobody knows whether it is stored.
    leaving: Option<Announcement>,
}

impl PgTx {
    pub(super) async fn begin(
        pool: &Pool,
        shown: &str,
        signals: Signals,
        scope: Scope,
        read_only: bool,
    ) -> Result<Self, DbError> {
        let client = pool.get().await.map_err(|error| super::error::map_pool(shown, &error))?;
        let tx = Self { client: Some(client), read_only, signals, leaving: None };
        // One round trip. The identifier comes from a type that prints hex and hyphens only.
        let (name, account) = match scope {
            Scope::Account(id) => ("account", id.to_string()),
            Scope::System(_) => ("system", String::new()),
        };
        let mode = if read_only { "READ ONLY" } else { "READ WRITE" };
        let begin = format!(
            "BEGIN {mode}; SELECT set_config('fortissimo.scope', '{name}', true), \
             set_config('fortissimo.account', '{account}', true)"
        );
        tx.client()?.batch_execute(&begin).await.map_err(|error| map("BEGIN", &error))?;
        Ok(tx)
    }

    pub(crate) const fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn client(&self) -> Result<&Object, DbError> {
        self.client.as_ref().ok_or(DbError::Aborted)
    }

    pub(crate) async fn execute(&mut self, sql: &Sql, params: &[Value]) -> Result<u64, DbError> {
        let client = self.client()?;
        let statement =
            client.prepare_cached(sql.postgres()).await.map_err(|error| map(sql.name(), &error))?;
        let params = bind(sql, &statement, params)?;
        client.execute_raw(&statement, params).await.map_err(|error| map(sql.name(), &error))
    }

    pub(crate) async fn query(&mut self, sql: &Sql, params: &[Value]) -> Result<Vec<Row>, DbError> {
        let client = self.client()?;
        let statement =
            client.prepare_cached(sql.postgres()).await.map_err(|error| map(sql.name(), &error))?;
        let params: Vec<&(dyn ToSql + Sync)> =
            bind(sql, &statement, params)?.map(|value| value as _).collect();
        let rows = client.query(&statement, &params).await.map_err(|error| map(sql.name(), &error))?;
        rows.iter().map(value::row).collect()
    }

    pub(crate) async fn commit(mut self, announcement: Announcement, node: &str) -> Result<(), DbError> {
        // NOTIFY is part of the transaction: other nodes hear of it if and only if it is stored. What
        // is embedded here is our own vocabulary: hex, hyphens and words.
        let mut text = String::new();
        for change in &announcement.changes {
            text.push_str(&format!("SELECT pg_notify('{CHANGE_CHANNEL}', '{node} {}'); ", change.encode()));
        }
        if announcement.jobs {
            text.push_str(&format!("SELECT pg_notify('{JOB_CHANNEL}', '{node}'); "));
        }
        text.push_str("COMMIT");
        self.leaving = Some(announcement);
        let done = self.client()?.batch_execute(&text).await;
        match done {
            Ok(()) => {
                let announcement = self.leaving.take().unwrap_or_default();
                self.signals.publish(&announcement);
                self.client = None;
                Ok(())
            }
            Err(error) => Err(map("COMMIT", &error)),
        }
    }
}

/// The parameters, after a check of their number, which the driver would answer with a panic.
fn bind<'a>(
    sql: &Sql,
    statement: &tokio_postgres::Statement,
    params: &'a [Value],
) -> Result<std::slice::Iter<'a, Value>, DbError> {
    let wanted = statement.params().len();
    if wanted == params.len() {
        return Ok(params.iter());
    }
    let message = format!("{} parameters given, {wanted} wanted", params.len());
    Err(DbError::Statement { sql: sql.name(), message: message.into() })
}

impl Drop for PgTx {
    fn drop(&mut self) {
        if let Some(announcement) = self.leaving.take() {
            // It may be stored: forgetting too much is harmless, remembering too long is not.
            self.signals.publish(&announcement);
        }
        let Some(client) = self.client.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            // Without a runtime nobody can wait for the ROLLBACK; closing the connection does the same.
            drop(Object::take(client));
            return;
        };
        runtime.spawn(async move {
            match tokio::time::timeout(ROLLBACK, client.batch_execute("ROLLBACK")).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => drop(Object::take(client)),
            }
        });
    }
}
