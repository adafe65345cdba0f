//! Signing in with an account at another identity provider (AUTH-9): OpenID Connect Core 1.0 and OAuth 2 by
//! configuration, authorization code with PKCE (RFC 7636), state, nonce and the `iss` parameter (RFC 9207).
//!
//! Who somebody is, is (issuer, subject). An e-mail address only says where a *new* account may be reached, and only if
//! the provider has verified it and nobody has it here; it never opens an existing account. Linking is done by whoever
//! is signed in.

mod claims;
mod exchange;
mod flow;
mod links;
mod remote;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base::Secret;
use outbound::{Outbound, Tls};

use crate::Error;

pub use flow::{ProviderAnswer, ProviderOutcome, ProviderPurpose, ProviderStart};
pub use links::ProviderLink;
use remote::Remote;

/// For one exchange with a provider.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Metadata, keys, tokens and profiles are smaller.
const MAX_ANSWER: usize = 256 * 1024;

/// One provider, as configured.
#[derive(Clone)]
pub struct ProviderConfig {
    /// Its name in URLs: lower-case letters, digits, `-`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// How it speaks.
    pub protocol: ProviderProtocol,
    /// Our id there.
    pub client_id: String,
    /// Our secret there; `None` for a public client.
    pub client_secret: Option<Arc<Secret<String>>>,
    /// What to ask for; `openid` is added for OpenID Connect.
    pub scopes: Vec<String>,
    /// PEM of a private authority that signs its certificate; `None`: the system's.
    pub ca_pem: Option<Vec<u8>>,
}

/// How a provider speaks.
#[derive(Debug, Clone)]
pub enum ProviderProtocol {
    /// OpenID Connect with discovery.
    OpenIdConnect {
        /// The issuer, exactly as its metadata says it.
        issuer: String,
    },
    /// OAuth 2 with a profile endpoint.
    OAuth2 {
        /// A stable name for the identity key; usually the provider's origin.
        issuer: String,
        /// Authorization endpoint.
        authorize_url: String,
        /// Token endpoint.
        token_url: String,
        /// Where the profile is read with the access token (JSON).
        profile_url: String,
        /// The profile's field that never changes for an account there.
        subject_field: String,
        /// The profile's field with the address.
        email_field: Option<String>,
        /// The profile's field that says (`true`) that the address was verified. Without it no address counts as verified.
        verified_field: Option<String>,
    },
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderConfig({}, {:?})", self.id, self.protocol)
    }
}

/// Why a sign-in with a provider came to nothing. The words are for the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProviderFault {
    /// The provider cannot be reached or does not answer as it must.
    #[error("the provider does not answer as it should; try again in a moment")]
    Unavailable,
    /// The person or the provider said no.
    #[error("the provider did not sign you in")]
    Declined,
    /// The answer does not belong to a way that this browser began, or came too late or twice.
    #[error("this sign-in was not begun in this browser, was used already, or took too long; start again")]
    UnknownFlow,
    /// The answer is not authentic.
    #[error("the provider's answer is not authentic")]
    NotAuthentic,
    /// Somebody was to prove once more that it is them, and the provider did not ask them.
    #[error("the provider did not ask you to sign in again; sign out there and try once more")]
    NotFresh,
    /// Somebody was to prove once more that it is them, and somebody else came back.
    #[error("the account that you signed in with there is not linked to this one")]
    AnotherPerson,
    /// There is no account linked, and the provider vouches for no address to make one with.
    #[error(
        "no account here is linked to that one, and the provider vouches for no e-mail address; create an account first \
         and link the two under Security"
    )]
    NoAddress,
    /// There is no account linked, and somebody has the address here.
    #[error(
        "an account here has the same e-mail address; sign in to it as usual and link the two under Security"
    )]
    AddressTaken,
    /// The other account is linked to somebody else here.
    #[error("that account is linked to another account here already")]
    LinkedElsewhere,
}

impl ProviderFault {
    /// For the trail and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "provider-unavailable",
            Self::Declined => "provider-declined",
            Self::UnknownFlow => "provider-unknown-flow",
            Self::NotAuthentic => "provider-not-authentic",
            Self::NotFresh => "provider-not-fresh",
            Self::AnotherPerson => "provider-another-person",
            Self::NoAddress => "provider-no-address",
            Self::AddressTaken => "provider-address-taken",
            Self::LinkedElsewhere => "provider-linked-elsewhere",
        }
    }
}

/// A provider that can be spoken to.
pub(crate) struct Provider {
    pub(crate) config: ProviderConfig,
    remote: Remote,
}

impl Provider {
    pub(crate) fn open(config: ProviderConfig) -> Result<Self, Error> {
        let tls = Tls { ca_pem: config.ca_pem.clone(), client: None };
        let client = Outbound::new(&tls, TIMEOUT, MAX_ANSWER).map_err(|error| {
            tracing::error!(provider = config.id, %error, "a provider's certificate authority is not usable");
            Error::Settings("a provider's ca_file is not usable")
        })?;
        Ok(Self { config, remote: Remote::new(client) })
    }

    /// The issuer of the identity key.
    fn issuer(&self) -> &str {
        match &self.config.protocol {
            ProviderProtocol::OpenIdConnect { issuer } | ProviderProtocol::OAuth2 { issuer, .. } => issuer,
        }
    }
}
