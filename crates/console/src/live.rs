//! What happens right now: the latest events, and a stream that keeps the list fresh.

use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use audit::Filter;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::Response;
use futures_util::Stream;
use guard::SESSION_COOKIE;
use http::{StatusCode, request::Parts};

use crate::Console;
use crate::events::searcher;
use crate::page::{Failure, Frame, render};
use crate::view::{EventRow, filters};
use crate::visit::{Visit, cookie};

const SHOWN: usize = 50;
/// How often an open stream asks whether its session still lives.
const RECHECK: Duration = Duration::from_secs(1);

#[derive(Template)]
#[template(path = "live.html")]
struct LivePage {
    frame: Frame,
    figures: Vec<Figure>,
    events: Vec<EventRow>,
}

struct Figure {
    value: String,
    label: &'static str,
}

/// GET /console
pub(crate) async fn page(State(console): State<Console>, visit: Visit) -> Result<Response, Failure> {
    let found = console.audit.search(&searcher(&visit), &Filter::default(), None, SHOWN).await?;
    let health = console.audit.health();
    let denied = found.entries.iter().filter(|entry| entry.outcome == "denied").count();
    let figure = |value: String, label| Figure { value, label };
    let page = LivePage {
        frame: visit.frame(&console, "live"),
        figures: vec![
            figure(if health.writable { "writing" } else { "failing" }.to_owned(), "audit trail"),
            figure(health.queued.to_string(), "events waiting to be written"),
            figure(health.dropped.to_string(), "traffic lines lost since start"),
            figure(denied.to_string(), "refusals among the latest events"),
        ],
        events: found.entries.iter().map(EventRow::of).collect(),
    };
    Ok(render(&visit, StatusCode::OK, &page))
}

/// GET /console/events/stream: server-sent events, one per audit event. Ends within a second of the operator's
/// session ending; the browser then reconnects and is refused.
pub(crate) async fn stream(
    State(console): State<Console>,
    parts: Parts,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    struct Reader {
        subscription: audit::Subscription,
        console: Console,
        cookie: Option<String>,
    }
    let reader = Reader { subscription: console.audit.subscribe(), cookie: cookie(&parts, SESSION_COOKIE), console };
    let events = futures_util::stream::unfold(reader, |mut reader| async move {
        loop {
            match tokio::time::timeout(RECHECK, reader.subscription.next()).await {
                Ok(None) => return None,
                Ok(Some(entry)) => {
                    let event = Event::default().event("audit").json_data(EventRow::of(&entry)).ok()?;
                    return Some((Ok(event), reader));
                }
                Err(_) => still_allowed(&reader.console, reader.cookie.as_deref()).await.then_some(())?,
            }
        }
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

/// Streams opened with a bearer token end with their connection; browsers are asked again and again.
async fn still_allowed(console: &Console, cookie: Option<&str>) -> bool {
    let Some(value) = cookie else { return true };
    match console.identity.authenticate_cookie(value).await {
        Ok(caller) => console.access.permit::<access::actions::SystemLogs>(&caller.subject()).is_ok(),
        Err(_) => false,
    }
}
