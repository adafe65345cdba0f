//! Forgotten and changed passwords.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use crate::Console;
use crate::form::{Errors, Submitted};
use crate::page::{Failure, Frame, MessagePage, go, render, render_again};
use crate::visit::Visit;

/// The code of a link from a message.
#[derive(Deserialize, Default)]
pub(crate) struct LinkCode {
    #[serde(default)]
    pub(crate) code: String,
}

/// One field of a small form.
pub(crate) struct Input {
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    autocomplete: &'static str,
    hint: &'static str,
}

const EMAIL: Input = Input { name: "email", label: "E-mail", kind: "email", autocomplete: "email", hint: "" };
/// The password of an attempt to sign up.
const CHOSEN: Input = Input {
    name: "password",
    label: "Password",
    kind: "password",
    autocomplete: "current-password",
    hint: "The one that you chose when you signed up.",
};
const CURRENT: Input = Input {
    name: "current_password",
    label: "Current password",
    kind: "password",
    autocomplete: "current-password",
    hint: "",
};
const NEW: Input = Input {
    name: "password",
    label: "New password",
    kind: "password",
    autocomplete: "new-password",
    hint: "At least 15 characters. Several words in a row are good.",
};

#[derive(Template)]
#[template(path = "confirm.html")]
pub(crate) struct ConfirmPage<'a> {
    frame: Frame,
    heading: &'a str,
    lead: &'a str,
    action: &'a str,
    button: &'a str,
    code: &'a str,
    inputs: &'a [Input],
    errors: Errors,
}

impl<'a> ConfirmPage<'a> {
    pub(crate) fn verify(frame: Frame, code: &'a str) -> Self {
        Self {
            frame,
            heading: "Verify your address",
            lead: "Only if you have just signed up here yourself: with the password that you chose then, the account is yours.",
            action: "/account/verify",
            button: "Verify my address",
            code,
            inputs: &[CHOSEN],
            errors: Errors::default(),
        }
    }

    pub(crate) fn new_email(frame: Frame) -> Self {
        Self {
            frame,
            heading: "Change your e-mail address",
            lead: "We mail a link to the new address; until you follow it, nothing changes.",
            action: "/account/security/email",
            button: "Send the link",
            code: "",
            inputs: &[EMAIL],
            errors: Errors::default(),
        }
    }

    pub(crate) fn confirm_email(frame: Frame, code: &'a str) -> Self {
        Self {
            frame,
            heading: "Confirm your new address",
            lead: "One click, and this address is your account's.",
            action: "/account/email",
            button: "Confirm the address",
            code,
            inputs: &[],
            errors: Errors::default(),
        }
    }

    pub(crate) fn with(self, errors: Errors) -> Self {
        Self { errors, ..self }
    }

    fn forgot(frame: Frame) -> Self {
        Self {
            frame,
            heading: "Forgot your password?",
            lead: "Tell us the address of your account; we mail a link that works for an hour.",
            action: "/account/forgot",
            button: "Send the link",
            code: "",
            inputs: &[EMAIL],
            errors: Errors::default(),
        }
    }

    fn reset(frame: Frame, code: &'a str) -> Self {
        Self {
            frame,
            heading: "Set a new password",
            lead: "All sessions end, so that only the new password counts.",
            action: "/account/reset",
            button: "Set password",
            code,
            inputs: &[NEW],
            errors: Errors::default(),
        }
    }

    fn change(frame: Frame) -> Self {
        Self {
            frame,
            heading: "Change password",
            lead: "You stay signed in here; all other sessions end.",
            action: "/account/password",
            button: "Change password",
            code: "",
            inputs: &[CURRENT, NEW],
            errors: Errors::default(),
        }
    }
}

/// GET /account/forgot
pub(crate) async fn forgot_form(State(console): State<Console>, visit: Visit) -> Response {
    render(&visit, StatusCode::OK, &ConfirmPage::forgot(visit.frame(&console, "forgot")))
}

/// POST /account/forgot
pub(crate) async fn forgot(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    let mut errors = Errors::default();
    let frame = form.visit.frame(&console, "forgot");
    let Some(email) = form.parse("email", &mut errors) else {
        return Ok(render(
            &form.visit,
            StatusCode::BAD_REQUEST,
            &ConfirmPage { errors, ..ConfirmPage::forgot(frame) },
        ));
    };
    console.identity.forgot_password(&email, &form.visit.meta).await?;
    let page = MessagePage {
        frame,
        heading: "Check your mail",
        paragraphs: &[
            "If there is an account with this address, a link is on its way. It works for an hour.",
        ],
        link: "/account/sign-in",
        link_text: "To the sign-in",
    };
    Ok(render(&form.visit, StatusCode::OK, &page))
}

/// GET /account/reset?code=…
pub(crate) async fn reset_form(
    State(console): State<Console>,
    Query(link): Query<LinkCode>,
    visit: Visit,
) -> Response {
    render(&visit, StatusCode::OK, &ConfirmPage::reset(visit.frame(&console, "reset"), &link.code))
}

/// POST /account/reset
pub(crate) async fn reset(State(console): State<Console>, mut form: Submitted) -> Result<Response, Failure> {
    let password = form.secret("password");
    let code = form.text("code").to_owned();
    match console.identity.reset_password(&code, password, &form.visit.meta).await {
        Ok(()) => Ok(go("/account/sign-in?done=reset")),
        Err(error) => {
            let mut errors = Errors::default();
            let mut frame = form.visit.frame(&console, "reset");
            frame.notice = errors.take(&error);
            let page = ConfirmPage { errors, ..ConfirmPage::reset(frame, &code) };
            Ok(render_again(&form.visit, Some(&error.problem()), &page))
        }
    }
}

/// GET /account/password
pub(crate) async fn change_form(State(console): State<Console>, visit: Visit) -> Response {
    render(&visit, StatusCode::OK, &ConfirmPage::change(visit.frame(&console, "account")))
}

/// POST /account/password
pub(crate) async fn change(State(console): State<Console>, mut form: Submitted) -> Result<Response, Failure> {
    let (current, new) = (form.secret("current_password"), form.secret("password"));
    let account = form.visit.account()?;
    match console.identity.change_password(account, current, new, &form.visit.meta).await {
        Ok(()) => Ok(go("/account?done=password")),
        Err(error) => {
            let mut errors = Errors::default();
            let mut frame = form.visit.frame(&console, "account");
            if matches!(error, identity::Error::ReauthenticationRequired { .. }) {
                return Ok(go("/account/confirm?next=/account/password"));
            }
            frame.notice = if matches!(error, identity::Error::WrongCredentials) {
                errors.add("current_password", "This is not your current password.");
                None
            } else {
                errors.take(&error)
            };
            let page = ConfirmPage { errors, ..ConfirmPage::change(frame) };
            Ok(render_again(&form.visit, Some(&error.problem()), &page))
        }
    }
}
