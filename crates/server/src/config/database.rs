//! `[database]`: SQLite in a file, or PostgreSQL.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::DatabaseUrl;

/// SQLite in a file, or PostgreSQL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite:PATH` or `postgres://user@host/name`; a URL with a password only by reference (`env:NAME`,
    /// `file:PATH`). Default: `sqlite:` and `fortissimo.db` in `server.data_dir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DatabaseUrl")]
    pub url: Option<DatabaseUrl>,
    /// PostgreSQL only: the URL of the role that owns the tables and migrates them, so that the service's own
    /// role need not be an owner. Default: `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DatabaseUrl")]
    pub migrate_url: Option<DatabaseUrl>,
    /// Connections: SQLite readers, or the whole PostgreSQL pool.
    pub max_connections: u16,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: None, migrate_url: None, max_connections: 16 }
    }
}
