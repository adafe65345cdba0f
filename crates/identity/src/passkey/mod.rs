//! Passkeys (AUTH-8, WebAuthn Level 3): discoverable, with user verification, as the only factor or as the second one.
//!
//! The protocol is webauthn-rs's: origins, challenge, flags, signature. Here is what a deployment adds: which ceremony
//! belongs to whom, that an answer counts once, which account a credential opens, and what a counter that goes back means.

mod ceremony;
mod register;
mod sign_in;
mod stored;
mod upgrade;

use std::time::Duration;

use base::Secret;
use serde_json::Value;
use webauthn_rs::prelude::Url;
use webauthn_rs::{Webauthn, WebauthnBuilder};
use webauthn_rs_core::WebauthnCore;

use crate::service::Inner;
use crate::{Error, Settings};

pub use register::NewPasskey;
pub use sign_in::PasskeyPurpose;

/// What the browser is asked, and under which name the answer comes back.
pub struct PasskeyQuestion {
    /// Opaque; goes back with the answer. Once, within five minutes.
    pub ceremony: Secret<String>,
    /// The argument of `navigator.credentials.create` or `get`, in WebAuthn's JSON form.
    pub options: Value,
    /// Seconds until it ends.
    pub expires_in_s: u32,
}

/// What the browser needs to tell its authenticators which passkeys still count (the signal methods of WebAuthn).
pub struct PasskeySignal {
    /// Relying party id.
    pub rp_id: String,
    /// The account's user handle, base64url.
    pub user_id: String,
    /// The credential ids that still count, base64url.
    pub credential_ids: Vec<String>,
    /// The name as authenticators show it.
    pub name: String,
}

/// The relying party: the library's safe door, and its core for the one ceremony that the door does not have.
pub(crate) struct RelyingParty {
    safe: Webauthn,
    core: WebauthnCore,
}

/// A browser may take this long.
const TIMEOUT: Duration = Duration::from_millis(ceremony::TTL_MS.unsigned_abs());

const WRONG: Error = Error::Settings("the public URL and related origins must be URLs with a host");

/// The relying party: its id is the host that people see, its origins are exact. `None` where the public URL has no
/// name but an address, for which browsers know no passkeys.
pub(crate) fn relying_party(settings: &Settings) -> Result<Option<RelyingParty>, Error> {
    let origin = Url::parse(&settings.public_url).map_err(|_| WRONG)?;
    if origin.domain().is_none() {
        tracing::info!("passkeys are not offered, because the public URL has an address instead of a name");
        return Ok(None);
    }
    let rp_id = rp_id(settings)?;
    let mut builder = WebauthnBuilder::new(&rp_id, &origin).map_err(|error| {
        tracing::error!(%error, rp_id, "passkeys cannot be offered for this public URL");
        WRONG
    })?;
    let related: Vec<Url> = settings
        .passkey_related_origins
        .iter()
        .map(|origin| Url::parse(origin).map_err(|_| WRONG))
        .collect::<Result<_, _>>()?;
    for origin in &related {
        builder = builder.append_allowed_origin(origin);
    }
    let safe = builder.rp_name(&settings.product).build().map_err(|_| WRONG)?;
    // The very origins of the safe door, as exact as there.
    let origins = safe.get_allowed_origins().to_vec();
    let core = WebauthnCore::new_unsafe_experts_only(
        &settings.product,
        &rp_id,
        origins,
        TIMEOUT,
        Some(false),
        Some(false),
    );
    Ok(Some(RelyingParty { safe, core }))
}

impl Inner {
    /// The relying party, where passkeys can be offered.
    pub(crate) fn relying_party(&self) -> Result<&Webauthn, Error> {
        Ok(&self.offered()?.safe)
    }

    fn offered(&self) -> Result<&RelyingParty, Error> {
        self.webauthn
            .as_ref()
            .ok_or(Error::Conflict("Passkeys need a public URL with a host name; this one has an address."))
    }
}

/// The relying party id: the host of the public URL, or a domain that it lies in.
pub(crate) fn rp_id(settings: &Settings) -> Result<String, Error> {
    let origin = Url::parse(&settings.public_url).map_err(|_| WRONG)?;
    let host = origin.host_str().ok_or(WRONG)?.to_owned();
    Ok(settings.passkey_rp_id.clone().unwrap_or(host))
}
