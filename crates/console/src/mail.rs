//! The file outbox, for operators who have no SMTP server (yet).

use access::actions::UserAdmin;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use identity::ReadableLetter;

use crate::Console;
use crate::page::{Failure, Frame, render};
use crate::view::filters;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "mail.html")]
struct MailPage {
    frame: Frame,
    mails: Vec<MailRow>,
}

struct MailRow {
    id: String,
    at: String,
    kind: String,
    account: String,
}

#[derive(Template)]
#[template(path = "letter.html")]
struct LetterPage {
    frame: Frame,
    subject: String,
    to: String,
    text: String,
}

/// GET /console/mail
pub(crate) async fn list(State(console): State<Console>, visit: Visit) -> Result<Response, Failure> {
    let permit = console.access.permit::<UserAdmin>(&visit.caller.subject())?;
    let found = console.identity.outbox_list(permit).await?;
    let mails = found
        .into_iter()
        .map(|mail| MailRow {
            id: mail.id.to_string(),
            at: mail.created_at.to_rfc3339(),
            kind: mail.kind.replace('_', " "),
            account: mail.account.to_string(),
        })
        .collect();
    Ok(render(&visit, StatusCode::OK, &MailPage { frame: visit.frame(&console, "mail"), mails }))
}

/// GET /console/mail/{id}
pub(crate) async fn show(
    State(console): State<Console>,
    Path(id): Path<String>,
    visit: Visit,
) -> Result<Response, Failure> {
    let permit = console.access.permit::<UserAdmin>(&visit.caller.subject())?;
    let id = id.parse().map_err(|_| Failure::not_found())?;
    let message = console.identity.outbox_read(permit, id, &visit.meta).await?;
    let letter = ReadableLetter::decode(&message).ok_or_else(Failure::not_found)?;
    let page = LetterPage {
        frame: visit.frame(&console, "mail"),
        subject: letter.subject,
        to: letter.to.expose().clone(),
        text: letter.text.expose().clone(),
    };
    Ok(render(&visit, StatusCode::OK, &page))
}
