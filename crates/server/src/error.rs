//! Why the program could not start. Each message is one line that names what to change.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::Finding;

/// Why the program could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error("the configuration is wrong")]
    Config(Vec<Finding>),
    /// A secret that the configuration refers to is not there.
    #[error("{setting}: {reason}")]
    Secret {
        /// The setting.
        setting: &'static str,
        /// What is wrong with the reference.
        reason: String,
    },
    /// A listener cannot be opened.
    #[error("{}", listen_message(*.address, .setting, .source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting that names it.
        setting: &'static str,
        /// The system's words.
        source: io::Error,
    },
    /// The witness cannot be what it should be.
    #[error("{0}")]
    Witness(String),
    /// A file or folder cannot be used.
    #[error("cannot use {path}: {source} ({hint})")]
    Folder {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// Another process serves this data folder.
    #[error("another fortissimo serves {path} already; stop it, or choose another folder with --data-dir")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A command needs data that no `serve` has made yet.
    #[error(
        "there is no data at {path} yet; run `fortissimo serve` first, or name the folder with --data-dir"
    )]
    NoData {
        /// Where data was looked for.
        path: PathBuf,
    },
    /// A command needs a migrated database.
    #[error("the database waits for {0} migration(s); run `fortissimo migrate` first")]
    NotMigrated(usize),
    /// The database.
    #[error("{0}")]
    Database(#[from] store::DbError),
    /// The keys.
    #[error("{0}")]
    Keys(#[from] keys::KeysError),
    /// The policies.
    #[error("the policies are not usable: {0}")]
    Access(#[from] access::PolicyError),
    /// The policies that were put in force.
    #[error(
        "the policies that were put in force cannot be loaded: {0}; see `fortissimo policy history` and `rollback`"
    )]
    Policies(access::LifeError),
    /// The audit trail.
    #[error("{0}")]
    Audit(#[from] audit::AuditError),
    /// Accounts and sessions.
    #[error("{0}")]
    Identity(#[from] identity::Error),
    /// Sinks and alerts.
    #[error("{0}")]
    Sinks(#[from] sinks::SinksError),
    /// The pipeline.
    #[error("{0}")]
    Guard(#[from] guard::GuardError),
    /// Certificates, listener or proxy.
    #[error("{0}")]
    Gateway(String),
    /// The operating system refused something else.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's words.
        source: io::Error,
    },
}

fn listen_message(address: SocketAddr, setting: &str, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            format!("port {} is in use ({address}); stop what uses it, or change {setting}", address.port())
        }
        io::ErrorKind::PermissionDenied => {
            format!("not allowed to listen on {address}; choose a port above 1023 in {setting}")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("{address} is not an address of this machine; change {setting}")
        }
        _ => format!("cannot listen on {address}: {source}; change {setting}"),
    }
}
