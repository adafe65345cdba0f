//! `[[route]]`: which requests go to which service, and who may send them.

use guard::{Inspect, RateClass};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{HostPattern, HttpOrigin, Period, Size};

/// One route to a service. The first that matches wins; what no route matches is 404.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Host that the request must be for; absent: any trusted host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HostPattern")]
    pub host: Option<HostPattern>,
    /// Path template: `{name}` stands for one segment, `**` at the end for the rest (which may be nothing).
    pub path: String,
    /// Methods; absent or empty: the usual seven. `GET` covers `HEAD`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The service behind: scheme, host and port.
    pub upstream: HttpOrigin,
    /// Who may: `public`, `authenticated`, or an action such as `track:read on track/{id}`. Closed by default.
    #[serde(default = "authenticated")]
    pub access: String,
    /// What happens to suspicious input: `block`, `observe` (only recorded) or `off`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub inspect: Inspect,
    /// What a request counts as: `standard`, or `page` for pages that load many files at once.
    #[serde(default)]
    #[schemars(with = "String")]
    pub rate: RateClass,
    /// Largest request body; absent: `http.max_body`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Size")]
    pub max_body: Option<Size>,
    /// Time until the head of the service's answer; absent: `upstream.response_timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    pub response_timeout: Option<Period>,
    /// `Permissions-Policy` of this route's answers, for example `microphone=(self)` for a recording page;
    /// absent: everything is denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub permissions_policy: Option<String>,
}

// A route that does not say who may use it is for signed-in people: closed by default.
fn authenticated() -> String {
    "authenticated".to_owned()
}

impl Route {
    /// A route for every path and method, for signed-in people.
    pub fn catch_all(upstream: HttpOrigin) -> Self {
        Self {
            host: None,
            path: "/**".to_owned(),
            methods: Vec::new(),
            upstream,
            access: authenticated(),
            inspect: Inspect::default(),
            // It stands for a whole service, pages and their files included, of which nothing is known.
            rate: RateClass::Page,
            max_body: None,
            response_timeout: None,
            permissions_policy: None,
        }
    }
}
