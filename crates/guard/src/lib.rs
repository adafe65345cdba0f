//! The request pipeline without sockets: one function, every stage typed.
//!
//! A request comes in as a [`Connection`] and an [`http::Request`], leaves as a response. In between stands the
//! list of stages that [`Guard::handle`] walks through; each takes the proof of the one before, so that
//! leaving one out does not compile. What lies behind is a [`Service`]: the gateway's proxy, our own routers.
//!
//! ```no_run
//! use guard::{Body, Connection, Guard, GuardConfig, Refusal, Service, Shaped};
//!
//! struct Hello;
//! impl Service for Hello {
//!     async fn call(&self, request: Shaped) -> Result<http::Response<Body>, Refusal> {
//!         Ok(http::Response::new(format!("you asked for {}", request.request().uri()).into()))
//!     }
//! }
//!
//! # async fn example(parts: guard::Parts) -> Result<(), Box<dyn std::error::Error>> {
//! let guard = Guard::new(GuardConfig::new("http://localhost:8080"), parts)?;
//! let connection = Connection { peer: "192.0.2.1:1234".parse()?, tls: false, round_trip: None };
//! let request = http::Request::get("/tracks").header("host", "localhost:8080").body(Body::Empty)?;
//! let response = guard.handle(connection, request, &Hello).await;
//! assert_eq!(response.status(), 404); // no route yet; in the shape of RFC 9457, with a request id
//! # Ok(()) }
//! ```
//!
//! This crate opens no socket, reads no environment and knows no web framework. Bodies stream through; nothing
//! is read whole. It does not authenticate, decide or record by itself: that is `identity`, `access` and `audit`.

mod assertion;
mod body;
mod config;
mod cookies;
mod endpoint;
mod exchange;
mod guard;
mod headers;
mod hosts;
pub mod limiter;
mod limits;
mod locate;
mod measure;
mod passed;
pub mod pipeline;
mod refusal;
mod routes;
mod sip;
#[doc(hidden)]
pub mod stages;
mod strip;
mod template;
mod tether;
mod vouched;

pub use assertion::{ASSERTION_HEADER, ASSERTION_TYPE};
pub use body::{Body, BodyError, BoxedBody};
pub use config::{CorsConfig, ForwardedHeader, GuardConfig, GuardError, HeadConfig};
pub use cookies::{CHALLENGE_COOKIE, DEVICE_COOKIE, LANGUAGE_COOKIE, SESSION_COOKIE};
pub use endpoint::{Endpoint, OWN_BODY, Surface};
#[doc(hidden)]
pub use exchange::Exchange;
#[doc(hidden)]
pub use guard::Pipeline;
pub use guard::{Connection, Guard, Parts, Service};
pub use headers::secure_own;
pub use identity::{AccountCaller, Caller, RequestMeta};
pub use limits::{EndpointLimit, LimitsConfig, NetworkLimit, RateClass, TierLimits, WindowLimits};
pub use locate::Locate;
pub use passed::Passed;
pub use refusal::{Refusal, Stage};
pub use routes::{Inspect, RESERVED, Route, RouteConfig, RouteTable, Target, Timeouts, Upstream};
pub use stages::shape::Shaped;
pub use strip::{is_websocket, strip_hop_by_hop};
pub use tether::Tether;
pub use vouched::{FORGET_HEADER, REGISTER_HEADER};
