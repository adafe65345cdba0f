//! Headers that only we may write, and headers of one connection.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

/// Names that upstreams commonly believe, or that change what a request means after we judged it.
const NEVER_FORWARDED: &[&str] = &[
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "fastly-client-ip",
    "x-envoy-external-address",
    "cf-connecting-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-original-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-request-id",
    // Answered by our own listener.
    "expect",
    // CGI turns it into HTTP_PROXY, which libraries take for their proxy ("httpoxy").
    "proxy",
];

const PREFIXES: &[&str] = &["x-forwarded", "fortissimo-", "x-fortissimo-"];

/// RFC 9110 §7.6.1 and the older ones. Transfer-Encoding is one of them: the next hop frames the body anew.
static HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
];

/// Takes out of a client's request everything that only we may say to an upstream.
pub(crate) fn claims(headers: &mut HeaderMap) {
    let forged = |name: &str| {
        // Services of the CGI kind read `x_user` and `x-user` as one, some also `x.user`, so an odd character smuggles.
        !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || NEVER_FORWARDED.contains(&name)
    };
    let names: Vec<HeaderName> = headers.keys().filter(|name| forged(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Removes what belongs to one connection (RFC 9110 §7.6.1): the listed fields and those that `Connection` names.
/// Use it on requests and answers before they are passed on. Length and host are never removed that way. What an
/// upgrade needs (`Upgrade` itself) is removed too: read it before.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| *name != header::CONTENT_LENGTH && *name != header::HOST)
        .collect();
    for name in nominated {
        headers.remove(name);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// As [`strip_hop_by_hop`], but a WebSocket handshake keeps its `Connection: upgrade` and `Upgrade: websocket`.
/// Done before our own statements are added, or a client could nominate them for removal.
pub(crate) fn hop_by_hop_but_websocket(headers: &mut HeaderMap) {
    let websocket = is_websocket(headers);
    strip_hop_by_hop(headers);
    if websocket {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
}

/// A WebSocket handshake over HTTP/1.1 (RFC 6455 §4.1).
pub fn is_websocket(headers: &HeaderMap) -> bool {
    let names_upgrade = |value: &HeaderValue| {
        value
            .as_bytes()
            .split(|b| *b == b',')
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    };
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && headers.get_all(header::CONNECTION).iter().any(names_upgrade)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn nobody_else_speaks_for_us() {
        let mut headers = map(&[
            ("fortissimo-assertion", "x"),
            ("x-fortissimo-user", "x"),
            ("x-forwarded-for", "x"),
            ("x-forwarded-anything", "x"),
            ("x-forwarded", "x"),
            ("forwarded", "x"),
            ("x-real-ip", "x"),
            ("fortissimo_assertion", "x"),
            ("x_forwarded_for", "x"),
            ("x-user_name", "x"),
            ("fortissimo.assertion", "x"),
            ("x-http-method-override", "DELETE"),
            ("x-request-id", "x"),
            ("accept", "text/plain"),
            ("x-track", "kept"),
        ]);
        claims(&mut headers);
        let mut kept: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        kept.sort_unstable();
        assert_eq!(kept, ["accept", "x-track"]);
    }

    #[test]
    fn connection_headers_and_what_they_name_stay_on_their_connection() {
        let mut headers = map(&[
            ("connection", "keep-alive, X-Secret"),
            ("connection", "content-length, host, nonsense header"),
            ("x-secret", "1"),
            ("content-length", "5"),
            ("host", "a"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("accept", "a"),
        ]);
        hop_by_hop_but_websocket(&mut headers);
        let mut kept: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        kept.sort_unstable();
        assert_eq!(kept, ["accept", "content-length", "host"]);
    }

    #[test]
    fn a_websocket_handshake_stays_one() {
        let mut headers =
            map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket"), ("keep-alive", "1")]);
        hop_by_hop_but_websocket(&mut headers);
        assert_eq!(headers.len(), 2);
        assert!(is_websocket(&headers));
        assert!(!is_websocket(&map(&[("upgrade", "websocket")])));
    }
}
