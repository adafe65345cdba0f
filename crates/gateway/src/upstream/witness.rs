//! What is put on record after the pipeline has finished with a request.

use std::sync::Arc;

use audit::{Audit, Event, Outcome, Record, RequestInfo};
use base::{Clock, Id, kind};
use guard::{Route, Shaped};
use tokio::time::Instant;

/// Where it is recorded.
pub(crate) struct Trail {
    pub(crate) audit: Audit,
    pub(crate) clock: Clock,
}

/// Remembers whose request it was.
pub(crate) struct Witness {
    started: Instant,
    said: Option<Said>,
}

struct Said {
    trail: Arc<Trail>,
    request: Id<kind::Request>,
    method: http::Method,
    route: Arc<Route>,
    account: Option<Id<kind::Account>>,
}

impl Witness {
    pub(crate) fn new(trail: Option<Arc<Trail>>, shaped: &Shaped) -> Self {
        let said = trail.map(|trail| Said {
            trail,
            request: shaped.request_id(),
            method: shaped.request().method().clone(),
            route: shaped.route().clone(),
            account: shaped.caller().holder().map(|caller| caller.account),
        });
        Self { started: Instant::now(), said }
    }

    /// One that says nothing.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { started: Instant::now(), said: None }
    }

    /// A long-lived connection began.
    pub(crate) fn opened(&self, protocol: &'static str) {
        self.record(Event::ConnectionOpened { protocol, upstream: None }, Outcome::Success);
    }

    /// A connection ended: a long-lived one, or one whose response broke off.
    pub(crate) fn closed(&self, protocol: &'static str, bytes_in: u64, bytes_out: u64, reason: &'static str) {
        let duration_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let request = self.said.as_ref().map(|said| said.request.to_string()).unwrap_or_default();
        let outcome = match reason {
            "broken" | "upstream_broke_off" | "upstream_silent" => {
                tracing::warn!(request_id = request, protocol, reason, "a connection broke off");
                Outcome::Failure
            }
            "closed" | "idle" | "shutdown" => {
                tracing::debug!(request_id = request, protocol, reason, "a connection was closed");
                Outcome::Success
            }
            // The decision behind it no longer held.
            _ => {
                tracing::debug!(request_id = request, protocol, reason, "a connection was ended");
                Outcome::Denied
            }
        };
        let reason = reason.into();
        self.record(Event::ConnectionClosed { protocol, duration_us, bytes_in, bytes_out, reason }, outcome);
    }

    fn record(&self, event: Event, outcome: Outcome) {
        let Some(said) = &self.said else { return };
        let mut request = RequestInfo::new(said.request);
        request.method = Some(said.method.as_str().into());
        request.route = Some(said.route.template().into());
        let mut record = Record::new(said.trail.clock.now(), event).during(request).ended(outcome);
        if let Some(account) = said.account {
            record = record.by_account(account);
        }
        said.trail.audit.record(record);
    }
}
