//! In and out.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use guard::SESSION_COOKIE;
use http::{HeaderValue, StatusCode, header};
use identity::{BrowserSession, Credentials};
use serde::Deserialize;

use crate::Console;
use crate::form::{Errors, Submitted};
use crate::page::{Failure, Frame, go, render, render_again};
use crate::provider::{Choice, choices};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    frame: Frame,
    next: &'a str,
    identifier: &'a str,
    errors: Errors,
    choices: Vec<Choice>,
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
    render(&visit, StatusCode::OK, &SignInPage { frame, next, identifier: "", errors: Errors::default(), choices: choices(&console) })
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
            Ok(session) => {
                let cookie = session_cookie(&console, &session);
                return Ok(with_cookie(go(safe(form.text("next")).unwrap_or("/account")), &cookie));
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

/// The cookie of a new session. Lax, so that a link in a mail still finds the person signed in.
pub(crate) fn session_cookie(console: &Console, session: &BrowserSession) -> String {
    let left_s = session.expires_at.since_ms(console.clock.now()).max(0) / 1000;
    format!(
        "{SESSION_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={left_s}",
        session.cookie.expose()
    )
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
