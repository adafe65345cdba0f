//! Where messages go.

use std::fmt;
use std::path::PathBuf;

use base::Secret;

/// Where messages go. A closed set; chosen once at start.
#[derive(Debug)]
pub enum Mailer {
    /// Without SMTP: sealed files `<mail id>.eml.sealed` that only this deployment's keys open. Read them through
    /// [`Identity::outbox_read`](crate::Identity::outbox_read).
    Outbox {
        /// The folder; made with mode 0700 if absent.
        dir: PathBuf,
    },
    /// Plain `.eml` files, because the operator named a folder: for development and tests.
    OutboxPlain {
        /// The folder; made with mode 0700 if absent.
        dir: PathBuf,
    },
    /// Real mail.
    Smtp(SmtpConfig),
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte (port 465).
    Tls,
    /// Plain greeting, then STARTTLS or nothing (port 587).
    StartTls,
    /// No protection; accepted for loopback hosts only.
    Plain,
}

/// A mail server.
pub struct SmtpConfig {
    /// Host name; also what its certificate must say.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS, STARTTLS or (loopback only) plain.
    pub security: SmtpSecurity,
    /// User and password, if the server wants them.
    pub login: Option<(String, Secret<String>)>,
    /// PEM certificates that are trusted besides the system's, for a mail server with a private authority.
    pub ca_pem: Option<Vec<u8>>,
    /// Limit for the whole delivery of one message, in milliseconds.
    pub timeout_ms: u64,
}

impl fmt::Debug for SmtpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpConfig({}:{}, {:?})", self.host, self.port, self.security)
    }
}
