//! Which site's script or form sent this: CORS, and protection against requests forged by other sites.

use std::collections::HashSet;

use base::ProblemKind;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};

use crate::exchange::Exchange;
use crate::guard::Pipeline;
use crate::refusal::Stage;
use crate::{Body, GuardConfig, GuardError, Refusal, Target, cookies};

use super::Stop;
use super::authenticate::bearer;
use super::route::Routed;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Bytes of `Access-Control-Request-Headers` that are answered.
const MAX_ASKED: usize = 1024;

/// What `origin` is configured with.
#[derive(Debug)]
pub(crate) struct OriginRules {
    own: String,
    allowed: HashSet<String>,
    max_age: HeaderValue,
}

impl OriginRules {
    pub(crate) fn new(config: &GuardConfig) -> Result<Self, GuardError> {
        let own = origin_of(&config.public_url).ok_or_else(|| {
            GuardError::new("public_url", "must look like https://music.example, with scheme and host")
        })?;
        let mut allowed = HashSet::new();
        for text in &config.cors.origins {
            let origin = origin_of(text)
                .filter(|origin| origin == text.trim_end_matches('/') && !origin.contains('*'));
            allowed.insert(origin.ok_or_else(|| {
                let message = format!(
                    "{text:?} must be an exact origin such as https://studio.example: lower case, no path, no wildcard"
                );
                GuardError::new("cors.origins", message)
            })?);
        }
        Ok(Self { own, allowed, max_age: HeaderValue::from(config.cors.max_age_s) })
    }

    pub(crate) fn varies(&self) -> bool {
        !self.allowed.is_empty()
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        origin.to_str().is_ok_and(|origin| self.allowed.contains(origin))
    }

    /// The origin is our own: the configured public address, or the host that this very request names (which `admit`
    /// has found to be trusted) under the scheme that it came by.
    fn is_own(&self, origin: &HeaderValue, host: &str, tls: bool) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let scheme = if tls { "https://" } else { "http://" };
        origin == self.own
            || origin.strip_prefix(scheme).is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    }
}

/// `scheme://host[:port]`, lower case, without a default port; what browsers send as Origin.
fn origin_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let (scheme, host) = (uri.scheme_str()?.to_ascii_lowercase(), uri.host()?.to_ascii_lowercase());
    let default = matches!((scheme.as_str(), uri.port_u16()), ("https", Some(443)) | ("http", Some(80)));
    Some(match uri.port_u16() {
        Some(port) if !default => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    })
}

/// Proof: no other site may have forged this.
#[derive(Debug)]
pub struct Screened {
    pub(crate) routed: Routed,
}

/// Answers preflights; refuses what another site made the browser send.
pub fn origin(pipeline: &Pipeline, exchange: &mut Exchange, routed: Routed) -> Result<Screened, Stop> {
    let rules = &pipeline.origins;
    let headers = routed.admitted.request.headers();
    if headers.get_all(header::ORIGIN).iter().nth(1).is_some() {
        return Err(Refusal::at(Stage::Origin, ProblemKind::MalformedRequest, "two_origins").into());
    }
    let origin = headers.get(header::ORIGIN);
    if let Some(origin) = origin.filter(|origin| rules.allows(origin)) {
        exchange.cors_origin = Some(origin.clone());
    }
    if routed.preflight {
        return Err(match &exchange.cors_origin {
            Some(_) => Stop::Answered(Box::new(preflight(rules, headers))),
            None => {
                Refusal::at(Stage::Origin, ProblemKind::CrossSite, "preflight_from_foreign_origin").into()
            }
        });
    }
    if is_unsafe(&routed) && bearer(headers).is_none() {
        // A bearer token is not sent by the browser on its own, so it cannot be ridden on. A cookie is, and so are the
        // Basic credentials of an upstream, which therefore do not excuse the cookie beside them. Our own forms are guarded without a cookie too, or another site could sign somebody in as somebody else.
        let cookie = cookies::session(headers).is_some();
        let own_surface = matches!(routed.route.target, Target::Own(_));
        let trusted = exchange.cors_origin.is_some();
        let host = routed.admitted.host.to_string();
        let verdict = cross_site(headers, |origin| trusted || rules.is_own(origin, &host, exchange.tls));
        let refused = match verdict {
            Sender::Ours => false,
            Sender::Foreign => cookie || own_surface,
            Sender::Unknown => cookie,
        };
        if refused {
            return Err(Refusal::at(Stage::Origin, ProblemKind::CrossSite, "cross_site").into());
        }
    }
    exchange.note(Stage::Origin, "ok");
    Ok(Screened { routed })
}

