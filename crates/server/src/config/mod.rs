//! Configuration: `fortissimo.toml`, overridden by `FORTISSIMO__SECTION__KEY`, overridden by command-line options.
//!
//! One file per section, each field documented where it is declared. The sample file, the reference page and the
//! JSON schema are generated from these types ([`document`]). Paths are relative to the working directory.

mod access;
mod accounts;
mod alert;
mod attempts;
mod audit;
mod check;
mod check_accounts;
mod check_sinks;
mod cors;
mod database;
pub mod document;
mod explain;
pub(crate) use explain::nearest;
mod finding;
mod geo;
mod http;
mod keys;
mod load;
mod locate;
mod log;
mod mail;
mod provider;
mod resolve;
mod risk;
mod route;
mod server;
mod sessions;
mod sink;
mod tls;
mod tokens;
mod upstream;
pub mod value;
mod witness;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::access::Access;
pub use accounts::Accounts;
pub use alert::{Alert, AlertGroup, AlertSeverity, Alerts};
pub use attempts::Attempts;
pub use audit::{Audit, LogWitness};
pub use cors::Cors;
pub use database::Database;
pub use finding::{Finding, Place};
pub use geo::Geo;
pub use http::Http;
pub use keys::Keys;
pub use load::{Flags, Loaded, Sources, load, validate};
pub use log::{Log, LogFormat};
pub use mail::{Mail, MailTls};
pub use provider::{Preset, Provider};
pub use resolve::Resolved;
pub use risk::{FirstSignIn, NetworkKind, Risk, RiskNetworks};
pub use route::Route;
pub use server::{Server, TlsTerminatedBy};
pub use sessions::Sessions;
pub use sink::{Sink, SinkForm, SinkKind};
pub use tls::{Tls, TlsVersion};
pub use tokens::{Algorithm, Tokens};
pub use upstream::{HostField, Upstream};
pub use witness::Witness;

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
    /// `[geo]`
    pub geo: Geo,
    /// `[risk]`
    pub risk: Risk,
    /// `[access]`
    pub access: Access,
    /// `[accounts]`
    pub accounts: Accounts,
    /// `[sessions]`
    pub sessions: Sessions,
    /// `[attempts]`
    pub attempts: Attempts,
    /// `[tokens]`
    pub tokens: Tokens,
    /// `[[provider]]`
    pub provider: Vec<Provider>,
    /// `[mail]`
    pub mail: Mail,
    /// `[tls]`; absent: plain HTTP, on loopback only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    pub tls: Option<Tls>,
    /// `[keys]`
    pub keys: Keys,
    /// `[audit]`
    pub audit: Audit,
    /// `[[sink]]`
    pub sink: Vec<Sink>,
    /// `[alerts]`
    pub alerts: Alerts,
    /// `[[alert]]`
    pub alert: Vec<Alert>,
    /// `[cors]`
    pub cors: Cors,
    /// `[log]`
    pub log: Log,
    /// `[witness]`
    pub witness: Witness,
}

#[cfg(test)]
mod sink_tests;
#[cfg(test)]
mod tests;
