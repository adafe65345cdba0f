//! The order of everything (EDGE-2). This function is the only place that decides it.
//!
//! Each stage takes the proof that the one before gives, so a stage that is left out is a program that does not compile.
//! This compiles:
//!
//! ```
//! # use guard::stages::{self, Stop, authorize::Authorized, shape::Shaped};
//! # use guard::{Exchange, Pipeline};
//! fn tail(p: &Pipeline, x: &mut Exchange, authorized: Authorized) -> Result<Shaped, Stop> {
//!     let throttled = stages::throttle::throttle(p, x, authorized)?;
//!     let assessed = stages::assess::assess(p, x, throttled)?;
//!     stages::shape::shape(p, x, assessed)
//! }
//! ```
//!
//! The same without `assess` does not:
//!
//! ```compile_fail,E0308
//! # use guard::stages::{self, Stop, authorize::Authorized, shape::Shaped};
//! # use guard::{Exchange, Pipeline};
//! fn tail(p: &Pipeline, x: &mut Exchange, authorized: Authorized) -> Result<Shaped, Stop> {
//!     let throttled = stages::throttle::throttle(p, x, authorized)?;
//!     stages::shape::shape(p, x, throttled)
//! }
//! ```
//!
//! Nor can anybody make up a proof:
//!
//! ```compile_fail,E0451
//! # use guard::stages::{authorize::Authorized, authenticate::Authenticated};
//! fn pretend(authenticated: Authenticated) -> Authorized {
//!     let Authenticated { routed } = authenticated;
//!     Authorized { routed }
//! }
//! ```

use http::Request;

use crate::exchange::Exchange;
use crate::guard::Pipeline;
use crate::stages::Stop;
use crate::stages::admit::admit;
use crate::stages::assess::assess;
use crate::stages::authenticate::authenticate;
use crate::stages::authorize::authorize;
use crate::stages::client::client;
use crate::stages::origin::origin;
use crate::stages::route::route;
use crate::stages::serve::{Served, serve};
use crate::stages::shape::shape;
use crate::stages::throttle::throttle;
use crate::{Body, Service};

/// Leads a request through all stages. Whatever comes out goes through `finish`.
pub(crate) async fn run<S: Service>(
    pipeline: &Pipeline,
    exchange: &mut Exchange,
    request: Request<Body>,
    service: &S,
) -> Result<Served, Stop> {
    // First the cheapest questions, and those whose answers everything below relies on: one reading of the request.
    let admitted = admit(pipeline, exchange, request)?;
    // Before anything that costs: a flood must not reach signatures, policies or the database.
    let located = client(pipeline, exchange, admitted)?;
    // The route says what is demanded; without one there is nothing to protect.
    let routed = route(pipeline, exchange, located)?;
    // Before the cookie counts for anything: what another site made the browser send is not the person's will.
    let screened = origin(pipeline, exchange, routed)?;
    // Who, before may they.
    let authenticated = authenticate(pipeline, exchange, screened).await?;
    // Before the limits: a refusal must not use up what the person may still do.
    let authorized = authorize(pipeline, exchange, authenticated).await?;
    // After authentication, because limits belong to people, not to the addresses that they share.
    let throttled = throttle(pipeline, exchange, authorized)?;
    // Looking into content costs most, so only requests that are otherwise allowed get that far.
    let assessed = assess(pipeline, exchange, throttled)?;
    // Last before the service: only now are our own statements added, so nothing above can take them for the client's.
    let shaped = shape(pipeline, exchange, assessed)?;
    serve(pipeline, exchange, service, shaped).await
}