/// Requests that change something. Opening a WebSocket is a GET, but one that lasts and is exempt from CORS.
fn is_unsafe(routed: &Routed) -> bool {
    let request = &routed.admitted.request;
    !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        || request.headers().contains_key(header::UPGRADE)
}

enum Sender {
    Ours,
    Foreign,
    /// The request does not say. No browser of today does that with a request that changes something.
    Unknown,
}

fn cross_site(headers: &HeaderMap, is_ours: impl Fn(&HeaderValue) -> bool) -> Sender {
    let by_origin = headers.get(header::ORIGIN).map(is_ours);
    match headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
        // Written by the browser itself; "none" is a person's own doing (address bar, bookmark).
        Some(b"same-origin" | b"none") => Sender::Ours,
        Some(_) => match by_origin {
            Some(true) => Sender::Ours,
            _ => Sender::Foreign,
        },
        None => match by_origin {
            Some(true) => Sender::Ours,
            Some(false) => Sender::Foreign,
            None => Sender::Unknown,
        },
    }
}

fn preflight(rules: &OriginRules, asked: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    if let Some(method) = asked.get(header::ACCESS_CONTROL_REQUEST_METHOD) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method.clone());
    }
    let names = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).filter(|names| {
        let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b',' | b' ');
        names.len() <= MAX_ASKED && names.as_bytes().iter().all(plain)
    });
    if let Some(names) = names {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, rules.max_age.clone());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_exact() {
        assert_eq!(origin_of("https://Music.example:443/").as_deref(), Some("https://music.example"));
        assert_eq!(origin_of("http://localhost:8080").as_deref(), Some("http://localhost:8080"));
        for wrong in ["*", "https://a.example/path", "a.example", "https://*.example"] {
            let mut config = GuardConfig::new("https://music.example");
            config.cors.origins = vec![wrong.to_owned()];
            assert!(OriginRules::new(&config).is_err(), "{wrong}");
        }
    }

    fn sender(lines: &[(&'static str, &'static str)]) -> &'static str {
        let rules = OriginRules::new(&GuardConfig::new("https://music.example")).unwrap();
        let headers: HeaderMap =
            lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
        match cross_site(&headers, |origin| rules.is_own(origin, "other.example:8443", true)) {
            Sender::Ours => "ours",
            Sender::Foreign => "foreign",
            Sender::Unknown => "unknown",
        }
    }

    #[test]
    fn the_sender_is_told_by_what_scripts_cannot_write() {
        assert_eq!(sender(&[("sec-fetch-site", "same-origin")]), "ours");
        assert_eq!(sender(&[("sec-fetch-site", "none")]), "ours");
        assert_eq!(sender(&[("sec-fetch-site", "cross-site")]), "foreign");
        assert_eq!(sender(&[("sec-fetch-site", "same-site")]), "foreign");
        assert_eq!(sender(&[("sec-fetch-site", "same-site"), ("origin", "https://music.example")]), "ours");
        assert_eq!(sender(&[("origin", "https://music.example")]), "ours");
        assert_eq!(sender(&[("origin", "https://other.example:8443")]), "ours");
        assert_eq!(sender(&[("origin", "http://other.example:8443")]), "foreign");
        assert_eq!(sender(&[("origin", "null")]), "foreign");
        assert_eq!(sender(&[("origin", "https://music.example.evil.example")]), "foreign");
        assert_eq!(sender(&[]), "unknown");
    }
}
