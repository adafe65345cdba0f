//! What is known about one request so far: the part that `finish` needs even if a stage refuses.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Agent, PathText, Place, RequestInfo, Stages, Threat};
use base::{Id, Language, Timestamp, kind};
use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use identity::Caller;

use crate::body::Cut;
use crate::refusal::Stage;
use crate::stages::throttle::Reading;
use crate::{Body, Connection, Route, cookies};

/// The running account of one request.
pub struct Exchange {
    pub(crate) connection: Connection,
    pub(crate) id: Id<kind::Request>,
    /// The id as text, made once: it goes into the answer, the problem document and to the upstream.
    pub(crate) id_text: HeaderValue,
    pub(crate) at: Timestamp,
    pub(crate) started: Instant,
    pub(crate) method: Method,
    pub(crate) agent: Option<Agent>,
    pub(crate) path: Option<PathText>,
    pub(crate) wants_page: bool,
    /// What a refusal is said in; looked at only for pages.
    pub(crate) language: Language,
    pub(crate) bytes_in: u64,
    /// The client's true address and whether its side is encrypted; the peer's until `client` has looked.
    pub(crate) address: IpAddr,
    pub(crate) tls: bool,
    /// How long a packet takes to the client and back, where nothing of ours stands in between.
    pub(crate) round_trip: Option<Duration>,
    /// Where that address lies, if the operator has a location file that knows it.
    pub(crate) place: Option<Place>,
    /// What the assessment of the content came to; `None` until and unless it was looked at.
    pub(crate) threat: Option<Threat>,
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) caller: Caller,
    pub(crate) cors_origin: Option<HeaderValue>,
    pub(crate) reading: Option<Reading>,
    pub(crate) cut: Cut,
    pub(crate) stages: Stages,
    /// An upstream of this name was asked.
    pub(crate) upstream: Option<Arc<str>>,
    /// The request has its line in the audit trail (or must not have one).
    pub(crate) recorded: bool,
}

impl Exchange {
    pub(crate) fn new(
        connection: Connection,
        request: &Request<Body>,
        id: Id<kind::Request>,
        at: Timestamp,
    ) -> Self {
        let mut text = [0; 36];
        let text = id.uuid().hyphenated().encode_lower(&mut text);
        let headers = request.headers();
        let wants_page = wants_page(request.method(), headers);
        Self {
            connection,
            id,
            id_text: HeaderValue::from_str(text).expect("a UUID is a header value"),
            at,
            started: Instant::now(),
            method: request.method().clone(),
            agent: headers
                .get(USER_AGENT)
                .map(|value| Agent::new(&String::from_utf8_lossy(value.as_bytes()))),
            path: None,
            wants_page,
            language: if wants_page { cookies::language(headers) } else { None }.unwrap_or_default(),
            bytes_in: 0,
            address: connection.peer.ip().to_canonical(),
            tls: connection.tls,
            round_trip: None,
            place: None,
            threat: None,
            route: None,
            caller: Caller::Anonymous,
            cors_origin: None,
            reading: None,
            cut: Cut::default(),
            stages: Stages::new(),
            upstream: None,
            recorded: false,
        }
    }

    /// Notes a stage's decision for the record.
    pub(crate) fn note(&mut self, stage: Stage, code: &'static str) {
        self.stages.set(stage.recorded_as(), code);
    }

    /// The request as events see it.
    pub(crate) fn request_info(&self) -> RequestInfo {
        let mut info = RequestInfo::new(self.id);
        info.address = Some(self.address);
        info.agent = self.agent.clone();
        info.method = Some(self.method.as_str().into());
        info.route = self.route.as_ref().map(|route| Arc::clone(route.name()));
        info.path = self.path.clone();
        info.tier = self.caller.account().map(|caller| caller.tier.as_str());
        info.place = self.place;
        info.threat = self.threat.clone();
        info
    }

    pub(crate) fn id_str(&self) -> &str {
        self.id_text.to_str().unwrap_or_default()
    }
}

/// A browser that opens a page, rather than a script or program that calls.
fn wants_page(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::POST)
        && headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"))
}
