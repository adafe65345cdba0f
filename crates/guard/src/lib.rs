//! The request pipeline without sockets: one function, every stage typed.
//!
//! A request comes in as a [`Connection`] and an [`http::Request`], leaves as a response. In between stands the
//! list of stages that [`Guard::handle`] walks through; each takes the proof of the one before, so that
//! leaving one out does not compile. What lies behind is a [`Service`].
//!
//! This crate opens no socket, reads no environment and knows no web framework. Bodies stream through; nothing
//! is read whole.

mod body;
mod config;
mod endpoint;
mod guard;
mod hosts;
mod limits;
mod refusal;
mod routes;
mod template;

pub use body::{Body, BodyError, BoxedBody};
pub use config::{CorsConfig, ForwardedHeader, GuardConfig, GuardError, HeadConfig};
pub use endpoint::{Endpoint, OWN_BODY, Surface};
pub use guard::{Connection, Guard, Parts, Service, Shaped};
pub use limits::{EndpointLimit, LimitsConfig, NetworkLimit, RateClass, TierLimits, WindowLimits};
pub use refusal::{Refusal, Stage};
pub use routes::{Inspect, RESERVED, Route, RouteConfig, RouteTable, Target, Timeouts, Upstream};
