//! What happened in one's own account lately, in words, with the reasons of risk (AUTH-10).

use askama::Template;
use audit::{AuditError, Entry, Filter, Searcher, Selection};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base::{Actor, Scope, Timestamp};
use futures_util::stream;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use identity::Error;

use crate::Console;
use crate::page::{Failure, Frame, go, render};
use crate::view::{device, filters};
use crate::visit::Visit;

/// Events that are looked at; what a person does not understand is left out of these.
const LOOKED_AT: usize = 100;

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    frame: Frame,
    lines: Vec<Line>,
}

/// One thing that happened.
struct Line {
    at: String,
    what: &'static str,
    tone: &'static str,
    /// Why it was judged as it was, in words.
    why: String,
    agent: String,
    address: String,
}

/// GET /account/activity
pub(crate) async fn page(State(console): State<Console>, visit: Visit) -> Result<Response, Failure> {
    let by = oneself(&visit)?;
    let found = console.audit.search(&by, &Filter::default(), None, LOOKED_AT).await?;
    let page = ActivityPage {
        frame: visit.frame(&console, "account"),
        lines: found.entries.iter().filter_map(|entry| Line::of(entry, &visit)).collect(),
    };
    Ok(render(&visit, StatusCode::OK, &page))
}

/// GET /account/activity/export: everything about oneself.
pub(crate) async fn export(State(console): State<Console>, visit: Visit) -> Result<Response, Failure> {
    hand_out(&console, &visit, Selection::default(), "activity", "/account/activity").await
}

/// An export of one's own events in the form of `docs/audit-export.md`; who has not given their factors lately is asked for
/// them and comes back to the page.
pub(crate) async fn hand_out(
    console: &Console,
    visit: &Visit,
    selection: Selection,
    name: &str,
    page: &str,
) -> Result<Response, Failure> {
    match console.identity.must_be_fresh(visit.account()?).await {
        Ok(()) => {}
        Err(Error::ReauthenticationRequired { .. }) => {
            return Ok(go(&format!("/account/confirm?next={page}")));
        }
        Err(error) => return Err(error.into()),
    }
    let export = console.audit.export(&oneself(visit)?, selection).await?;
    let name = format!("attachment; filename=\"{name}-{}.jsonl\"", export.tree_size());
    let lines = stream::try_unfold(export, async |mut export| {
        let chunk = export.next().await.inspect_err(|error| tracing::error!(%error, "an export broke off"));
        Ok::<_, AuditError>(chunk?.map(|chunk| (chunk, export)))
    });
    let head = [(CONTENT_TYPE, "application/jsonl".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((head, Body::from_stream(lines)).into_response())
}

pub(crate) fn oneself(visit: &Visit) -> Result<Searcher, Failure> {
    let caller = visit.account()?;
    Ok(Searcher {
        actor: Actor::Account(caller.account),
        scope: Scope::Account(caller.account),
        request: Some(visit.meta.info()),
    })
}

impl Line {
    /// The line of an event; `None` for events that say nothing to a person.
    fn of(entry: &Entry, visit: &Visit) -> Option<Self> {
        let (what, tone) = words(&entry.kind)?;
        Some(Self {
            at: entry.at.to_rfc3339(),
            what,
            tone,
            why: why(&entry.kind, &entry.details, |words| visit.translate(words)),
            agent: entry.agent.as_deref().map(device).unwrap_or_default(),
            address: entry.address.map(|address| address.to_string()).unwrap_or_default(),
        })
    }
}

/// What an event is called, and how it looks.
fn words(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "account.registered" => ("The account was created", ""),
        "account.verified" => ("The address was verified", ""),
        "session.signed_in" => ("Signed in", "good"),
        "session.sign_in_failed" => ("A sign-in failed", "warn"),
        "session.signed_out" => ("Signed out", ""),
        "session.revoked" => ("A session was ended", "warn"),
        "session.refresh_reused" => ("A copied sign-in ticket was found; the session was ended", "bad"),
        "account.password_changed" => ("The password was changed", "warn"),
        "account.password_reset_requested" => ("A new password was asked for", "warn"),
        "account.password_reset" => ("The password was reset", "warn"),
        "risk.assessed" => ("A sign-in looked new", "warn"),
        "risk.step_up_required" => ("A sign-in had to be confirmed", "warn"),
        "risk.denied" => ("A sign-in was refused", "bad"),
        "mfa.enrolled" => ("A second factor was added", "warn"),
        "mfa.removed" => ("A second factor was removed", "warn"),
        "mfa.passed" => ("The second factor was right", "good"),
        "mfa.failed" => ("The second factor was wrong", "warn"),
        "mfa.recovery_codes_issued" => ("New recovery codes were issued", "warn"),
        "mfa.recovery_code_used" => ("A recovery code was used", "warn"),
        "passkey.registered" => ("A passkey was added", "warn"),
        "passkey.removed" => ("A passkey was removed", "warn"),
        "api_key.created" => ("An API key was created", "warn"),
        "api_key.revoked" => ("An API key was revoked", "warn"),
        "work.attested" => ("A file was put on record", "good"),
        "access.offered" => ("Access was offered to somebody", ""),
        "access.granted" => ("Access was given to somebody", ""),
        "access.revoked" => ("Access was taken away", ""),
        "access.transferred" => ("Something changed hands", "warn"),
        "collab.token_issued" => ("An invitation link was made", ""),
        "collab.token_redeemed" => ("An invitation link was used", ""),
        "collab.token_revoked" => ("An invitation link was revoked", ""),
        "access.break_glass_opened" => ("An administrator opened something private of yours", "bad"),
        "access.break_glass_closed" => ("An administrator ended their look", "warn"),
        "account.locked" => ("Too many wrong codes or passwords: no more are looked at", "bad"),
        "account.unlocked" => ("Codes and passwords are looked at again", ""),
        "account.throttled" => ("Failed sign-ins made the next ones wait", "warn"),
        _ => return None,
    })
}

