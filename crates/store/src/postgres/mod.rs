//! PostgreSQL 15 or later: a pool of connections, and one that listens.

mod connect;
mod error;
mod listen;
mod migrate;
mod role;
mod tx;
mod value;

pub(crate) use self::tx::PgTx;

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Entropy, Scope};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use tokio::task::JoinHandle;

use self::connect::Connector;
use crate::config::Target;
use crate::migrate::Applied;
use crate::signal::{Announcement, Signals};
use crate::{DbConfig, DbError, DbUrl, Dialect, Row, Sql};

const CHANGE_CHANNEL: &str = "fortissimo_change";
const JOB_CHANNEL: &str = "fortissimo_job";
/// `server_version_num` of PostgreSQL 15.
const OLDEST: i32 = 150_000;

/// A PostgreSQL database.
pub(crate) struct Postgres {
    pool: Pool,
    shown: String,
    /// Names this process in its notifications, so that it does not hear itself.
    node: String,
    signals: Signals,
    owner: Connector,
    service_role: String,
    listener: JoinHandle<()>,
}

impl Postgres {
    pub(crate) async fn open(url: &str, config: &DbConfig, signals: Signals) -> Result<Arc<Self>, DbError> {
        let service = Connector::new(url, &config.url, config)?;
        let owner = match &config.migrate_url {
            None => service.clone(),
            Some(owner @ DbUrl(Target::Postgres(url))) => Connector::new(url, owner, config)?,
            Some(_) => {
                return Err(DbError::Config(
                    "database.migrate_url must be a postgres:// address, too".into(),
                ));
            }
        };
        let shown = config.url.to_string();
        let patience = Some(Duration::from_millis(u64::from(config.connect_timeout_ms)));
        let manager = Manager::from_connect(
            service.config.clone(),
            service.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(config.max_readers.max(1) as usize)
            .timeouts(Timeouts { wait: patience, create: patience, recycle: patience })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| DbError::Config(error.to_string()))?;
        let first = pool.get().await.map_err(|error| error::map_pool(&shown, &error))?;
        refuse_old(&first, &shown).await?;
        drop(first);
        let node: String = Entropy::system().bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let listener = tokio::spawn(listen::run(service.clone(), signals.clone(), node.clone()));
        let service_role = service.role().to_owned();
        Ok(Arc::new(Self { pool, shown, node, signals, owner, service_role, listener }))
    }

    pub(crate) async fn begin(&self, scope: Scope, read_only: bool) -> Result<PgTx, DbError> {
        PgTx::begin(&self.pool, &self.shown, self.signals.clone(), scope, read_only).await
    }

    pub(crate) async fn commit(&self, tx: PgTx, announcement: Announcement) -> Result<(), DbError> {
        tx.commit(announcement, &self.node).await
    }

    pub(crate) async fn migrate(&self, clock: &Clock) -> Result<Vec<&'static str>, DbError> {
        // A node that only serves need not reach the owner's role when there is nothing to do.
        let applied = self.applied().await?;
        if !applied.is_empty()
            && crate::migrate::pending(crate::migrate::MIGRATIONS, &applied, Dialect::Postgres)?.is_empty()
        {
            return Ok(Vec::new());
        }
        let (client, _task) =
            self.owner.connect_alone().await.map_err(|error| error::map_connect(&self.shown, &error))?;
        migrate::run(&client, &self.service_role, clock).await
    }

    pub(crate) async fn applied(&self) -> Result<Vec<Applied>, DbError> {
        let client = self.connection().await?;
        migrate::applied(&client).await
    }

    pub(crate) async fn check_role(&self) -> Result<Vec<String>, DbError> {
        let client = self.connection().await?;
        role::check(&client).await
    }

    /// Prepares a statement without running it.
    pub(crate) async fn check(&self, sql: &Sql) -> Result<(), DbError> {
        let client = self.connection().await?;
        client.prepare(sql.postgres()).await.map(drop).map_err(|error| error::map(sql.name(), &error))
    }

    /// Runs a query of our own tests and catalogues.
    pub(crate) async fn catalogue(&self, sql: &Sql) -> Result<Vec<Row>, DbError> {
        let client = self.connection().await?;
        let rows = client.query(sql.postgres(), &[]).await.map_err(|error| error::map(sql.name(), &error))?;
        rows.iter().map(value::row).collect()
    }

    pub(crate) fn close(&self) {
        self.listener.abort();
        self.pool.close();
    }

    async fn connection(&self) -> Result<Object, DbError> {
        self.pool.get().await.map_err(|error| error::map_pool(&self.shown, &error))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn refuse_old(client: &Object, shown: &str) -> Result<(), DbError> {
    let failed = |error: tokio_postgres::Error| error::map("server_version_num", &error);
    let row =
        client.query_one("SELECT current_setting('server_version_num')::int4", &[]).await.map_err(failed)?;
    let version: i32 = row.try_get(0).map_err(failed)?;
    if version >= OLDEST {
        return Ok(());
    }
    Err(DbError::Unavailable(format!(
        "{shown} is PostgreSQL {}; version 15 or later is needed",
        version / 10_000
    )))
}
