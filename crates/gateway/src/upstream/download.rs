//! A response's body on its way to the client.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use guard::BodyError;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::link::{Link, Shelf};
use super::witness::Witness;

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
        Self { body, link, idle, timer: None, waiting: false, passed: 0, witness, _permit: permit }
    }

    fn broke_off(&self, why: &'static str) {
        metrics::counter!("fortissimo_upstream_broken_responses_total", "why" => why).increment(1);
        self.witness.closed("http", 0, self.passed, why);
    }
}

impl Drop for Download {
    /// A connection whose response was taken to its end can carry the next one; any other is closed.
    fn drop(&mut self) {
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
