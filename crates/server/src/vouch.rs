//! How the built-in example checks the gateway's assertion, as a real service does with the published keys.

use std::sync::{Arc, OnceLock};

use crypto::jws::Expected;
use gateway::example::{Verify, Vouched};
use keys::KeyUse;
use serde::Deserialize;

use crate::services::Services;

/// What the example reads of an assertion.
#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    role: Option<String>,
}

/// Gateway and example share a clock; this is for the test's moving one.
const LEEWAY_S: u32 = 5;

/// Where the example listens, known only after it was given its verifier.
pub(crate) type Audience = Arc<OnceLock<String>>;

/// Checks signature, issuer and audience with the keys that are valid at that time.
pub(crate) fn verifier(services: &Services, audience: Audience) -> Verify {
    let services = services.clone();
    Arc::new(move |assertion| {
        let issuer = services.config.public_url.to_string();
        let expected = Expected {
            typ: guard::ASSERTION_TYPE,
            issuer: &issuer,
            audience: audience.get()?,
            now: services.clock.now(),
            leeway_s: LEEWAY_S,
        };
        let claims: Claims = services.keys.verifying(KeyUse::Assertion).verify(assertion, &expected).ok()?;
        Some(Vouched { account: claims.sub?, role: claims.role })
    })
}
