//! The page behind the link of a mail about a sign-in: it was me, or it was not (AUTH-10).
//!
//! Opening it changes nothing, because mail scanners open links; only its buttons do.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use identity::Answer;

use crate::Console;
use crate::form::Submitted;
use crate::page::{Failure, Frame, MessagePage, go, render};
use crate::recovery::LinkCode;
use crate::view::filters;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "sign_in_notice.html")]
struct NoticePage<'a> {
    frame: Frame,
    code: &'a str,
    /// Somebody waits to be let in; otherwise somebody is in.
    waiting: bool,
    at: String,
}

/// GET /account/sign-in-notice?code=…
pub(crate) async fn form(
    State(console): State<Console>,
    Query(link): Query<LinkCode>,
    visit: Visit,
) -> Result<Response, Failure> {
    let notice = console.identity.sign_in_notice(&link.code).await?;
    let frame = visit.frame(&console, "sign-in");
    let page = NoticePage { frame, code: &link.code, waiting: notice.waiting, at: notice.at.to_rfc3339() };
    Ok(render(&visit, StatusCode::OK, &page))
}

/// POST /account/sign-in-notice
pub(crate) async fn answer(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    let mine = match form.text("answer") {
        "mine" => true,
        "not-mine" => false,
        _ => return Err(base::Problem::invalid("/answer", "must be mine or not-mine").into()),
    };
    let answer = console.identity.answer_sign_in(form.text("code"), mine, &form.visit.meta).await?;
    let paragraph = match answer {
        Answer::Confirmed => "notice-confirmed",
        Answer::Noted => "notice-noted",
        // The password counts no more, so the way goes on to a new one.
        Answer::Disowned { reset_code } => {
            return Ok(go(&format!("/account/reset?done=disowned&code={}", reset_code.expose())));
        }
    };
    let page = MessagePage {
        frame: form.visit.frame(&console, "sign-in"),
        heading: "thank-you",
        paragraphs: &[paragraph],
        link: "/account/sign-in",
        link_text: "to-sign-in",
    };
    Ok(render(&form.visit, StatusCode::OK, &page))
}
