//! Asks others about the log, behind everybody's back: witnesses for cosignatures, an authority for time stamps.
//! Nothing waits for the answers; what fails is tried again with the next round.

mod stamps;
mod witnesses;

use std::path::{Path, PathBuf};
use std::time::Duration;

use audit::{Evidence, EvidenceSource};
use sinks::{Http, TlsConfig};
use tokio::sync::watch;

use crate::error::StartError;
use crate::services::Services;
use stamps::Authority;
use witnesses::Witnesses;

pub(crate) use stamps::certificates;

/// How often it is looked whether a source is to be asked.
const LOOK: Duration = Duration::from_secs(1);
/// Time for one exchange.
const TIMEOUT: Duration = Duration::from_secs(20);

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
        ask: impl Future<Output = Result<Option<Evidence>, String>>,
    ) {
        let audit = &self.services.audit;
        match audit.claim_evidence(source, every_ms).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                return tracing::debug!(%error, ?source, "cannot see whether somebody is to be asked");
            }
        }
        let outcome = match ask.await {
            Ok(None) => Ok(()),
            Ok(Some(said)) => {
                self.publish(source, &said).await;
                audit.keep_evidence(source, &said).await
            }
            Err(why) => match audit.evidence_failed(source, &why).await {
                Ok(true) => return tracing::warn!(?source, why, "nobody said anything about the log"),
                other => other.map(drop),
            },
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, ?source, "what was said about the log could not be kept");
        }
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
    std::fs::write(&beside, bytes)?;
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
