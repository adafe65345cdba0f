//! Proof of existence (AUDIT-7): a file's digest is put on record, sealed under the key of who has the file.

use base::{Id, Timestamp, kind as ids};

use crate::{Audit, AuditError, Detail, Event, Record, RequestInfo};

/// Bytes of a file's name: what an event keeps whole.
const MAX_NAME: usize = 256;

/// A file that somebody has: its digest, and how they call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    sha256: String,
    name: Option<String>,
}

/// What is wrong with which of `sha256` and `name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct NoAttestation {
    /// The field.
    pub field: &'static str,
    /// What it must be.
    pub reason: &'static str,
}

impl Attestation {
    /// From a SHA-256 digest in hexadecimal, as `sha256sum` prints it, and a name of 1 to 256 bytes.
    ///
    /// # Errors
    /// Which of the two is wrong, and what would be right.
    pub fn new(sha256: &str, name: Option<&str>) -> Result<Self, NoAttestation> {
        let sha256 = sha256.to_ascii_lowercase();
        if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let reason = "must be a SHA-256 digest: 64 hexadecimal digits";
            return Err(NoAttestation { field: "sha256", reason });
        }
        let name = name.map(str::trim);
        if name.is_some_and(|name| name.is_empty() || name.len() > MAX_NAME) {
            let reason = "must have 1 to 256 bytes in UTF-8, or be left out";
            return Err(NoAttestation { field: "name", reason });
        }
        Ok(Self { sha256, name: name.map(str::to_owned) })
    }

    /// The digest in lower case.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

impl Audit {
    /// Puts an attestation on record and says when; durable once it returns. The export of its event, of exactly this
    /// millisecond, proves it to others.
    ///
    /// # Errors
    /// As [`Audit::record_durable`].
    pub async fn attest(
        &self,
        account: Id<ids::Account>,
        attestation: &Attestation,
        request: RequestInfo,
    ) -> Result<Timestamp, AuditError> {
        let at = self.core().clock.now();
        let event = Event::WorkAttested {
            sha256: attestation.sha256.as_str().into(),
            name: attestation.name.as_deref().map(Detail::from),
        };
        // The artist will show the body to others. From where and with what it was sent is not theirs to know, and stands in
        // the record of the request.
        let request =
            RequestInfo { method: request.method, route: request.route, ..RequestInfo::new(request.id) };
        self.record_durable(Record::new(at, event).by_account(account).during(request)).await?;
        Ok(at)
    }
}
