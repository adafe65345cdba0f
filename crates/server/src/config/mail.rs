//! `[mail]`: how messages reach people.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::SecretRef;

/// How messages reach people. Without `host`, messages stay in the sealed outbox in `server.data_dir`, which
/// `fortissimo mail list` and `fortissimo mail show` open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// Name or address of the SMTP server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub host: Option<String>,
    /// Its port. Default: 587 with `starttls`, 465 with `implicit`, 25 with `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u16")]
    pub port: Option<u16>,
    /// `starttls`, `implicit`, or `none`; `none` is accepted for a server on this machine only.
    pub tls: MailTls,
    /// User name at the SMTP server; absent: no sign-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub user: Option<String>,
    /// Password at the SMTP server, by reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretRef")]
    pub password: Option<SecretRef>,
    /// PEM file with certificates to trust besides the system's, for a mail server with a private authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub ca_file: Option<PathBuf>,
    /// Folder for messages as plain `.eml` files instead of mail, for development and tests only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    pub outbox_dir: Option<PathBuf>,
    /// Sender address of every message.
    pub from: String,
    /// Sender name of every message.
    pub from_name: String,
}

/// How the connection to the SMTP server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum MailTls {
    /// STARTTLS is demanded (RFC 3207).
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// None.
    None,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            host: None,
            port: None,
            tls: MailTls::Starttls,
            user: None,
            password: None,
            ca_file: None,
            outbox_dir: None,
            from: "no-reply@localhost.localdomain".to_owned(),
            from_name: "Fortissimo".to_owned(),
        }
    }
}
