//! What one side of the gateway says about the connection to the other: who takes trailers, and which fields may
//! stand in them. Everything else of a connection ends at the gateway (`guard::strip_hop_by_hop`).

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, UPGRADE};
use http::{Request, Response};

/// Removes the fields of the client's connection from a request, before the pipeline: behind it, a client could
/// name the gateway's own statements in `Connection` and have them removed on the way to the upstream. A WebSocket
/// handshake stays one; what was said about trailers moves into the extensions.
pub(crate) fn detach<B>(request: &mut Request<B>) {
    let websocket = guard::is_websocket(request.headers());
    let trailers = Trailers::of(request.headers());
    guard::strip_hop_by_hop(request.headers_mut());
    if websocket {
        switch(request.headers_mut());
    }
    if let Some(trailers) = trailers {
        request.extensions_mut().insert(trailers);
    }
}

/// Removes the fields of the upstream's connection from its response, but not what announces trailers.
pub(crate) fn detach_response<B>(response: &mut Response<B>) {
    let announced = response.headers_mut().remove(TRAILER);
    guard::strip_hop_by_hop(response.headers_mut());
    if let Some(announced) = announced {
        response.headers_mut().insert(TRAILER, announced);
    }
}

/// The two fields that ask for, or agree to, a WebSocket.
pub(crate) fn switch(fields: &mut HeaderMap) {
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// What a client said about trailers; ours to say again to the upstream.
#[derive(Debug, Clone)]
pub(crate) struct Trailers {
    taken: bool,
    announced: Option<HeaderValue>,
}

impl Trailers {
    fn of(fields: &HeaderMap) -> Option<Self> {
        if !fields.contains_key(TE) && !fields.contains_key(TRAILER) {
            return None;
        }
        let codings = fields.get_all(TE).into_iter().filter_map(|value| value.to_str().ok());
        let taken = codings.flat_map(|v| v.split(',')).any(|c| c.trim().eq_ignore_ascii_case("trailers"));
        Some(Self { taken, announced: fields.get(TRAILER).cloned() })
    }

    /// Says it to the upstream.
    pub(crate) fn say(self, fields: &mut HeaderMap) {
        if self.taken {
            fields.insert(CONNECTION, HeaderValue::from_static("te"));
            fields.insert(TE, HeaderValue::from_static("trailers"));
        }
        if let Some(announced) = self.announced {
            fields.insert(TRAILER, announced);
        }
    }
}

/// Leaves only fields that may stand behind a body: an upstream that merges trailers into the head must not
/// get framing, routing, credentials or our statements from there (RFC 9110 §6.5.1).
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    const EXACT: &[&str] = &[
        "authorization",
        "cache-control",
        "connection",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "max-forwards",
        "origin",
        "pragma",
        "range",
        "referer",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-real-ip",
        "x-request-id",
    ];
    const BEGINS: &[&str] =
        &["content-", "fortissimo-", "if-", "x-fortissimo-", "proxy-", "sec-", "x-forwarded-", "x-original-"];
    let refused: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            // CGI reads `x_user` and `x-user` as one.
            name.contains('_') || EXACT.contains(&name) || BEGINS.iter().any(|start| name.starts_with(start))
        })
        .cloned()
        .collect();
    for name in refused {
        trailers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    fn detached(pairs: &[(&'static str, &'static str)]) -> (Vec<String>, Option<Trailers>) {
        let mut request = Request::new(());
        *request.headers_mut() = fields(pairs);
        detach(&mut request);
        let mut left: Vec<_> =
            request.headers().iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        left.sort();
        (left, request.extensions_mut().remove())
    }

    #[test]
    fn what_belongs_to_the_connection_goes_and_the_rest_stays() {
        let (left, trailers) = detached(&[
            ("connection", "close, X-Private"),
            ("connection", "host,, content-length,  b@d"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("host", "x"),
            ("content-length", "5"),
        ]);
        assert_eq!(left, ["content-length: 5", "host: x"]);
        assert!(trailers.is_none());
    }

    #[test]
    fn a_websocket_handshake_stays_one() {
        let both = [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")];
        assert_eq!(detached(&both).0, ["connection: upgrade", "upgrade: websocket"]);
        assert!(detached(&[("connection", "upgrade"), ("upgrade", "websocket, h2c")]).0.is_empty());
    }

    #[test]
    fn what_was_said_about_trailers_is_said_again() {
        let (left, trailers) =
            detached(&[("te", "gzip, Trailers"), ("trailer", "digest"), ("connection", "te")]);
        assert!(left.is_empty());
        let mut said = HeaderMap::new();
        trailers.unwrap().say(&mut said);
        assert_eq!(said, fields(&[("connection", "te"), ("te", "trailers"), ("trailer", "digest")]));
    }

    #[test]
    fn trailers_cannot_speak_for_the_gateway() {
        let mut map = fields(&[
            ("fortissimo-assertion", "x"),
            ("fortissimo_assertion", "x"),
            ("authorization", "x"),
            ("x-forwarded-for", "x"),
            ("content-length", "5"),
            ("digest", "sha-256=x"),
        ]);
        strip_trailers(&mut map);
        assert_eq!(map, fields(&[("digest", "sha-256=x")]));
    }
}
