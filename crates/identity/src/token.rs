//! Access tokens (RFC 9068): who, which session, for whom, until when, and nothing else.

use base::{Id, Secret, Timestamp, kind};
use crypto::jws::{TokenError, VerifyingKeys};
use crypto::{jwe, jws};
use keys::KeyUse;
use serde::{Deserialize, Serialize};

use crate::service::Inner;
use crate::{EncryptedAudience, Error};

/// `typ` of the header.
pub(crate) const TYPE: &str = "at+jwt";
/// The first-party client; others come with the OAuth provider.
const CLIENT: &str = "fortissimo";
/// What the token is good for: everything its account may do. What that is, the gateway decides at each request.
const SCOPE: &str = "account";

/// The claims. No address, name, role or permission: they would leak and be stale.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    pub(crate) sub: Id<kind::Account>,
    pub(crate) sid: Id<kind::Session>,
    jti: Id<kind::Token>,
    scope: String,
    client_id: String,
    iat: i64,
    pub(crate) exp: i64,
}

impl Inner {
    /// Signs (and for some audiences encrypts) a token.
    pub(crate) fn access_token(
        &self,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
        audience: Option<&str>,
        not_after: Timestamp,
    ) -> Result<(Secret<String>, u32), Error> {
        let now = self.now();
        let audience = audience.unwrap_or(&self.settings.audience);
        // A token never outlives its session.
        let lifetime_s = self.settings.access_token_ttl_ms.min(not_after.since_ms(now)).max(0) / 1000;
        let claims = Claims {
            iss: self.settings.issuer.clone(),
            aud: audience.to_owned(),
            sub: account,
            sid: session,
            jti: Id::new(&self.clock, &self.entropy),
            scope: SCOPE.to_owned(),
            client_id: CLIENT.to_owned(),
            iat: now.as_secs(),
            exp: now.as_secs() + lifetime_s,
        };
        let signer = self.keys.signer(KeyUse::AccessToken);
        let signed = signer.sign(TYPE, &claims);
        let token = match self.encryption(audience) {
            None => signed,
            Some(encrypted) => jwe::encrypt(&encrypted.key, &signed, &self.entropy),
        };
        Ok((Secret::new(token), u32::try_from(lifetime_s).unwrap_or(0)))
    }

    /// Verifies a token that is meant for our own gateway.
    pub(crate) fn verify_token(&self, verifying: &VerifyingKeys, token: &str) -> Result<Claims, Error> {
        let opened;
        let signed = match self.encryption(&self.settings.audience) {
            None => token,
            // Where tokens for us are encrypted, a bare one is refused: it did not come from us in this form.
            Some(encrypted) => {
                opened = jwe::decrypt(&encrypted.key, token)
                    .map_err(|_| Error::InvalidToken("not-decryptable"))?;
                &opened
            }
        };
        let expected = jws::Expected {
            typ: TYPE,
            issuer: &self.settings.issuer,
            audience: &self.settings.audience,
            now: self.now(),
            // For `iat` of another node whose clock is ahead; `exp` is checked to the second by the caller.
            leeway_s: 5,
        };
        verifying.verify(signed, &expected).map_err(reason)
    }

    fn encryption(&self, audience: &str) -> Option<&EncryptedAudience> {
        self.settings.encrypted_audiences.iter().find(|encrypted| encrypted.audience == audience)
    }

    /// Whether tokens can be issued for this audience.
    pub(crate) fn knows_audience(&self, audience: &str) -> bool {
        audience == self.settings.audience || self.encryption(audience).is_some()
    }
}

/// The fault's stable name, for events: attackers produce them, operators search for them.
const fn reason(error: TokenError) -> Error {
    Error::InvalidToken(match error {
        TokenError::TooLong => "too-long",
        TokenError::Malformed(_) => "malformed",
        TokenError::AlgorithmNotAllowed => "algorithm-not-allowed",
        TokenError::UnknownKey => "unknown-key",
        TokenError::WrongType => "wrong-type",
        TokenError::BadSignature => "bad-signature",
        TokenError::WrongIssuer => "wrong-issuer",
        TokenError::WrongAudience => "wrong-audience",
        TokenError::Expired => "expired",
        TokenError::NotYetValid => "not-yet-valid",
        TokenError::IssuedInFuture => "issued-in-future",
        TokenError::UnexpectedClaims => "unexpected-claims",
    })
}
