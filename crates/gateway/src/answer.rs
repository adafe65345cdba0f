//! Between hyper and the handler: one request in, one response out, for both protocols.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base::{Clock, Entropy, Id, Problem, ProblemKind, kind};
use bytes::Bytes;
use futures_util::FutureExt;
use guard::{Body, BodyError, Connection};
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use crate::busy_poll::InFlight;
use crate::connection::{Malformed, Talk};
use crate::handler::Handler;
use crate::patience::Impatient;
use crate::{Limits, fields};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What all connections of a listener share.
pub(crate) struct Desk<H> {
    pub(crate) handler: H,
    pub(crate) limits: Arc<Limits>,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
}

impl<H: Handler> Desk<H> {
    /// Answers a request of HTTP/1; a stand-in for a malformed one with its problem.
    pub(crate) async fn http1(
        &self,
        on: Connection,
        talk: Arc<Talk>,
        request: Request<Incoming>,
    ) -> Response<Answer> {
        let malformed = talk.call();
        let counted = Counted(talk, InFlight::begin());
        match malformed {
            Some(malformed) => Answer::new(self.refuse(on, malformed), counted),
            None => {
                let mut response = self.serve(on, counted, request).await;
                if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    // What is left of the body will not be read. A client that keeps connections must know before its
                    // next request.
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
        }
    }

    /// Answers a request of HTTP/2, whose framing is beyond doubt; its head is not.
    pub(crate) async fn http2(
        &self,
        on: Connection,
        talk: Arc<Talk>,
        mut request: Request<Incoming>,
    ) -> Response<Answer> {
        talk.deliver();
        let counted = Counted(talk, InFlight::begin());
        match check_http2(&mut request, &self.limits) {
            Err(malformed) => Answer::new(self.refuse(on, malformed), counted),
            Ok(()) => self.serve(on, counted, request).await.map(|answer| self.not_for_ever(answer)),
        }
    }

    /// On HTTP/2 nothing else notices that a client takes nothing of this response.
    fn not_for_ever(&self, answer: Answer) -> Answer {
        if answer.body.is_end_stream() {
            return answer;
        }
        let Answer { body, counted } = answer;
        let patience = self.limits.write_stall_timeout;
        Answer { body: Body::Stream(Box::pin(Impatient::new(body, counted, patience))), counted: None }
    }

    async fn serve(
        &self,
        on: Connection,
        counted: Counted,
        mut request: Request<Incoming>,
    ) -> Response<Answer> {
        fields::detach(&mut request);
        let request = request.map(Body::stream);
        // A panic is our fault and must not look like the network's: the connection goes on.
        let response =
            AssertUnwindSafe(self.handler.handle(on, request)).catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!("a handler panicked; the request was answered with 500");
                self.problem(on, &Problem::new(ProblemKind::Internal))
            });
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            counted.0.upgrade();
        }
        Answer::new(response, counted)
    }

    fn refuse(&self, on: Connection, malformed: Malformed) -> Response<Body> {
        let Malformed { kind, detail } = malformed;
        metrics::counter!("fortissimo_malformed_requests_total", "problem" => kind.slug()).increment(1);
        tracing::debug!(problem = kind.slug(), detail, "refused a malformed request");
        self.problem(on, &Problem::new(kind).detail(detail))
    }

    /// A problem for a request that never reached the pipeline, with the fields that every answer has.
    fn problem(&self, on: Connection, problem: &Problem) -> Response<Body> {
        let id: Id<kind::Request> = Id::new(&self.clock, &self.entropy);
        let id = id.to_string();
        let mut response = Response::new(Body::from(problem.document(Some(&id))));
        *response.status_mut() =
            StatusCode::from_u16(problem.kind.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        guard::secure_own(fields, on.tls);
        if let Ok(id) = HeaderValue::try_from(id) {
            fields.insert(REQUEST_ID, id);
        }
        response
    }
}

/// What HTTP/1's reader checks and h2 does not: sizes, and that there is one host.
fn check_http2(request: &mut Request<Incoming>, limits: &Limits) -> Result<(), Malformed> {
    let bad = |detail| Malformed { kind: ProblemKind::MalformedRequest, detail };
    let size: usize = request.headers().iter().map(|(n, v)| n.as_str().len() + v.len() + 32).sum();
    if size > limits.head_bytes || request.headers().len() > limits.fields {
        return Err(Malformed { kind: ProblemKind::HeadTooLarge, detail: "The request head is too large." });
    }
    let uri = request.uri();
    if uri.path_and_query().is_some_and(|target| target.as_str().len() > limits.target_bytes) {
        return Err(Malformed {
            kind: ProblemKind::TargetTooLong,
            detail: "The request target is too long.",
        });
    }
    if *request.method() == Method::CONNECT || !uri.path().starts_with('/') {
        return Err(bad("The request target is not a path."));
    }
    let authority = uri.authority().map(|a| a.as_str().to_owned());
    let mut hosts = request.headers().get_all(HOST).iter();
    match (authority, hosts.next(), hosts.next()) {
        (_, _, Some(_)) => Err(bad("The field Host is there more than once.")),
        (Some(named), Some(host), None) if !host.as_bytes().eq_ignore_ascii_case(named.as_bytes()) => {
            Err(bad("The request target and the field Host name different hosts."))
        }
        (Some(named), None, None) => {
            let host = HeaderValue::try_from(named).map_err(|_| bad("The host is malformed."))?;
            request.headers_mut().insert(HOST, host);
            Ok(())
        }
        (None, None, None) => Err(bad("The host is missing.")),
        (_, Some(_), None) => Ok(()),
    }
}

/// Counts a request as in flight until dropped.
struct Counted(Arc<Talk>, InFlight);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.answer();
    }
}

/// A response's body on its way to the client. If it breaks off, so does the connection.
pub(crate) struct Answer {
    body: Body,
    /// `None` if the body itself holds it.
    counted: Option<Counted>,
}

impl Answer {
    fn new(response: Response<Body>, counted: Counted) -> Response<Self> {
        response.map(|body| Self { body, counted: Some(counted) })
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Err(error)) = &frame {
            tracing::debug!(%error, "a response broke off; its connection is aborted");
            if let Some(counted) = &self.counted {
                counted.0.abort();
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