/// Why, in words: the reasons of an assessment, the object, or what an administrator said.
fn why(kind: &str, details: &serde_json::Value, translate: impl Fn(&'static str) -> &'static str) -> String {
    let text = |name: &str| details.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    match kind {
        "access.break_glass_opened" => {
            let until = details.get("expires_at").and_then(serde_json::Value::as_i64).unwrap_or_default();
            let until = Timestamp::from_millis(until).to_rfc3339().replace('T', " ");
            let until: String = until.chars().take(16).collect();
            format!("{}, {} {until}: {}", text("resource"), translate("until"), text("reason"))
        }
        "work.attested" => text("name").to_owned(),
        _ if kind.starts_with("access.") || kind.starts_with("collab.") => text("resource").to_owned(),
        _ => reasons(details, translate),
    }
}

/// The reasons of an assessment, in words; empty where an event has none.
fn reasons(details: &serde_json::Value, translate: impl Fn(&'static str) -> &'static str) -> String {
    let codes = details.get("reasons").and_then(serde_json::Value::as_array);
    let words: Vec<&str> = codes
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_str)
        .filter_map(identity::risk_reason_words)
        .map(translate)
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn reasons_are_told_in_words_and_unknown_ones_are_left_out() {
        let told =
            super::reasons(&json!({"score": 61, "reasons": ["new-place", "<b>", "new-device"]}), |words| {
                words
            });
        assert_eq!(
            told,
            "from a place you have not signed in from before, from a device or browser you have not used before"
        );
        let look =
            json!({"resource": "track/7", "reason": "a court order", "expires_at": 1_767_323_045_678_i64});
        assert_eq!(
            super::why("access.break_glass_opened", &look, |words| words),
            "track/7, until 2026-01-02 03:04: a court order"
        );
        assert_eq!(super::why("access.granted", &json!({"resource": "track/7"}), |words| words), "track/7");
        assert_eq!(super::reasons(&json!({"reasons": "x"}), |words| words), "");
        assert_eq!(super::reasons(&json!({}), |words| words), "");
    }
}
