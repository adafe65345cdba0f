//! What the pipeline proved about a request, for our own handlers.

use std::net::IpAddr;
use std::sync::Arc;

use base::{Id, kind};
use identity::{AccountCaller, Caller, RequestMeta};

use crate::Tether;

/// Who calls, from where, as which request. Stands in the extensions of every request that reaches one of our own
/// services; only the pipeline makes one, so having it means that authentication and authorization are done.
#[derive(Debug, Clone)]
pub struct Passed(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    caller: Caller,
    meta: RequestMeta,
    tls: bool,
    tether: Option<Tether>,
}

impl Passed {
    pub(crate) fn new(caller: Caller, meta: RequestMeta, tls: bool, tether: Option<Tether>) -> Self {
        Self(Arc::new(Facts { caller, meta, tls, tether }))
    }

    /// What an answer that lasts must hang on: end it when [`Tether::severed`] does. `None` where nothing was demanded
    /// of the caller, or the request is no GET.
    pub fn tether(&self) -> Option<&Tether> {
        self.0.tether.as_ref()
    }

    /// Who calls.
    pub fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// The person who calls, if signed in. On a route that demands it, always `Some`.
    pub fn account(&self) -> Option<&AccountCaller> {
        self.0.caller.account()
    }

    /// For access decisions.
    pub fn subject(&self) -> access::Subject {
        self.0.caller.subject()
    }

    /// What operations record about the request.
    pub fn meta(&self) -> &RequestMeta {
        &self.0.meta
    }

    /// Our id of the request.
    pub fn request_id(&self) -> Id<kind::Request> {
        self.0.meta.request
    }

    /// The client's true address.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.meta.address
    }

    /// The client's side of the way is encrypted.
    pub fn tls(&self) -> bool {
        self.0.tls
    }
}
