//! Proof of existence (AUDIT-7): a file's digest is put on record, and the export of that event proves to anybody, offline,
//! that exactly this file was there by then. The file itself stays where it is.

use audit::{Detail, Event, Record, RequestInfo};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::Call;
use crate::failure::Failure;
use crate::strict;

/// Bytes of a file's name: what an event keeps whole.
const MAX_NAME: usize = 256;

/// A file that one has.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attestation {
    /// Its SHA-256 digest in hexadecimal, as `sha256sum` prints it.
    #[schema(pattern = "^[0-9A-Fa-f]{64}$")]
    sha256: String,
    /// How to call it, for oneself.
    #[serde(default)]
    #[schema(max_length = 256)]
    name: Option<String>,
}

/// It is on record.
#[derive(Serialize, ToSchema)]
pub(crate) struct Attested {
    sha256: String,
    #[schema(format = DateTime)]
    at: String,
    /// Where the event that proves it is exported, for `fortissimo audit verify EXPORT.jsonl --file FILE`.
    export: String,
}

/// Put a file's digest on record.
///
/// Who has the file can prove with the export of the event that it existed by now. The digest and the name are sealed under
/// one's own key; the log shows neither.
#[utoipa::path(post, path = "/v1/works/attestations", operation_id = "attestWork", tag = "audit",
    request_body = Attestation, responses((status = 201, description = "On record.", body = Attested)))]
pub(crate) async fn attest(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Attestation>,
) -> Result<(StatusCode, Json<Attested>), Failure> {
    let account = call.account()?.account;
    let sha256 = body.sha256.to_ascii_lowercase();
    if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::invalid("/sha256", "must be a SHA-256 digest: 64 hexadecimal digits"));
    }
    let name = body.name.as_deref().map(str::trim);
    if name.is_some_and(|name| name.is_empty() || name.len() > MAX_NAME) {
        return Err(Failure::invalid("/name", "must have 1 to 256 bytes in UTF-8, or be left out"));
    }
    let at = api.clock.now();
    let event = Event::WorkAttested { sha256: sha256.as_str().into(), name: name.map(Detail::from) };
    // The artist will show the body to others. From where and with what it was sent is not theirs to know, and stands in the
    // record of the request.
    let request = call.info();
    let request =
        RequestInfo { method: request.method, route: request.route, ..RequestInfo::new(request.id) };
    api.audit.record_durable(Record::new(at, event).by_account(account).during(request)).await?;
    let (from, to) = (at.to_rfc3339(), at.plus_ms(1).to_rfc3339());
    let export = format!("/auth/events/export?kind=work.attested&from={from}&to={to}");
    Ok((StatusCode::CREATED, Json(Attested { sha256, at: from, export })))
}
