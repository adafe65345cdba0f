//! Whether the log is what was signed (AUDIT-3, AUDIT-4): the whole of it, or one proof.

use std::time::Duration;

use audit::{Fault, FaultPlace, Progress, Report};
use axum::Json;
use axum::extract::State;
use base::{Problem, ProblemKind, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::call::Call;
use crate::events::operator;
use crate::failure::Failure;
use crate::strict;

/// How long a request waits for the verification of the whole log; it goes on behind it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to verify: nothing for the whole log, or a proof.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verify {
    /// The text of a `.tlog-proof` file.
    #[serde(default)]
    proof: Option<String>,
    /// With a proof: the leaf that it is about, in base64. Without it, what the file carries, else the log's own entry.
    #[serde(default)]
    leaf: Option<String>,
}

/// Where a verification stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct Verification {
    /// `none` was asked for since this server started, one is `running`, or the last one is `done`.
    state: &'static str,
    /// Since when it runs.
    #[schema(format = DateTime)]
    since: Option<String>,
    report: Option<ReportView>,
}

/// What a verification came to.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReportView {
    /// `log` or `proof`.
    what: &'static str,
    /// `whole` (a log) or `proven` (a proof), else the first fault's word: `altered`, `missing`, `truncated`, `swapped`,
    /// `inserted`, `replayed`, `edited`, `foreign`, `rewritten`, `tile`, `anchor`, `unauthorised`, `unerased`, `malformed`.
    verdict: String,
    /// Nothing is wrong.
    right: bool,
    /// The first entry at fault; of a proof, the proven one.
    index: Option<u64>,
    /// Entries of the tree that was verified.
    tree_size: u64,
    /// Its signed checkpoint.
    checkpoint: String,
    /// Whose signatures on it are right.
    signed_by: Vec<String>,
    /// Leaves that were hashed.
    leaves: u64,
    /// Sealed bodies that were compared.
    bodies: u64,
    /// What cannot be read any more because an event of the log erased it.
    erased: Vec<ErasedView>,
    /// The log's files were verified, too.
    files: bool,
    /// The checkpoint in the second place was compared.
    anchor: bool,
    faults: Vec<FaultView>,
    /// How many further faults there are.
    more: u64,
    #[schema(format = DateTime)]
    at: String,
    took_ms: u64,
}

/// Bodies that an event erased.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErasedView {
    /// The index of the event that destroyed the key.
    by: u64,
    bodies: u64,
}

/// One thing that is wrong.
#[derive(Serialize, ToSchema)]
pub(crate) struct FaultView {
    /// `database`, `files`, `anchor` or `proof`.
    place: &'static str,
    /// In one word.
    word: String,
    /// The first entry at fault.
    index: Option<u64>,
    /// In a sentence.
    text: String,
}

impl From<Fault> for FaultView {
    fn from(fault: Fault) -> Self {
        let place = match fault.place {
            FaultPlace::Database => "database",
            FaultPlace::Files => "files",
            FaultPlace::Anchor => "anchor",
            FaultPlace::Proof => "proof",
        };
        Self { place, word: fault.word, index: fault.index, text: fault.text }
    }
}

impl From<Report> for ReportView {
    fn from(report: Report) -> Self {
        let erased = |one: audit::ErasedBodies| ErasedView { by: one.by, bodies: one.bodies };
        Self {
            what: report.what,
            verdict: report.verdict,
            right: report.right,
            index: report.index,
            tree_size: report.tree_size,
            checkpoint: report.checkpoint,
            signed_by: report.signed_by,
            leaves: report.leaves,
            bodies: report.bodies,
            erased: report.erased.into_iter().map(erased).collect(),
            files: report.files,
            anchor: report.anchor,
            faults: report.faults.into_iter().map(FaultView::from).collect(),
            more: report.more,
            at: report.at.to_rfc3339(),
            took_ms: report.took_ms,
        }
    }
}

/// Verify the log, or a proof.
///
/// A whole log is verified once at a time; who asks meanwhile gets the same answer. If it takes longer than a request
/// should, the answer is 202, and `GET` on the same path tells when it is done. What came of it is an event.
#[utoipa::path(post, path = "/v1/audit/verify", operation_id = "verifyLog", tag = "audit", request_body = Verify,
    responses(
        (status = 200, description = "What came of it.", body = Verification),
        (status = 202, description = "It goes on.", body = Verification),
    ))]
pub(crate) async fn start(
    State(api): State<Api>,
    call: Call,
    strict::Json(body): strict::Json<Verify>,
) -> Result<(StatusCode, Json<Verification>), Failure> {
    let by = operator(&api, &call)?;
    let Some(proof) = &body.proof else {
        if body.leaf.is_some() {
            return Err(Failure::invalid("/leaf", "is only of use with a proof"));
        }
        return answer(api.audit.verify_log(&by, PATIENCE).await);
    };
    let leaf = body.leaf.map(|leaf| STANDARD.decode(leaf)).transpose();
    let leaf = leaf.map_err(|_| Failure::invalid("/leaf", "must be base64"))?;
    let report = api.audit.verify_proof(&by, proof, leaf.as_deref()).await?;
    Ok((StatusCode::OK, Json(done(report))))
}

/// What came of the last verification of the whole log on this server.
#[utoipa::path(get, path = "/v1/audit/verify", operation_id = "showVerification", tag = "audit",
    responses(
        (status = 200, description = "What came of it.", body = Verification),
        (status = 202, description = "It goes on.", body = Verification),
    ))]
pub(crate) async fn show(
    State(api): State<Api>,
    call: Call,
) -> Result<(StatusCode, Json<Verification>), Failure> {
    operator(&api, &call)?;
    answer(api.audit.verification())
}

fn answer(progress: Progress) -> Result<(StatusCode, Json<Verification>), Failure> {
    let (status, body) = match progress {
        Progress::None => (StatusCode::OK, Verification { state: "none", since: None, report: None }),
        Progress::Running(at) => {
            let since = Some(Timestamp::to_rfc3339(at));
            (StatusCode::ACCEPTED, Verification { state: "running", since, report: None })
        }
        Progress::Done(report) => (StatusCode::OK, done((*report).clone())),
        // The reason is in the program's own log; it may name files.
        Progress::Failed(_) => {
            let problem = Problem::new(ProblemKind::Unavailable).detail("The log cannot be read now.");
            return Err(problem.retry_after(10).into());
        }
    };
    Ok((status, Json(body)))
}

fn done(report: Report) -> Verification {
    Verification { state: "done", since: None, report: Some(report.into()) }
}
