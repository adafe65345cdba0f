//! In and out.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use guard::{DEVICE_COOKIE, SESSION_COOKIE};
use http::{HeaderValue, StatusCode, header};
use identity::{BrowserSession, Credentials, Error, FactorKind, Partial, SignIn};
use serde::Deserialize;

use crate::Console;
use crate::form::{Errors, Submitted};
use crate::page::{Failure, Frame, go, render, render_again};
use crate::provider::{Choice, choices};
use crate::visit::Visit;
use crate::words::{LANGUAGE_COOKIE, Language};

/// Browsers keep a cookie no longer than 400 days.
const DEVICE_S: i64 = 400 * 86_400;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    frame: Frame,
    next: &'a str,
    identifier: &'a str,
    errors: Errors,
    choices: Vec<Choice>,
}

#[derive(Template)]
#[template(path = "second_factor.html")]
struct SecondFactorPage<'a> {
    frame: Frame,
    challenge: &'a str,
    next: &'a str,
    recovery: bool,
    passkey: bool,
    errors: Errors,
}

/// Where to go after signing in.
#[derive(Deserialize, Default)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

/// Only a path on this site; anything else is a redirect for somebody else's purposes.
pub(crate) fn safe(next: &str) -> Option<&str> {
    let path = next.starts_with('/')
        && !next.starts_with("//")
        && next.len() <= 2_048
        && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    path.then_some(next)
}

/// GET /account/sign-in
pub(crate) async fn form(
    State(console): State<Console>,
    Query(query): Query<Next>,
    visit: Visit,
) -> Response {
    if visit.caller.account().is_some() {
        return go(safe(&query.next).unwrap_or("/account"));
    }
    let frame = visit.frame(&console, "sign-in");
    let next = safe(&query.next).unwrap_or("");
    render(
        &visit,
        StatusCode::OK,
        &SignInPage { frame, next, identifier: "", errors: Errors::default(), choices: choices(&console) },
    )
}

/// POST /account/sign-in
pub(crate) async fn submit(State(console): State<Console>, mut form: Submitted) -> Result<Response, Failure> {
    let mut errors = Errors::default();
    let password = form.secret("password");
    let name = form.text("identifier").to_owned();
    if name.is_empty() {
        errors.add("identifier", "Type your username or e-mail address.");
    }
    if password.expose().is_empty() {
        errors.add("password", "Type your password.");
    }
    let mut frame = form.visit.frame(&console, "sign-in");
    let mut refused = None;
    if errors.is_empty() {
        let credentials = Credentials { name: name.clone(), password, session_name: None, audience: None };
        match console.identity.sign_in_browser(credentials, &form.visit.meta).await {
            Ok(SignIn::Done(session)) => return Ok(entered(&console, form.text("next"), &session)),
            Ok(SignIn::SecondFactor(partial)) => {
                return Ok(halfway(&form.visit, frame, form.text("next"), &partial));
            }
            Err(error) => {
                refused = Some(error.problem());
                frame.notice = errors.take(&error).or(frame.notice);
            }
        }
    }
    let next = safe(form.text("next")).unwrap_or("");
    let page = SignInPage { frame, next, identifier: &name, errors, choices: choices(&console) };
    Ok(render_again(&form.visit, refused.as_ref(), &page))
}

/// The page that asks for the second factor.
pub(crate) fn halfway(visit: &Visit, frame: Frame, next: &str, partial: &Partial) -> Response {
    let page = SecondFactorPage {
        frame,
        challenge: partial.challenge.expose(),
        next: safe(next).unwrap_or(""),
        recovery: partial.methods.contains(&FactorKind::RecoveryCode),
        passkey: partial.methods.contains(&FactorKind::Passkey),
        errors: Errors::default(),
    };
    render(visit, StatusCode::OK, &page)
}

/// The browser is signed in: both cookies, and on.
pub(crate) fn entered(console: &Console, next: &str, session: &BrowserSession) -> Response {
    let left_s = session.expires_at.since_ms(console.clock.now()).max(0) / 1000;
    // Lax, so that a link in a mail still finds the person signed in.
    let cookie = format!(
        "{SESSION_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={left_s}",
        session.cookie.expose()
    );
    let device = format!(
        "{DEVICE_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={DEVICE_S}",
        session.device.expose()
    );
    with_cookie(with_cookie(go(safe(next).unwrap_or("/account")), &cookie), &device)
}

/// POST /account/sign-in/second
pub(crate) async fn second(State(console): State<Console>, mut form: Submitted) -> Result<Response, Failure> {
    let (code, challenge) = (form.secret("code"), form.secret("challenge"));
    let signed_in =
        console.identity.sign_in_browser_with_code(challenge.expose(), &code, &form.visit.meta).await;
    let error = match signed_in {
        Ok(session) => return Ok(entered(&console, form.text("next"), &session)),
        Err(error) => error,
    };
    let mut errors = Errors::default();
    let mut frame = form.visit.frame(&console, "sign-in");
    match error {
        Error::InvalidChallenge => return Ok(go("/account/sign-in?done=begin-again")),
        Error::WrongCode => errors.add("code", "This code is wrong, or was used already."),
        _ => frame.notice = errors.take(&error),
    }
    let methods = console.identity.challenge_methods(challenge.expose(), &form.visit.meta).await;
    let Ok(methods) = methods else { return Ok(go("/account/sign-in?done=begin-again")) };
    let page = SecondFactorPage {
        frame,
        challenge: challenge.expose(),
        next: safe(form.text("next")).unwrap_or(""),
        recovery: methods.contains(&FactorKind::RecoveryCode),
        passkey: methods.contains(&FactorKind::Passkey),
        errors,
    };
    Ok(render_again(&form.visit, Some(&error.problem()), &page))
}

/// POST /account/language: remembers the choice for a year. Back to the account, or to the sign-in.
pub(crate) async fn language(form: Submitted) -> Response {
    let signed_in = form.visit.caller.account().is_some();
    let back = go(if signed_in { "/account" } else { crate::SIGN_IN_PAGE });
    match Language::of(form.text("language")) {
        None => back,
        Some(language) => {
            let code = language.code();
            let cookie =
                format!("{LANGUAGE_COOKIE}={code}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=31536000");
            with_cookie(back, &cookie)
        }
    }
}

/// POST /account/sign-out
pub(crate) async fn sign_out(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    console.identity.sign_out(form.visit.account()?, &form.visit.meta).await?;
    let gone = format!("{SESSION_COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    let mut response = with_cookie(go("/account/sign-in?done=signed-out"), &gone);
    response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    Ok(response)
}

pub(crate) fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn next_stays_on_this_site() {
        assert_eq!(safe("/private/a?b=c"), Some("/private/a?b=c"));
        for wrong in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/a\r\nset-cookie: x",
            "javascript:1",
        ] {
            assert_eq!(safe(wrong), None, "{wrong:?}");
        }
    }
}
