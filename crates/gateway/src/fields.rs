//! Fields that belong to one connection, not to the message (RFC 9110 §7.6.1), and those that a client may
//! not send behind the body.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Removes the fields of this connection, including those that `Connection` names.
///
/// For requests this happens before the pipeline: if it happened behind, a client could name the gateway's own
/// statements in `Connection` and have them removed on the way to the upstream.
pub(crate) fn strip_connection(fields: &mut HeaderMap) {
    if fields.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = tokens(fields, &CONNECTION)
            .filter_map(|token| token.parse().ok())
            // Framing and host are hyper's business; naming them here is not a way to lose them.
            .filter(|name| *name != HOST && *name != CONTENT_LENGTH)
            .collect();
        for name in named {
            fields.remove(name);
        }
        fields.remove(CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        fields.remove(name);
    }
}

/// Whether a client asks to switch to WebSocket (RFC 6455 §4.1).
pub(crate) fn asks_for_websocket(fields: &HeaderMap) -> bool {
    tokens(fields, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
        && fields.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Whether the other side understands trailers.
pub(crate) fn takes_trailers(fields: &HeaderMap) -> bool {
    tokens(fields, &TE).any(|token| token.eq_ignore_ascii_case("trailers"))
}

/// Leaves only fields that may stand behind a body: an upstream that merges trailers into the head must not
/// get framing, routing, credentials or our statements from there (RFC 9110 §6.5.1).
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    const EXACT: &[&str] = &[
        "authorization", "cache-control", "connection", "cookie", "expect", "forwarded", "host", "keep-alive",
        "max-forwards", "origin", "pragma", "range", "referer", "set-cookie", "te", "trailer",
        "transfer-encoding", "upgrade", "via", "x-real-ip", "x-request-id",
    ];
    const BEGINS: &[&str] = &["content-", "fortissimo-", "if-", "proxy-", "sec-", "x-forwarded-", "x-original-"];
    let refused: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| EXACT.contains(&name.as_str()) || BEGINS.iter().any(|start| name.as_str().starts_with(start)))
        .cloned()
        .collect();
    for name in refused {
        trailers.remove(name);
    }
}

/// The comma-separated tokens of all fields of one name; what is not text is passed over.
fn tokens<'f>(fields: &'f HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'f str> {
    fields.get_all(name).into_iter().filter_map(|v: &HeaderValue| v.to_str().ok()).flat_map(|v| v.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn what_belongs_to_the_connection_goes_and_the_rest_stays() {
        let mut map = fields(&[
            ("connection", "close, X-Private"),
            ("connection", "host,, content-length,  b@d"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("host", "x"),
            ("content-length", "5"),
            ("accept", "*/*"),
        ]);
        strip_connection(&mut map);
        let mut left: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "content-length", "host"]);
    }

    #[test]
    fn websocket_needs_both_fields() {
        assert!(asks_for_websocket(&fields(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")])));
        assert!(!asks_for_websocket(&fields(&[("connection", "close"), ("upgrade", "websocket")])));
        assert!(!asks_for_websocket(&fields(&[("connection", "upgrade"), ("upgrade", "h2c")])));
        assert!(!asks_for_websocket(&fields(&[("connection", "upgrade"), ("upgrade", "websocket, h2c")])));
    }

    #[test]
    fn trailers_cannot_speak_for_the_gateway() {
        let mut map = fields(&[
            ("fortissimo-assertion", "x"), ("authorization", "x"), ("x-forwarded-for", "x"), ("content-length", "5"),
            ("digest", "sha-256=x"),
        ]);
        strip_trailers(&mut map);
        assert_eq!(map, fields(&[("digest", "sha-256=x")]));
    }
}
