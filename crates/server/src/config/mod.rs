//! Configuration: `fortissimo.toml`, overridden by `FORTISSIMO__SECTION__KEY`, overridden by command-line options.
//!
//! One file per section, each field documented where it is declared. The sample file, the reference page and the
//! JSON schema are generated from these types ([`document`]). Paths are relative to the working directory.

mod access;
mod accounts;
mod check;
mod cors;
mod database;
pub mod document;
mod explain;
pub(crate) use explain::nearest;
mod finding;
mod http;
mod keys;
mod load;
mod locate;
mod log;
mod mail;
mod reputation;
mod resolve;
mod route;
mod server;
mod tls;
mod tokens;
mod upstream;
pub mod value;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::access::Access;
pub use accounts::Accounts;
pub use cors::Cors;
pub use database::Database;
pub use finding::{Finding, Place};
pub use http::Http;
pub use keys::Keys;
pub use load::{Flags, Loaded, Sources, load, validate};
pub use log::{Log, LogFormat};
pub use mail::{Mail, MailTls};
pub use reputation::Reputation;
pub use resolve::Resolved;
pub use route::Route;
pub use server::{Server, TlsTerminatedBy};
pub use tls::{Tls, TlsVersion};
pub use tokens::{Algorithm, Tokens};
pub use upstream::{HostField, Upstream};

/// The whole configuration as written; [`Config::resolve`] fills in what follows from other settings.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Configuration of Fortissimo")]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[database]`
    pub database: Database,
    /// `[[route]]`; without any, a built-in example service stands behind the gateway.
    pub route: Vec<Route>,
    /// `[upstream]`
    pub upstream: Upstream,
    /// `[http]`
    pub http: Http,
    /// `[limits]`
    pub limits: guard::LimitsConfig,
    /// `[reputation]`
    pub reputation: Reputation,
    /// `[access]`
    pub access: Access,
    /// `[accounts]`
    pub accounts: Accounts,
    /// `[tokens]`
    pub tokens: Tokens,
    /// `[mail]`
    pub mail: Mail,
    /// `[tls]`; absent: plain HTTP, on loopback only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    pub tls: Option<Tls>,
    /// `[keys]`
    pub keys: Keys,
    /// `[cors]`
    pub cors: Cors,
    /// `[log]`
    pub log: Log,
}

#[cfg(test)]
mod tests;
