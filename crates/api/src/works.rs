//! Proof of existence (AUDIT-7): a file's digest is put on record, and the export of that event proves to anybody, offline,
//! that exactly this file was there by then. The file itself stays where it is.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::Call;
use crate::failure::Failure;
use crate::strict;

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
    let attestation = audit::Attestation::new(&body.sha256, body.name.as_deref())
        .map_err(|fault| Failure::invalid(format!("/{}", fault.field), fault.reason))?;
    let at = api.audit.attest(account, &attestation, call.info()).await?;
    let (from, to) = (at.to_rfc3339(), at.plus_ms(1).to_rfc3339());
    let export = format!("/auth/events/export?kind=work.attested&from={from}&to={to}");
    Ok((StatusCode::CREATED, Json(Attested { sha256: attestation.sha256().to_owned(), at: from, export })))
}
