//! The stages of the pipeline, one file each: configuration, refusals, proof, tests.
//!
//! Every stage has the same shape: it takes the [`Pipeline`](crate::guard::Pipeline) (what is configured), the
//! [`Exchange`](crate::exchange::Exchange) (the running account) and the proof of the stage before, and gives its own
//! proof or stops. The proofs have private fields, so only the stage makes one.

pub mod admit;
pub mod assess;
pub mod authenticate;
pub mod authorize;
pub mod client;
pub mod finish;
pub mod origin;
pub mod route;
pub mod serve;
pub mod shape;
pub mod throttle;

use http::Response;

use crate::{Body, Refusal};

/// Why the pipeline ends before the service.
#[derive(Debug)]
pub enum Stop {
    /// A stage refuses.
    Refused(Refusal),
    /// A stage has the answer itself (CORS preflight, the way to the sign-in page).
    Answered(Box<Response<Body>>),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
