//! Closing one's own account, and taking that back.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use base::Username;
use http::StatusCode;
use identity::Error;

use crate::Console;
use crate::form::{Errors, Submitted};
use crate::page::{Failure, Frame, go, render, render_again};
use crate::recovery::{ConfirmPage, LinkCode};
use crate::sharing::{asker, place, settle};
use crate::visit::Visit;

/// The page that asks for the factors again.
const AGAIN: &str = "/account/confirm?next=/account/close";

#[derive(Template)]
#[template(path = "close.html")]
struct ClosePage {
    frame: Frame,
    /// What nobody would have any more, each with its page.
    owned: Vec<(String, String)>,
    /// There is more than that.
    more: bool,
    errors: Errors,
}

impl ClosePage {
    async fn of(console: &Console, visit: &Visit, errors: Errors) -> Result<Self, Failure> {
        let found = console.relations.owned(&asker(visit), None).await;
        let (owned, next) = settle(console, visit, found).await?;
        let owned = owned.iter().map(|one| (one.resource.to_string(), place(&one.resource))).collect();
        Ok(Self { frame: visit.frame(console, "account"), owned, more: next.is_some(), errors })
    }
}

/// GET /account/close
pub(crate) async fn form(State(console): State<Console>, visit: Visit) -> Result<Response, Failure> {
    match console.identity.must_be_fresh(visit.account()?).await {
        Ok(()) => {
            let page = ClosePage::of(&console, &visit, Errors::default()).await?;
            Ok(render(&visit, StatusCode::OK, &page))
        }
        Err(Error::ReauthenticationRequired { .. }) => Ok(go(AGAIN)),
        Err(error) => Err(error.into()),
    }
}

/// POST /account/close
pub(crate) async fn close(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    let mut errors = Errors::default();
    let (mut notice, mut refused) = (None, None);
    if let Some(username) = form.parse::<Username>("username", &mut errors) {
        let closed = console.identity.close_account(form.visit.account()?, &username, &form.visit.meta).await;
        match closed {
            Ok(_) => return Ok(go("/account/sign-in?done=closed")),
            Err(Error::ReauthenticationRequired { .. }) => return Ok(go(AGAIN)),
            Err(error) => {
                refused = Some(error.problem());
                notice = errors.take(&error);
            }
        }
    }
    let mut page = ClosePage::of(&console, &form.visit, errors).await?;
    page.frame.notice = notice.or(page.frame.notice);
    Ok(render_again(&form.visit, refused.as_ref(), &page))
}

/// GET /account/reopen?code=… shows a button: programs that only look at links must not use them up.
pub(crate) async fn reopen_form(
    State(console): State<Console>,
    Query(link): Query<LinkCode>,
    visit: Visit,
) -> Response {
    render(&visit, StatusCode::OK, &ConfirmPage::reopen(visit.frame(&console, "reopen"), &link.code))
}

/// POST /account/reopen
pub(crate) async fn reopen(State(console): State<Console>, form: Submitted) -> Result<Response, Failure> {
    console.identity.reopen_account(form.text("code"), &form.visit.meta).await?;
    Ok(go("/account/sign-in?done=reopened"))
}
