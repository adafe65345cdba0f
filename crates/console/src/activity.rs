//! What happened in one's own account lately, in words, with the reasons of risk (AUTH-10).

use askama::Template;
use audit::{Entry, Filter, Searcher};
use axum::extract::State;
use axum::response::Response;
use base::{Actor, Scope};
use http::StatusCode;

use crate::Console;
use crate::page::{Failure, Frame, render};
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
    let caller = visit.account()?;
    let by = Searcher {
        actor: Actor::Account(caller.account),
        scope: Scope::Account(caller.account),
        request: Some(visit.meta.info()),
    };
    let found = console.audit.search(&by, &Filter::default(), None, LOOKED_AT).await?;
    let page = ActivityPage {
        frame: visit.frame(&console, "account"),
        lines: found.entries.iter().filter_map(|entry| Line::of(entry, &visit)).collect(),
    };
    Ok(render(&visit, StatusCode::OK, &page))
}

impl Line {
    /// The line of an event; `None` for events that say nothing to a person.
    fn of(entry: &Entry, visit: &Visit) -> Option<Self> {
        let (what, tone) = words(&entry.kind)?;
        Some(Self {
            at: entry.at.to_rfc3339(),
            what,
            tone,
            why: reasons(&entry.details, |words| visit.translate(words)),
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
        "account.locked" => ("Too many codes were wrong; they are stopped", "bad"),
        "account.unlocked" => ("Codes and passwords are looked at again", ""),
        "account.throttled" => ("Failed sign-ins made the next ones wait", "warn"),
        _ => return None,
    })
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
        assert_eq!(super::reasons(&json!({"reasons": "x"}), |words| words), "");
        assert_eq!(super::reasons(&json!({}), |words| words), "");
    }
}
