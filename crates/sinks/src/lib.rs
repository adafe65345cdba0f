//! Sends the audit log to other systems, and raises alerts from it.
//!
//! A [`Sinks`] runs one task for each configured sink. Each reads the log in index order behind everybody's
//! back, writes every event in the form that the other side wants and remembers in the database how far it
//! has come: at least once, with a deduplication key in every record. The signed checkpoints of the log go
//! along. [`Alerts`] reads the same log with a cursor of its own and counts what its rules are about.
//!
//! What this crate refuses to do: it is never in the path of a request, it never drops a record because the
//! other side is away, it follows no redirect, and nothing that the other side answers becomes more than a
//! status, a bounded reason and a time to wait. It sends no mail by itself: a function does, which the
//! program hands in.
//!
//! ```
//! use sinks::{Form, SinkConfig, Target};
//! let config = SinkConfig::new("archive", Target::Files(sinks::FilesConfig::new("export".into())));
//! assert_eq!(config.form, Form::Ocsf);
//! ```

pub mod alert;
mod backoff;
mod cursor;
mod destination;
mod filter;
mod form;
mod http;
mod runner;
mod settle;
mod sinks;
mod source;

#[cfg(test)]
mod tests;

pub use alert::{
    Alert, AlertState, Alerts, AlertsConfig, Group, Mailing, OperatorMail, Rule, RuleError, SendMail,
};
pub use destination::{FilesConfig, HttpTarget, SyslogConfig, Target, WebhookConfig};
pub use filter::{Filter, Pattern, PatternError};
pub use form::Form;
pub use http::{Answer, Http};
pub use outbound::{ClientCertificate, Tls as TlsConfig};
pub use sinks::{Parts, SinkConfig, SinkStatus, Sinks, statuses};
pub use source::{Item, Source, Wanted};

/// Why sinks or alerts cannot be opened, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SinksError {
    /// The database failed.
    #[error("{0}")]
    Store(#[from] store::DbError),
    /// A key is missing or damaged.
    #[error("{0}")]
    Keys(#[from] keys::KeysError),
    /// The trail cannot be read or written.
    #[error("{0}")]
    Audit(#[from] audit::AuditError),
    /// A certificate, key or address of a sink is not usable. The text names the sink and the field.
    #[error("{0}")]
    Settings(String),
}
