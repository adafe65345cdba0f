//! Where the database is and how much of it this process may use.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use base::Clock;

use crate::DbError;

/// Which database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The embedded one.
    Sqlite,
    /// PostgreSQL 15 or later.
    Postgres,
}

/// `sqlite:PATH` or `postgres://USER[:PASSWORD]@HOST[:PORT]/NAME[?sslmode=…&sslrootcert=FILE]`.
/// Prints without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DbUrl(pub(crate) Target);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Sqlite(PathBuf),
    Postgres(String),
}

impl DbUrl {
    /// Which database the address names.
    pub const fn dialect(&self) -> Dialect {
        match self.0 {
            Target::Sqlite(_) => Dialect::Sqlite,
            Target::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The SQLite file, if it is one.
    pub fn path(&self) -> Option<&std::path::Path> {
        match &self.0 {
            Target::Sqlite(path) => Some(path),
            Target::Postgres(_) => None,
        }
    }
}

impl FromStr for DbUrl {
    type Err = DbError;

    fn from_str(text: &str) -> Result<Self, DbError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.contains(['?', '\0']) {
                return Err(DbError::Config("a SQLite address looks like sqlite:folder/name.db".into()));
            }
            return Ok(Self(Target::Sqlite(path.into())));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self(Target::Postgres(text.to_owned())));
        }
        Err(DbError::Config(
            "a database address starts with sqlite: or postgres://, for example sqlite:fortissimo-data/fortissimo.db"
                .into(),
        ))
    }
}

impl fmt::Display for DbUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Target::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for DbUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The address with the password and every option cut out; options may hold a password, too.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let rest = rest.split('?').next().unwrap_or(rest);
    match rest.rsplit_once('@') {
        Some((user, host)) => format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or("")),
        None => format!("{scheme}://{rest}"),
    }
}

/// How to open a database. Start from [`DbConfig::new`].
#[derive(Debug, Clone)]
pub struct DbConfig {
    /// Where the database is.
    pub url: DbUrl,
    /// PostgreSQL: with which address (the owner's role) migrations run; else `url`.
    pub migrate_url: Option<DbUrl>,
    /// How many transactions may read at once (SQLite), or be open at once (PostgreSQL).
    pub max_readers: u32,
    /// PostgreSQL: how long to wait for a connection, in milliseconds.
    pub connect_timeout_ms: u32,
    /// PostgreSQL: how long one statement may run, in milliseconds.
    pub statement_timeout_ms: u32,
    /// Where `applied_at` of a migration comes from.
    pub clock: Clock,
}

impl DbConfig {
    /// The usual limits for this address.
    pub const fn new(url: DbUrl) -> Self {
        Self {
            url,
            migrate_url: None,
            max_readers: 16,
            connect_timeout_ms: 5_000,
            statement_timeout_ms: 30_000,
            clock: Clock::system(),
        }
    }
}
