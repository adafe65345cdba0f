//! The headers of every answer (EDGE-4): what we add, what we take away from upstreams' answers.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::cookies;

/// Our own pages: everything from ourselves, nothing inline, no frames, no plug-ins.
const OWN_CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
const FRAMES_CSP: HeaderValue = HeaderValue::from_static("frame-ancestors 'none'");
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains; preload");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const REFERRER: HeaderValue = HeaderValue::from_static("strict-origin-when-cross-origin");
const OWN_REFERRER: HeaderValue = HeaderValue::from_static("same-origin");
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
     midi=(), payment=(), usb=()",
);
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const SAME_SITE: HeaderValue = HeaderValue::from_static("same-site");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const COOP: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What services say about themselves, and what only the pipeline may say.
static TAKEN_AWAY: [HeaderName; 15] = [
    header::SERVER,
    HeaderName::from_static("x-powered-by"),
    HeaderName::from_static("x-aspnet-version"),
    HeaderName::from_static("x-aspnetmvc-version"),
    HeaderName::from_static("x-generator"),
    HeaderName::from_static("x-runtime"),
    HeaderName::from_static("x-version"),
    // Names another way into the upstream, past the gateway.
    header::ALT_SVC,
    // The gateway decides which sites may read answers that it has authenticated.
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    header::STRICT_TRANSPORT_SECURITY,
];

/// Cleans an answer before ours is added. No service says what it is made of, our own included.
pub(crate) fn clean(headers: &mut HeaderMap) {
    for name in &TAKEN_AWAY {
        headers.remove(name);
    }
}

/// What else an upstream may not say: our cookies are ours.
pub(crate) fn clean_upstream(headers: &mut HeaderMap) {
    cookies::strip_response(headers);
}

/// The security headers of an upstream's answer: what the service sets itself stands, as long as it is an answer to the
/// same question; what it forgot is added.
pub(crate) fn secure_upstream(headers: &mut HeaderMap, tls: bool, permissions: Option<&HeaderValue>) {
    if tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    let says_who_may_frame = |value: &HeaderValue| {
        value.as_bytes().split(|b| *b == b';').any(|directive| {
            let directive = directive.trim_ascii();
            directive.len() >= 15 && directive[..15].eq_ignore_ascii_case(b"frame-ancestors")
        })
    };
    if !headers.get_all(header::CONTENT_SECURITY_POLICY).iter().any(says_who_may_frame) {
        // A second policy beside theirs: browsers apply both.
        headers.append(header::CONTENT_SECURITY_POLICY, FRAMES_CSP);
    }
    add(headers, header::REFERRER_POLICY, &REFERRER);
    add(headers, PERMISSIONS_POLICY, permissions.unwrap_or(&PERMISSIONS));
    add(headers, COOP, &SAME_ORIGIN);
    add(headers, CORP, &SAME_SITE);
}

/// The security headers of our own answers, refusals included. A handler's own policy stands. The pipeline adds them by
/// itself; listeners do so for what never reaches it.
pub fn secure_own(headers: &mut HeaderMap, tls: bool) {
    if tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    add(headers, header::CONTENT_SECURITY_POLICY, &OWN_CSP);
    add(headers, header::REFERRER_POLICY, &OWN_REFERRER);
    add(headers, PERMISSIONS_POLICY, &PERMISSIONS);
    add(headers, COOP, &SAME_ORIGIN);
    add(headers, CORP, &SAME_ORIGIN);
    add(headers, header::CACHE_CONTROL, &NO_STORE);
}

/// Answers to somebody we know are theirs alone, unless the service says otherwise.
pub(crate) fn keep_private(headers: &mut HeaderMap) {
    add(headers, header::CACHE_CONTROL, &NO_STORE);
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: &HeaderValue) {
    headers.entry(name).or_insert_with(|| value.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_pages_have_a_strict_policy_and_no_version() {
        let mut headers = HeaderMap::new();
        secure_own(&mut headers, false);
        let csp = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"));
        assert!(!csp.contains("unsafe"));
        assert!(!headers.contains_key(header::STRICT_TRANSPORT_SECURITY), "HSTS means nothing in clear text");
        assert!(!headers.contains_key("x-xss-protection"));
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        secure_own(&mut headers, true);
        assert_eq!(
            headers[header::STRICT_TRANSPORT_SECURITY],
            "max-age=31536000; includeSubDomains; preload"
        );
    }

    #[test]
    fn upstreams_keep_their_own_policies_and_lose_their_versions() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("server", "old/1.0"),
            ("x-powered-by", "php"),
            ("content-security-policy", "default-src 'self'"),
            ("referrer-policy", "no-referrer"),
            ("access-control-allow-origin", "*"),
            ("alt-svc", "h3=\":9443\""),
            ("set-cookie", "__Host-fortissimo=evil"),
            ("set-cookie", "theirs=1"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        clean(&mut headers);
        clean_upstream(&mut headers);
        secure_upstream(&mut headers, true, Some(&HeaderValue::from_static("microphone=(self)")));
        for gone in ["server", "x-powered-by", "access-control-allow-origin", "alt-svc"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
        assert_eq!(headers.get_all("set-cookie").iter().count(), 1);
        assert_eq!(headers.get_all("content-security-policy").iter().count(), 2);
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["permissions-policy"], "microphone=(self)");
        let mut headers = HeaderMap::new();
        let theirs = HeaderValue::from_static("img-src *; Frame-Ancestors https://blog.example");
        headers.insert("content-security-policy", theirs.clone());
        secure_upstream(&mut headers, false, None);
        assert_eq!(headers.get_all("content-security-policy").iter().collect::<Vec<_>>(), [&theirs]);
    }
}
