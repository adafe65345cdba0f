//! What happens right now: the latest events, and a stream that keeps the list fresh.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use askama::Template;
use audit::{Filter, Record, RequestInfo};
use axum::extract::State;
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use http::StatusCode;

use crate::Console;
use crate::events::searcher;
use crate::page::{Failure, Frame, render};
use crate::view::{EventRow, filters};
use crate::visit::Visit;

const SHOWN: usize = 50;

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
/// session or right ending, however much happens meanwhile; the browser then reconnects and is refused.
pub(crate) async fn stream(
    State(console): State<Console>,
    visit: Visit,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let caller = visit.account()?.clone();
    let watching = audit::Event::AuditSearched { by: vec!["live"], results: 0 };
    let record = Record::new(console.clock.now(), watching)
        .by_account(caller.account)
        .during(RequestInfo::new(visit.meta.request));
    console.audit.record_durable(record).await?;
    // The route demands a right, so that the pipeline gave one.
    let tether = visit.tether.clone().ok_or_else(Failure::outside_pipeline)?;
    let reader = Reader { subscription: console.audit.subscribe(), severed: Box::pin(tether.severed()) };
    let events = futures_util::stream::unfold(reader, |mut reader| async move {
        tokio::select! {
            // First, so that a flood of events cannot keep a stream open.
            biased;
            _ = &mut reader.severed => None,
            entry = reader.subscription.next() => {
                let event = Event::default().event("audit").json_data(EventRow::of(&*entry?)).ok()?;
                Some((Ok(event), reader))
            }
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// An open stream.
struct Reader {
    subscription: audit::Subscription,
    /// Ends when the operator's session or right does.
    severed: Pin<Box<dyn Future<Output = &'static str> + Send>>,
}
