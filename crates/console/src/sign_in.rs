//! In and out.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use guard::{CHALLENGE_COOKIE, DEVICE_COOKIE, LANGUAGE_COOKIE, SESSION_COOKIE};
use http::{HeaderValue, StatusCode, header};
use identity::{
    BrowserSession, Credentials, Error, FactorKind, Partial, SecondFactorOffer, SessionKind, SignIn,
};
use serde::Deserialize;

use crate::Console;
use crate::form::{Errors, Submitted};
use crate::page::{Failure, Frame, Notice, go, render, render_again};
use crate::provider::{Choice, choices};
use crate::visit::Visit;
use crate::words::Language;

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
    /// Codes of apps are not looked at here any more.
    stopped: bool,
    /// A code can be had by mail.
    mail: bool,
    errors: Errors,
}

impl<'a> SecondFactorPage<'a> {
    fn new(
        frame: Frame,
        challenge: &'a str,
        next: &'a str,
        offer: &SecondFactorOffer,
        errors: Errors,
    ) -> Self {
        Self {
            frame,
            challenge,
            next: safe(next).unwrap_or(""),
            recovery: offer.methods.contains(&FactorKind::RecoveryCode),
            passkey: offer.methods.contains(&FactorKind::Passkey),
            stopped: offer.codes_stopped,
            mail: offer.code_by_mail,
            errors,
        }
    }
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

/// The page that asks for the second factor, and the cookie without which it is worth nothing.
pub(crate) fn halfway(visit: &Visit, frame: Frame, next: &str, partial: &Partial) -> Response {
    let page =
        SecondFactorPage::new(frame, partial.challenge.expose(), next, &partial.offer, Errors::default());
    let response = render(visit, StatusCode::OK, &page);
    match &partial.browser {
        None => response,
        Some(value) => {
            let cookie = format!(
                "{CHALLENGE_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={}",
                value.expose(),
                partial.expires_in_s
            );
            with_cookie(response, &cookie)
        }
    }
}

/// The browser is signed in: its cookies, and on.
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
    let gone = format!("{CHALLENGE_COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    [cookie, device, gone].iter().fold(go(safe(next).unwrap_or("/account")), |r, one| with_cookie(r, one))
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
    second_page(&console, &form, frame, challenge.expose(), Some(&error), errors).await
}

/// The page that asks for the second factor, once more; or the beginning, if the challenge has ended.
async fn second_page(
    console: &Console,
    form: &Submitted,
    frame: Frame,
    challenge: &str,
    refused: Option<&Error>,
    errors: Errors,
) -> Result<Response, Failure> {
    let Ok(offer) = console.identity.challenge_offer(challenge, &form.visit.meta).await else {
        return Ok(go("/account/sign-in?done=begin-again"));
    };
    let page = SecondFactorPage::new(frame, challenge, form.text("next"), &offer, errors);
    match refused {
        Some(error) => Ok(render_again(&form.visit, Some(&error.problem()), &page)),
        None => Ok(render(&form.visit, StatusCode::OK, &page)),
    }
}

/// POST /account/sign-in/code: mails a code that stands in for the second factor once.
pub(crate) async fn mail_code(
    State(console): State<Console>,
    mut form: Submitted,
) -> Result<Response, Failure> {
    let challenge = form.secret("challenge");
    let mut frame = form.visit.frame(&console, "sign-in");
    match console.identity.mail_code(SessionKind::Browser, challenge.expose(), &form.visit.meta).await {
        Ok(()) => frame.notice = Some(Notice::good(frame.t("code-mailed"))),
        Err(Error::InvalidChallenge) => return Ok(go("/account/sign-in?done=begin-again")),
        Err(error @ Error::Conflict(_)) => {
            return second_page(&console, &form, frame, challenge.expose(), Some(&error), Errors::default())
                .await;
        }
        Err(error) => return Err(error.into()),
    }
    second_page(&console, &form, frame, challenge.expose(), None, Errors::default()).await
}

/// POST /account/language: remembers the choice for a year, and for mails to whoever is signed in. Back to the account,
/// or to the sign-in.
pub(crate) async fn language(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    let caller = form.visit.caller.account();
    let back = go(if caller.is_some() { "/account" } else { crate::SIGN_IN_PAGE });
    Ok(match Language::of(form.text("language")) {
        None => back,
        Some(language) => {
            if let Some(caller) = caller {
                console.identity.set_language(caller, language.plain()).await?;
            }
            let code = language.code();
            let cookie =
                format!("{LANGUAGE_COOKIE}={code}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=31536000");
            with_cookie(back, &cookie)
        }
    })
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
