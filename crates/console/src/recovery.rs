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

const EMAIL: Input = Input { name: "email", label: "email", kind: "email", autocomplete: "email", hint: "" };
/// The password of an attempt to sign up.
const CHOSEN: Input = Input {
    name: "password",
    label: "password",
    kind: "password",
    autocomplete: "current-password",
    hint: "verify-password-hint",
};
const CURRENT: Input = Input {
    name: "current_password",
    label: "current-password",
    kind: "password",
    autocomplete: "current-password",
    hint: "",
};
const NEW: Input = Input {
    name: "password",
    label: "new-password",
    kind: "password",
    autocomplete: "new-password",
    hint: "new-password-hint",
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
            heading: "verify-heading",
            lead: "verify-lead",
            action: "/account/verify",
            button: "verify-button",
            code,
            inputs: &[CHOSEN],
            errors: Errors::default(),
        }
    }

    pub(crate) fn new_email(frame: Frame) -> Self {
        Self {
            frame,
            heading: "email-heading",
            lead: "email-lead",
            action: "/account/security/email",
            button: "send-link",
            code: "",
            inputs: &[EMAIL],
            errors: Errors::default(),
        }
    }

    pub(crate) fn confirm_email(frame: Frame, code: &'a str) -> Self {
        Self {
            frame,
            heading: "email-confirm-heading",
            lead: "email-confirm-lead",
            action: "/account/email",
            button: "email-confirm-button",
            code,
            inputs: &[],
            errors: Errors::default(),
        }
    }

    pub(crate) fn reopen(frame: Frame, code: &'a str) -> Self {
        Self {
            frame,
            heading: "reopen-heading",
            lead: "reopen-lead",
            action: "/account/reopen",
            button: "reopen-button",
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
            heading: "forgot-question",
            lead: "forgot-lead",
            action: "/account/forgot",
            button: "send-link",
            code: "",
            inputs: &[EMAIL],
            errors: Errors::default(),
        }
    }

    fn reset(frame: Frame, code: &'a str) -> Self {
        Self {
            frame,
            heading: "reset-heading",
            lead: "reset-lead",
            action: "/account/reset",
            button: "reset-button",
            code,
            inputs: &[NEW],
            errors: Errors::default(),
        }
    }

    fn change(frame: Frame) -> Self {
        Self {
            frame,
            heading: "change-heading",
            lead: "change-lead",
            action: "/account/password",
            button: "change-heading",
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
        heading: "check-mail",
        paragraphs: &["check-mail-forgot"],
        link: "/account/sign-in",
        link_text: "to-sign-in",
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
