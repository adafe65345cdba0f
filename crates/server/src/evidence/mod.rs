//! Asks others about the log, behind everybody's back: witnesses for cosignatures, an authority for time stamps.
//! Nothing waits for the answers; what fails is an event, and is tried again soon.

mod stamps;
mod witnesses;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit::{Evidence, EvidenceSource, Heard};
use sinks::{Http, TlsConfig};
use tokio::sync::watch;

use crate::error::StartError;
use crate::services::Services;
use stamps::Authority;
use witnesses::Witnesses;

pub(crate) use stamps::certificates;

/// How often it is looked whether a source is to be asked.
const LOOK: Duration = Duration::from_secs(1);
/// Who failed is asked again after this time at the latest.
const AGAIN_MS: i64 = 60_000;
/// Time for one exchange.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What came of one round.
pub(super) struct Answers {
    /// What is to be kept; `None` if there was nothing to ask, or nobody said anything.
    pub(super) evidence: Option<Evidence>,
    /// How it went with each who was asked.
    pub(super) heard: Vec<(String, Heard)>,
    /// The size of the tree that they were asked about.
    pub(super) size: u64,
}

impl Answers {
    /// Nobody was asked.
    pub(super) const NONE: Self = Self { evidence: None, heard: Vec::new(), size: 0 };
}

/// Who is asked.
pub(crate) struct Asking {
    services: Services,
    witnesses: Option<Witnesses>,
    authority: Option<Authority>,
}

/// Prepares the asking; `None` if nobody is configured.
///
/// # Errors
/// If a certificate cannot be read.
pub(crate) fn open(services: &Services) -> Result<Option<Asking>, StartError> {
    let config = &services.config;
    let witnesses = Witnesses::open(config).map_err(StartError::Witness)?;
    let authority = Authority::open(config).map_err(StartError::Witness)?;
    let any = witnesses.is_some() || authority.is_some();
    Ok(any.then(|| Asking { services: services.clone(), witnesses, authority }))
}

impl Asking {
    /// Runs until `stop` becomes true.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            tokio::select! {
                _ = stop.changed() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            if let Some(witnesses) = &self.witnesses {
                self.round(EvidenceSource::Witnesses, witnesses.every_ms, witnesses.ask(&self.services))
                    .await;
            }
            if let Some(authority) = &self.authority {
                self.round(EvidenceSource::TimeStamps, authority.every_ms, authority.ask(&self.services))
                    .await;
            }
        }
    }

    async fn round(
        &self,
        source: EvidenceSource,
        every_ms: i64,
        ask: impl Future<Output = Result<Answers, audit::AuditError>>,
    ) {
        let audit = &self.services.audit;
        match audit.claim_evidence(source, every_ms).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                return tracing::debug!(%error, ?source, "cannot see whether somebody is to be asked");
            }
        }
        if let Err(error) = self.ask(source, ask).await {
            tracing::warn!(%error, ?source, "what was said about the log could not be kept");
        }
    }

    async fn ask(
        &self,
        source: EvidenceSource,
        ask: impl Future<Output = Result<Answers, audit::AuditError>>,
    ) -> Result<(), audit::AuditError> {
        let audit = &self.services.audit;
        let Answers { evidence, heard, size } = ask.await?;
        let mut failed = false;
        for (who, heard) in &heard {
            failed |= *heard != Heard::Well;
            if audit.heard(who, size, heard).await? {
                match heard {
                    Heard::Well => tracing::info!(who, "says something about the log again"),
                    Heard::Failing(why) => tracing::warn!(who, why, "says nothing about the log"),
                    Heard::Disputed(why) => tracing::error!(who, why, "says that the log is another one"),
                }
            }
        }
        if failed {
            audit.ask_again(source, AGAIN_MS).await?;
        }
        if let Some(said) = evidence {
            self.publish(source, &said).await;
            audit.keep_evidence(source, &said).await?;
        }
        Ok(())
    }

    /// Puts it beside the log's files, for whoever verifies from files alone.
    async fn publish(&self, source: EvidenceSource, said: &Evidence) {
        let folder = self.services.config.log_folder.clone();
        let files = match source {
            EvidenceSource::Witnesses => vec![(folder.join("cosigned"), said.evidence.clone())],
            EvidenceSource::TimeStamps => {
                let folder = folder.join("timestamps");
                vec![
                    (folder.join(format!("{}.checkpoint", said.size)), said.checkpoint.clone().into_bytes()),
                    (folder.join(format!("{}.token", said.size)), said.evidence.clone()),
                ]
            }
        };
        let written = tokio::task::spawn_blocking(move || {
            files.iter().try_for_each(|(path, bytes)| write(path, bytes))
        });
        if let Ok(Err(error)) = written.await {
            tracing::warn!(%error, "what was said about the log could not be written beside its files");
        }
    }
}

/// Whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    // What lies there is left from a crash, or somebody else's: a link would lead us to write over another file.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::File::create_new(&beside)?.write_all(bytes)?;
    std::fs::rename(beside, path)
}

/// A client that trusts the system's certificates, or only those of a file.
fn client(ca: Option<&Path>) -> Result<Http, String> {
    let ca_pem = ca.map(|path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display())));
    Http::new(&TlsConfig { ca_pem: ca_pem.transpose()?, client: None }, TIMEOUT)
}

/// An address below a prefix.
pub(crate) fn address(url: &str) -> Result<http::Uri, String> {
    let uri: http::Uri = url.parse().map_err(|_| format!("{url} is not an address"))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) => Ok(uri),
        _ => Err(format!("{url} is not an http or https address")),
    }
}
