//! RFC 3161 time stamps over checkpoints.

use std::path::Path;

use audit::{AuditError, Evidence, EvidenceSource, Heard};
use bytes::Bytes;
use crypto::log::Checkpoint;
use crypto::timestamp::StampRequest;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{StatusCode, Uri};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sinks::Http;

use super::{Answers, address, client};
use crate::config::Resolved;
use crate::services::Services;

/// Its name in events and on the page.
const WHO: &str = "time stamps";

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

    /// Has the newest checkpoint stamped, unless there is none or it is stamped already.
    pub(super) async fn ask(&self, services: &Services) -> Result<Answers, AuditError> {
        let Some(note) = services.audit.checkpoint().await? else { return Ok(Answers::NONE) };
        let Ok(head) = Checkpoint::read_unverified(&note) else { return Ok(Answers::NONE) };
        let size = head.size;
        let last = services.audit.evidence(EvidenceSource::TimeStamps).await?;
        if last.is_some_and(|last| last.size >= size) {
            return Ok(Answers::NONE);
        }
        let (evidence, heard) = match self.stamp(services, &note).await {
            Ok(token) => {
                let at = services.clock.now();
                (Some(Evidence { size, checkpoint: note, evidence: token, at }), Heard::Well)
            }
            Err(why) => (None, Heard::Failing(why)),
        };
        Ok(Answers { evidence, heard: vec![(WHO.to_owned(), heard)], size })
    }

    async fn stamp(&self, services: &Services, note: &str) -> Result<Vec<u8>, String> {
        let request = StampRequest::new(note.as_bytes(), &services.entropy);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/timestamp-query"));
        let answer = self.http.post(&self.url, &headers, Bytes::copy_from_slice(request.der())).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.describe());
        }
        if !answer.whole {
            return Err("its answer is longer than any time stamp".to_owned());
        }
        let (stamp, token) = request.accept(&answer.body, &self.roots).map_err(|error| error.to_string())?;
        tracing::info!(at = %stamp.at, "a checkpoint was time-stamped");
        Ok(token)
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
