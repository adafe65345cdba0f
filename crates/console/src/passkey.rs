//! Passkeys on the pages. A script asks for the question and fills the form; the answer comes as a form like any other.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use identity::{Error, PasskeyPurpose, PasskeyQuestion, SessionKind, SignIn};
use serde_json::{Value, json};

use crate::Console;
use crate::form::Submitted;
use crate::page::{Failure, Frame, go, render_again};
use crate::security::{or_again, shown_codes};
use crate::sign_in::{entered, halfway, safe};

/// The question as JSON, or where to go first.
fn question(asked: Result<PasskeyQuestion, Error>) -> Response {
    match asked {
        Ok(question) => Json(json!({ "ceremony": question.ceremony.expose(), "options": question.options }))
            .into_response(),
        Err(Error::ReauthenticationRequired { .. }) => {
            Json(json!({ "location": "/account/confirm?next=/account/security" })).into_response()
        }
        Err(error) => {
            let problem = error.problem();
            let status = StatusCode::from_u16(problem.kind.status()).unwrap_or(StatusCode::BAD_REQUEST);
            (status, Json(json!({ "title": problem.kind.title() }))).into_response()
        }
    }
}

/// What the browser's authenticator answered; text that is not JSON is no answer.
fn credential(form: &Submitted) -> Value {
    serde_json::from_str(form.text("credential")).unwrap_or(Value::Null)
}

/// POST /account/passkeys/start
pub(crate) async fn start(State(console): State<Console>, form: Submitted) -> Response {
    let purpose = match form.text("challenge") {
        "" => PasskeyPurpose::Anybody,
        challenge => PasskeyPurpose::Second { challenge, kind: SessionKind::Browser },
    };
    question(console.identity.passkey_start(purpose, &form.visit.meta).await)
}

/// POST /account/passkeys/sign-in
pub(crate) async fn sign_in(State(console): State<Console>, form: Submitted) -> Response {
    let (ceremony, answer) = (form.text("ceremony"), credential(&form));
    let next = form.text("next");
    match console.identity.passkey_sign_in_browser(ceremony, &answer, &form.visit.meta).await {
        Ok(SignIn::Done(session)) => entered(&console, next, &session),
        Ok(SignIn::SecondFactor(partial)) => {
            halfway(&form.visit, form.visit.frame(&console, "sign-in"), next, &partial)
        }
        Err(error) => {
            let frame = form.visit.frame(&console, "sign-in");
            let unknown = matches!(error, Error::UnknownPasskey);
            let page = PasskeyRefusedPage {
                reason: if unknown { "passkey-unknown" } else { "passkey-refused-lead" },
                rp_id: console.identity.rp_id(),
                unknown: if unknown { credential_id(&answer) } else { "" },
                frame,
                link: "/account/sign-in",
                link_text: "to-sign-in",
            };
            render_again(&form.visit, Some(&error.problem()), &page)
        }
    }
}

/// A passkey that was not accepted. Where nobody here has it, the page tells the authenticator so.
#[derive(Template)]
#[template(path = "passkey_refused.html")]
struct PasskeyRefusedPage<'a> {
    frame: Frame,
    reason: &'a str,
    rp_id: &'a str,
    /// The id of a credential that its authenticator may forget; empty if there is none.
    unknown: &'a str,
    link: &'a str,
    link_text: &'a str,
}

/// The id that the browser gave, if it is one.
fn credential_id(answer: &Value) -> &str {
    let id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
    let plain = id.len() <= 1_400 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if plain { id } else { "" }
}

/// POST /account/security/passkeys/start
pub(crate) async fn register_start(
    State(console): State<Console>,
    form: Submitted,
) -> Result<Response, Failure> {
    Ok(question(console.identity.passkey_register_start(form.visit.account()?).await))
}

/// POST /account/security/passkeys
pub(crate) async fn register(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    let name = Some(form.text("name")).filter(|name| !name.is_empty());
    let (ceremony, answer) = (form.text("ceremony"), credential(&form));
    let caller = form.visit.account()?;
    match console.identity.passkey_register_finish(caller, ceremony, &answer, name, &form.visit.meta).await {
        Ok(new) => Ok(match new.recovery_codes {
            Some(codes) => shown_codes(&console, &form.visit, &codes),
            None => go("/account/security?done=passkey-added"),
        }),
        // The authenticator has made what nobody here will ever know.
        Err(error @ (Error::InvalidPasskey | Error::InvalidChallenge)) => {
            let page = PasskeyRefusedPage {
                frame: form.visit.frame(&console, "security"),
                reason: "passkey-refused-lead",
                rp_id: console.identity.rp_id(),
                unknown: credential_id(&answer),
                link: "/account/security",
                link_text: "back",
            };
            Ok(render_again(&form.visit, Some(&error.problem()), &page))
        }
        Err(error) => or_again(error),
    }
}

/// POST /account/passkeys/upgrade/start
pub(crate) async fn upgrade_start(
    State(console): State<Console>,
    form: Submitted,
) -> Result<Response, Failure> {
    Ok(match console.identity.passkey_upgrade_start(form.visit.account()?).await {
        // Nobody asked for it, so nobody is led anywhere.
        Err(Error::ReauthenticationRequired { .. } | Error::Conflict(_)) => {
            StatusCode::NO_CONTENT.into_response()
        }
        asked => question(asked),
    })
}

/// POST /account/passkeys/upgrade: by a script, behind the page.
pub(crate) async fn upgrade(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    let (ceremony, answer) = (form.text("ceremony"), credential(&form));
    let caller = form.visit.account()?;
    match console.identity.passkey_upgrade_finish(caller, ceremony, &answer, &form.visit.meta).await {
        Ok(_) => Ok(StatusCode::CREATED.into_response()),
        // The script tells the authenticator that this one is not known.
        Err(error) => Ok(question(Err(error))),
    }
}

/// POST /account/confirm/passkey/start
pub(crate) async fn again_start(
    State(console): State<Console>,
    form: Submitted,
) -> Result<Response, Failure> {
    let purpose = PasskeyPurpose::Again(form.visit.account()?);
    Ok(question(console.identity.passkey_start(purpose, &form.visit.meta).await))
}

/// POST /account/confirm/passkey
pub(crate) async fn again(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    let (ceremony, answer) = (form.text("ceremony"), credential(&form));
    console.identity.passkey_again(form.visit.account()?, ceremony, &answer, &form.visit.meta).await?;
    Ok(go(safe(form.text("next")).unwrap_or("/account/security")))
}
