//! RFC 3161 time stamps over checkpoints.

use std::path::Path;

use audit::Evidence;
use bytes::Bytes;
use crypto::log::Checkpoint;
use crypto::timestamp::StampRequest;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{StatusCode, Uri};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sinks::Http;

use super::{address, client};
use crate::config::Resolved;
use crate::services::Services;

/// One authority.
pub(super) struct Authority {
    http: Http,
    url: Uri,
    roots: Vec<CertificateDer<'static>>,
    pub(super) every_ms: i64,
}

impl Authority {
    pub(super) fn open(config: &Resolved) -> Result<Option<Self>, String> {
        let audit = &config.audit;
        let Some(url) = &audit.timestamp_url else { return Ok(None) };
        let file = audit.timestamp_ca_file.as_deref();
        let file = file.ok_or("audit.timestamp_ca_file is missing: whose time stamps count")?;
        let every_ms = audit.timestamp_every.as_ms_i64();
        Ok(Some(Self { http: client(None)?, url: address(url)?, roots: certificates(file)?, every_ms }))
    }

    /// Has the newest checkpoint stamped; `None` if there is none, or it is stamped already.
    pub(super) async fn ask(&self, services: &Services) -> Result<Option<Evidence>, String> {
        let internal = |error: audit::AuditError| error.to_string();
        let Some(note) = services.audit.checkpoint().await.map_err(internal)? else { return Ok(None) };
        let size = Checkpoint::read_unverified(&note).map_err(|error| error.to_string())?.size;
        let last = services.audit.evidence(audit::EvidenceSource::TimeStamps).await.map_err(internal)?;
        if last.is_some_and(|last| last.size >= size) {
            return Ok(None);
        }
        let request = StampRequest::new(note.as_bytes(), &services.entropy);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/timestamp-query"));
        let answer = self.http.post(&self.url, &headers, Bytes::copy_from_slice(request.der())).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.describe());
        }
        let (stamp, token) = request.accept(&answer.body, &self.roots).map_err(|error| error.to_string())?;
        tracing::info!(size, at = %stamp.at, "a checkpoint was time-stamped");
        Ok(Some(Evidence { size, checkpoint: note, evidence: token, at: services.clock.now() }))
    }
}

/// The certificates of a PEM file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |why: String| format!("{}: {why}", path.display());
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let all: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    if all.is_empty() { Err(wrong("no certificate in it".into())) } else { Ok(all) }
}
