//! From nothing to an account: sign-up, verification, and the first operator.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use base::{FullName, Secret};
use http::StatusCode;
use identity::{Error, Registration, Setup};

use crate::Console;
use crate::form::{Errors, Submitted};
use crate::page::{Failure, Frame, MessagePage, go, render, render_again};
use crate::recovery::{ConfirmPage, LinkCode};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "sign_up.html")]
pub(crate) struct SignUpPage<'a> {
    pub(crate) frame: Frame,
    pub(crate) heading: &'a str,
    pub(crate) lead: &'a str,
    pub(crate) action: &'a str,
    pub(crate) button: &'a str,
    pub(crate) code: &'a str,
    pub(crate) asks_full_name: bool,
    pub(crate) username: &'a str,
    pub(crate) email: &'a str,
    pub(crate) full_name: &'a str,
    pub(crate) errors: Errors,
}

impl<'a> SignUpPage<'a> {
    fn sign_up(frame: Frame) -> Self {
        Self {
            frame,
            heading: "create-account",
            lead: "sign-up-lead",
            action: "/account/sign-up",
            button: "sign-up-button",
            code: "",
            asks_full_name: true,
            username: "",
            email: "",
            full_name: "",
            errors: Errors::default(),
        }
    }

    fn setup(frame: Frame, code: &'a str) -> Self {
        Self {
            heading: "setup-heading",
            lead: "setup-lead",
            action: "/account/setup",
            button: "setup-button",
            code,
            asks_full_name: false,
            ..Self::sign_up(frame)
        }
    }
}

/// GET /account/sign-up
pub(crate) async fn form(State(console): State<Console>, visit: Visit) -> Response {
    render(&visit, StatusCode::OK, &SignUpPage::sign_up(visit.frame(&console, "sign-up")))
}

/// POST /account/sign-up
pub(crate) async fn submit(State(console): State<Console>, mut form: Submitted) -> Result<Response, Failure> {
    let mut errors = Errors::default();
    let username = form.parse("username", &mut errors);
    let email = form.parse("email", &mut errors);
    let full_name: Option<FullName> = match form.text("full_name") {
        "" => None,
        _ => form.parse("full_name", &mut errors),
    };
    let password = form.secret("password");
    let (mut notice, mut refused) = (None, None);
    if let (Some(username), Some(email), true) = (username, email, errors.is_empty()) {
        let wish = Registration { username, email, full_name, password };
        match console.identity.register(wish, &form.visit.meta).await {
            Ok(()) => return Ok(check_your_mail(&console, &form.visit)),
            Err(error) => {
                refused = Some(error.problem());
                notice = errors.take(&error);
            }
        }
    } else {
        password_hint(&password, &mut errors);
    }
    let mut frame = form.visit.frame(&console, "sign-up");
    frame.notice = notice.or(frame.notice);
    let page = SignUpPage {
        username: form.text("username"),
        email: form.text("email"),
        full_name: form.text("full_name"),
        errors,
        ..SignUpPage::sign_up(frame)
    };
    Ok(render_again(&form.visit, refused.as_ref(), &page))
}

fn password_hint(password: &Secret<String>, errors: &mut Errors) {
    if password.expose().is_empty() {
        errors.add("password", "Choose a password of at least 15 characters.");
    }
}

/// The same words whether or not the address or the name is known (AUTH-1).
fn check_your_mail(console: &Console, visit: &Visit) -> Response {
    let page = MessagePage {
        frame: visit.frame(console, "sign-up"),
        heading: "check-mail",
        paragraphs: &["check-mail-sign-up", "check-mail-nothing"],
        link: "/account/sign-in",
        link_text: "to-sign-in",
    };
    render(visit, StatusCode::OK, &page)
}

/// GET /account/verify?code=… shows a button: programs that only look at links must not use them up.
pub(crate) async fn verify_form(
    State(console): State<Console>,
    Query(link): Query<LinkCode>,
    visit: Visit,
) -> Response {
    let page = ConfirmPage::verify(visit.frame(&console, "verify"), &link.code);
    render(&visit, StatusCode::OK, &page)
}

/// POST /account/verify
pub(crate) async fn verify(State(console): State<Console>, mut form: Submitted) -> Result<Response, Failure> {
    let password = form.secret("password");
    let code = form.text("code").to_owned();
    let verified = match console.identity.verify_email(&code, &password, &form.visit.meta).await {
        Ok(verified) => verified,
        Err(error @ (Error::WrongCredentials | Error::TooManyAttempts { .. } | Error::Busy { .. })) => {
            let mut errors = Errors::default();
            let mut frame = form.visit.frame(&console, "verify");
            if matches!(error, Error::WrongCredentials) {
                errors.add("password", frame.t("verify-wrong"));
            } else {
                frame.notice = errors.take(&error);
            }
            let page = ConfirmPage::verify(frame, &code).with(errors);
            return Ok(render_again(&form.visit, Some(&error.problem()), &page));
        }
        Err(error) => return Err(error.into()),
    };
    if !verified.renamed {
        return Ok(go("/account/sign-in?done=verified"));
    }
    let page = MessagePage {
        frame: form.visit.frame(&console, "verify"),
        heading: "verified-heading",
        paragraphs: &["verified-renamed", verified.username.as_str()],
        link: "/account/sign-in",
        link_text: "sign-in",
    };
    Ok(render(&form.visit, StatusCode::OK, &page))
}

/// GET /account/setup?code=…
pub(crate) async fn setup_form(
    State(console): State<Console>,
    Query(link): Query<LinkCode>,
    visit: Visit,
) -> Result<Response, Failure> {
    if !console.identity.needs_setup().await? {
        return Ok(go("/account/sign-in?done=operator"));
    }
    Ok(render(&visit, StatusCode::OK, &SignUpPage::setup(visit.frame(&console, "setup"), &link.code)))
}

/// POST /account/setup
pub(crate) async fn setup(State(console): State<Console>, mut form: Submitted) -> Result<Response, Failure> {
    let mut errors = Errors::default();
    let username = form.parse("username", &mut errors);
    let email = form.parse("email", &mut errors);
    let password = form.secret("password");
    let code = form.text("code").to_owned();
    let (mut notice, mut refused) = (None, None);
    if let (Some(username), Some(email)) = (username, email) {
        let setup = Setup { code: code.clone(), username, email, full_name: None, password };
        match console.identity.complete_setup(setup, &form.visit.meta).await {
            Ok(_) => return Ok(go("/account/sign-in?done=setup")),
            Err(error) => {
                refused = Some(error.problem());
                notice = errors.take(&error);
            }
        }
    }
    let mut frame = form.visit.frame(&console, "setup");
    frame.notice = notice.or(frame.notice);
    let page = SignUpPage {
        username: form.text("username"),
        email: form.text("email"),
        errors,
        ..SignUpPage::setup(frame, &code)
    };
    Ok(render_again(&form.visit, refused.as_ref(), &page))
}
