//! What a client is told on failure: problem details (RFC 9457) with stable types.

use serde::Serialize;

macro_rules! problem_kinds {
    ($($(#[$doc:meta])* $name:ident = $status:literal $slug:literal $title:literal;)*) => {
        /// Every kind of problem a client can meet. `type` in the document is
        /// `urn:fortissimo:problem:<slug>`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemKind { $($(#[$doc])* $name,)* }

        impl ProblemKind {
            /// All kinds, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// The HTTP status code.
            pub const fn status(self) -> u16 { match self { $(Self::$name => $status,)* } }
            /// The stable last part of the type URI.
            pub const fn slug(self) -> &'static str { match self { $(Self::$name => $slug,)* } }
            /// A short sentence for people; the same for every occurrence.
            pub const fn title(self) -> &'static str { match self { $(Self::$name => $title,)* } }
        }
    };
}

problem_kinds! {
    /// The request breaks HTTP's rules or ours.
    MalformedRequest = 400 "malformed-request" "The request is malformed";
    /// A field of the body or query is wrong.
    InvalidField = 400 "invalid-field" "A field is not right";
    /// A link or code from a message is unknown, used or too old.
    InvalidCode = 400 "invalid-code" "The link or code is not valid any more";
    /// The password is too short, too long, common or breached.
    WeakPassword = 400 "weak-password" "The password is not acceptable";
    /// No usable credentials.
    Unauthenticated = 401 "unauthenticated" "Sign in first";
    /// Wrong name or password.
    WrongCredentials = 401 "wrong-credentials" "The name or the password is wrong";
    /// The passkey was not accepted.
    InvalidPasskey = 401 "invalid-passkey" "The passkey was not accepted";
    /// The access token is not valid.
    InvalidToken = 401 "invalid-token" "The access token is not valid";
    /// The refresh token is not valid any more.
    InvalidRefreshToken = 401 "invalid-refresh-token" "The refresh token is not valid any more";
    /// The partial sign-in is unknown, used, too old, or began elsewhere.
    InvalidChallenge = 401 "invalid-challenge" "This sign-in has to begin again";
    /// The code of the second factor is wrong.
    WrongCode = 401 "wrong-code" "The code is wrong";
    /// The factors of this session were given too long ago for this.
    ReauthenticationRequired = 403 "reauthentication-required" "Confirm that it is you first";
    /// Known, but not allowed.
    Forbidden = 403 "forbidden" "You may not do this";
    /// A state-changing browser request came from another site.
    CrossSite = 403 "cross-site" "The request came from another site";
    /// The password was right, but the address is not verified.
    EmailNotVerified = 403 "email-not-verified" "Verify your e-mail address first";
    /// The password was right, but the account is disabled.
    AccountDisabled = 403 "account-disabled" "The account is disabled";
    /// The password was right, but is known to be compromised and must be reset.
    PasswordCompromised = 403 "password-compromised" "The password must be changed before signing in";
    /// The password was right, but the sign-in is unusual: its owner was asked by mail.
    ConfirmSignIn = 403 "confirm-sign-in" "Confirm by mail that it is you, then sign in again";
    /// Not there, or not yours to know about.
    NotFound = 404 "not-found" "There is nothing here";
    /// The method is not offered here.
    MethodNotAllowed = 405 "method-not-allowed" "The method is not offered here";
    /// The client was too slow.
    RequestTimeout = 408 "request-timeout" "The request took too long to arrive";
    /// The state changed meanwhile.
    Conflict = 409 "conflict" "The request conflicts with the current state";
    /// The body is larger than allowed.
    TooLarge = 413 "too-large" "The request body is too large";
    /// The request target is longer than allowed.
    TargetTooLong = 414 "target-too-long" "The request target is too long";
    /// The body's media type is not understood here.
    UnsupportedMediaType = 415 "unsupported-media-type" "The media type is not supported here";
    /// The host is not one of ours.
    MisdirectedRequest = 421 "misdirected-request" "This host is not served here";
    /// Over a rate limit.
    RateLimited = 429 "rate-limited" "Too many requests";
    /// The head of the request is too large.
    HeadTooLarge = 431 "head-too-large" "The request head is too large";
    /// Our own fault.
    Internal = 500 "internal" "Something went wrong on our side";
    /// The upstream is down or broke off.
    BadGateway = 502 "bad-gateway" "The service behind the gateway failed";
    /// Too busy, or an event that must be recorded cannot be.
    Unavailable = 503 "unavailable" "The service cannot do this right now";
    /// The upstream did not answer in time.
    GatewayTimeout = 504 "gateway-timeout" "The service behind the gateway did not answer in time";
}

/// One wrong field: where (RFC 6901 JSON pointer such as `/email`) and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer to the field; `?name` for a query parameter.
    pub pointer: String,
    /// What would be right.
    pub detail: String,
}

/// A problem to tell a client. The log's message is another string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which problem.
    pub kind: ProblemKind,
    /// What happened this time, for people; never internal detail.
    pub detail: Option<String>,
    /// Fields that are wrong.
    pub errors: Vec<FieldError>,
    /// Seconds after which a retry makes sense (`Retry-After`).
    pub retry_after_s: Option<u32>,
}

impl Problem {
    /// A problem without further detail.
    pub const fn new(kind: ProblemKind) -> Self {
        Self { kind, detail: None, errors: Vec::new(), retry_after_s: None }
    }

    /// With a sentence about this occurrence.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = Some(text.into());
        self
    }

    /// With one more wrong field.
    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// With the seconds to wait.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// A field problem in one go.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidField).field(pointer, detail)
    }

    /// The `application/problem+json` document. `request_id` becomes `instance`
    /// (`urn:uuid:…`), so that a person can quote it.
    pub fn document(&self, request_id: Option<&str>) -> Vec<u8> {
        #[derive(Serialize)]
        struct Document<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            #[serde(skip_serializing_if = "Option::is_none")]
            detail: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            instance: Option<String>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [FieldError],
        }
        serde_json::to_vec(&Document {
            r#type: format!("urn:fortissimo:problem:{}", self.kind.slug()),
            title: self.kind.title(),
            status: self.kind.status(),
            detail: self.detail.as_deref(),
            instance: request_id.map(|id| format!("urn:uuid:{id}")),
            errors: &self.errors,
        })
        .unwrap_or_else(|_| b"{}".to_vec())
    }
}

impl From<ProblemKind> for Problem {
    fn from(kind: ProblemKind) -> Self {
        Self::new(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_follow_rfc_9457() {
        let problem = Problem::invalid("/email", "must be an address");
        assert_eq!(
            String::from_utf8(problem.document(Some("0198"))).unwrap(),
            r#"{"type":"urn:fortissimo:problem:invalid-field","title":"A field is not right","status":400,"instance":"urn:uuid:0198","errors":[{"pointer":"/email","detail":"must be an address"}]}"#
        );
    }

    #[test]
    fn slugs_are_unique() {
        let slugs: std::collections::HashSet<_> = ProblemKind::ALL.iter().map(|k| k.slug()).collect();
        assert_eq!(slugs.len(), ProblemKind::ALL.len());
    }
}
