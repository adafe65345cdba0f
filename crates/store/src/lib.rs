//! The only crate that knows which database runs: [`Db`], [`Tx`], migrations, jobs, change signals.
//!
//! SQLite is the embedded default, PostgreSQL 15 or later the one for several nodes. A statement is
//! written once, as a constant made by [`sql!`], with `$1` parameters, in the dialect both understand.
//! There is no connection without an owner: a transaction is opened for a [`base::Scope`].
//!
//! This crate holds no business rule and knows no table but its own queue; the tables belong to the
//! capabilities above it. It never logs parameters.
//!
//! ```
//! use base::Scope;
//! use store::{Db, params};
//!
//! store::sql! {
//!     /// How many jobs have this state.
//!     COUNT = "SELECT count(*) FROM job WHERE state = $1";
//! }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let db = Db::memory();
//! let mut tx = db.begin_read(Scope::System("example")).await?;
//! assert_eq!(tx.query_one(COUNT, params!["dead"]).await?.get::<i64>(0)?, 0);
//! # Ok::<(), store::DbError>(()) }).unwrap();
//! ```

mod change;
mod config;
mod db;
mod error;
pub mod job;
mod migrate;
mod postgres;
mod signal;
mod sql;
mod sqlite;
pub mod testing;
mod tx;
mod value;

pub use change::Change;
pub use config::{DbConfig, DbUrl, Dialect};
pub use db::Db;
pub use error::{ConstraintKind, DbError};
pub use job::{ClaimedJob, Job, JobOptions, JobQueue};
pub use migrate::MigrationStatus;
pub use sql::Sql;
#[doc(hidden)]
pub use sql::{rewrite, text};
pub use tx::Tx;
pub use value::{FromValue, Row, Value};

// For the `sql!` macro, so that its users need not depend on it.
#[doc(hidden)]
pub use inventory;
