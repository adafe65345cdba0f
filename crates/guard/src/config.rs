//! What the guard is told at start. The serialisable sections are read from `fortissimo.toml` by the
//! server, which fills the plain [`GuardConfig`].

use base::{Language, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, LimitsConfig, Locate, RouteConfig};

/// Everything the pipeline needs to know before the first request.
#[derive(Debug, Clone)]
pub struct GuardConfig {
    /// Our own address as people type it, for example `https://music.example`. Its host is trusted, its
    /// origin is our own for cross-site checks, and it is the issuer of upstream assertions.
    pub public_url: String,
    /// Hosts that are served: exact names, `*.example.com`, or `*`. Hosts named by routes are added.
    pub trusted_hosts: Vec<String>,
    /// Networks (CIDR or single addresses) whose forwarded headers count.
    pub trusted_proxies: Vec<String>,
    /// Which header the trusted proxies write.
    pub forwarded: ForwardedHeader,
    /// Routes to upstreams; first match wins.
    pub routes: Vec<RouteConfig>,
    /// Our own endpoints.
    pub endpoints: Vec<Endpoint>,
    /// Rate limits (EDGE-3).
    pub limits: LimitsConfig,
    /// Cross-origin rules (EDGE-5).
    pub cors: CorsConfig,
    /// Sizes of the request head.
    pub head: HeadConfig,
    /// Who knows where addresses lie, for the country and region of events.
    pub locate: Option<Locate>,
    /// Where a browser that is not signed in is sent when it opens one of our own protected pages
    /// (`/account/sign-in`); `None` answers a problem document.
    pub sign_in_page: Option<String>,
    /// Renders a refusal as an HTML page, for browsers that open one of our own pages. Takes the problem and
    /// the request id; must need nothing but the strict content security policy.
    pub problem_page: Option<fn(&Problem, &str, Language) -> String>,
}

impl GuardConfig {
    /// The embedded default for a public address: no routes, no proxies, standard limits.
    pub fn new(public_url: impl Into<String>) -> Self {
        Self {
            public_url: public_url.into(),
            trusted_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            forwarded: ForwardedHeader::default(),
            routes: Vec::new(),
            endpoints: Vec::new(),
            limits: LimitsConfig::default(),
            cors: CorsConfig::default(),
            head: HeadConfig::default(),
            locate: None,
            sign_in_page: None,
            problem_page: None,
        }
    }
}

/// Which header trusted proxies write. Only this one is read: reading both would let a client choose,
/// because a proxy passes on the header that it does not write itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Cross-origin resource sharing: which other sites' scripts may call, with credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CorsConfig {
    /// Exact origins such as `https://studio.example`. No wildcard: answers carry credentials.
    pub origins: Vec<String>,
    /// Seconds for which a browser may remember a preflight answer.
    pub max_age_s: u32,
}

impl Default for CorsConfig {
    fn default() -> Self {
        Self { origins: Vec::new(), max_age_s: 600 }
    }
}

/// How large the head of a request may be. What the connection layer allows should not be less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HeadConfig {
    /// Header fields.
    pub fields: usize,
    /// Bytes of all header names and values.
    pub bytes: usize,
    /// Bytes of path and query.
    pub target_bytes: usize,
}

impl Default for HeadConfig {
    fn default() -> Self {
        Self { fields: 100, bytes: 32 * 1024, target_bytes: 8 * 1024 }
    }
}

/// Why the guard could not be built. The text says what is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{section}: {message}")]
pub struct GuardError {
    /// The part of the configuration, for example `route 2 (/api/**)`.
    pub section: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl GuardError {
    pub(crate) fn new(section: impl Into<String>, message: impl Into<String>) -> Self {
        Self { section: section.into(), message: message.into() }
    }
}
