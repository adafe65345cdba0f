//! A response's body on its way to the client.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use guard::{BodyError, Tether};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::link::{Link, Shelf};
use super::witness::Witness;

/// The protocol's name on record.
const EVENT_STREAM: &str = "event-stream";

/// Passes the upstream's bytes on; an upstream that breaks off or falls silent becomes an error, never an end.
pub(crate) struct Download {
    body: Incoming,
    /// The connection that brings it, and where that goes afterwards.
    link: Option<(Link, Arc<Shelf>)>,
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// The timer runs, since the upstream has nothing for us.
    waiting: bool,
    passed: u64,
    /// For an event stream: ends when the decision behind it does.
    severed: Option<Pin<Box<dyn Future<Output = &'static str> + Send>>>,
    /// An event stream, whose end is on record, however it comes.
    lasting: bool,
    /// Why it ended, if it did.
    ended: Option<&'static str>,
    witness: Witness,
    _permit: OwnedSemaphorePermit,
}

impl Download {
    pub(crate) fn new(
        body: Incoming,
        link: Option<(Link, Arc<Shelf>)>,
        idle: Duration,
        witness: Witness,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            body,
            link,
            idle,
            timer: None,
            waiting: false,
            passed: 0,
            severed: None,
            lasting: false,
            ended: None,
            witness,
            _permit: permit,
        }
    }

    /// For an event stream: its beginning and its end are on record, and it ends with the decision behind it.
    pub(crate) fn lasting(mut self, tether: Option<Tether>) -> Self {
        self.witness.opened(EVENT_STREAM);
        self.lasting = true;
        self.severed = tether.map(|tether| Box::pin(tether.severed()) as _);
        self
    }

    fn broke_off(&mut self, why: &'static str) {
        metrics::counter!("fortissimo_upstream_broken_responses_total", "why" => why).increment(1);
        self.ended = Some(why);
        if !self.lasting {
            self.witness.closed("http", 0, self.passed, why);
        }
    }
}

impl Drop for Download {
    /// A connection whose response was taken to its end can carry the next one; any other is closed.
    fn drop(&mut self) {
        if self.lasting {
            self.witness.closed(EVENT_STREAM, 0, self.passed, self.ended.unwrap_or("closed"));
        }
        if let Some((link, shelf)) = self.link.take()
            && http_body::Body::is_end_stream(&self.body)
        {
            shelf.put(link);
        }
    }
}

impl http_body::Body for Download {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        // First, so that a flood of events cannot keep a stream open.
        if let Some(severed) = &mut this.severed
            && let Poll::Ready(reason) = severed.as_mut().poll(cx)
        {
            this.ended = Some(reason);
            this.severed = None;
        }
        if this.ended.is_some() {
            // An end, not an error: browsers take it as "connect again", and are refused then.
            return Poll::Ready(None);
        }
        let mut polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_pending()
            && let Some((link, _)) = &mut this.link
        {
            // Nobody else brings the bytes.
            link.drive(cx);
            polled = Pin::new(&mut this.body).poll_frame(cx);
        }
        match polled {
            Poll::Ready(frame) => {
                this.waiting = false;
                if let Some(Ok(frame)) = &frame {
                    this.passed += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
                Poll::Ready(frame.map(|frame| {
                    frame.map_err(|error| {
                        this.broke_off("upstream_broke_off");
                        BodyError::broken(error)
                    })
                }))
            }
            Poll::Pending => {
                let idle = this.idle;
                let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
                if !std::mem::replace(&mut this.waiting, true) {
                    timer.as_mut().reset(Instant::now() + idle);
                }
                std::task::ready!(timer.as_mut().poll(cx));
                this.broke_off("upstream_silent");
                Poll::Ready(Some(Err(BodyError::broken("the upstream fell silent inside its response"))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
