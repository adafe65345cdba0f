//! Which database.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use base::Secret;

use super::SecretRef;

/// A database by URL, or by reference to a URL that holds a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite:PATH`.
    Sqlite(PathBuf),
    /// `postgres://user@host/name` without a password.
    Postgres(String),
    /// `env:NAME` or `file:PATH`: the secret is the whole URL.
    By(SecretRef),
}

impl DatabaseUrl {
    /// The URL itself, fetched if it is a reference.
    pub fn resolve(&self) -> Result<Secret<String>, String> {
        match self {
            Self::By(reference) => {
                let url = reference.resolve()?;
                if is_postgres(url.expose()) || url.expose().starts_with("sqlite:") {
                    Ok(url)
                } else {
                    Err(format!("{reference} does not hold a database URL (sqlite:PATH or postgres://…)"))
                }
            }
            Self::Sqlite(_) | Self::Postgres(_) => Ok(Secret::new(self.to_string())),
        }
    }
}

fn is_postgres(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return match path {
                "" => {
                    Err("sqlite: needs a path, for example \"sqlite:fortissimo-data/fortissimo.db\"".into())
                }
                path => Ok(Self::Sqlite(path.into())),
            };
        }
        if is_postgres(text) {
            let rest = text.split_once("://").map_or("", |(_, rest)| rest);
            let (authority, tail) = rest.split_once(['/', '?']).unwrap_or((rest, ""));
            let inline = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
            if inline || tail.contains("password=") {
                return Err(
                    "a password stands here only by reference: put the whole URL into \"env:NAME\" or \"file:PATH\"".into(),
                );
            }
            return Ok(Self::Postgres(text.to_owned()));
        }
        if text.starts_with("env:") || text.starts_with("file:") || text.starts_with("secret:") {
            return text.parse().map(Self::By);
        }
        Err("expected \"sqlite:PATH\", \"postgres://user@host/name\", or a reference \"env:NAME\" or \"file:PATH\"".into())
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(url),
            Self::By(reference) => reference.fmt(f),
        }
    }
}

super::text_value!(
    DatabaseUrl,
    "DatabaseUrl",
    "a database URL such as \"sqlite:PATH\" or \"postgres://user@host/name\""
);
