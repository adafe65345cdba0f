//! A small service for the embedded default, so that a new user sees the gateway in front of something: it
//! greets, and shows which identity the gateway vouched for.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use base::{Clock, Entropy};
use guard::{Body, Connection};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};

use crate::{Handler, ListenConfig, ListenError, Listener, Shutdown};

/// The field in which the gateway vouches for the caller.
const ASSERTION: &str = "fortissimo-assertion";

/// Who the gateway says is calling, after the assertion's signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// The account's id (`sub`).
    pub account: String,
    /// The role, for display.
    pub role: Option<String>,
}

/// Checks an assertion as a real service does with the published keys; `None` if it is not genuine.
pub type Verify = Arc<dyn Fn(&str) -> Option<Vouched> + Send + Sync>;

/// Starts the service on a free loopback port, until the shutdown. Returns its address.
pub async fn start(
    verify: Verify,
    clock: Clock,
    entropy: Entropy,
    shutdown: Shutdown,
) -> Result<SocketAddr, ListenError> {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = Listener::bind(ListenConfig::plain(anywhere)).await?;
    let address = listener.address();
    tokio::spawn(listener.serve(Example { verify }, clock, entropy, shutdown));
    Ok(address)
}

struct Example {
    verify: Verify,
}

impl Handler for Example {
    async fn handle(&self, _: Connection, request: Request<Body>) -> Response<Body> {
        let assertion = request.headers().get(ASSERTION).and_then(|value| value.to_str().ok());
        let vouched = assertion.and_then(|assertion| (self.verify)(assertion));
        let browser = request
            .headers()
            .get(ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"));
        let (kind, body) = if browser {
            ("text/html; charset=utf-8", page(vouched.as_ref()))
        } else {
            ("application/json", json(vouched.as_ref()))
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// Only letters, digits and what ids and roles are made of: nothing to escape, in JSON or HTML.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(64).collect()
}

fn json(vouched: Option<&Vouched>) -> String {
    let caller = vouched.map_or_else(
        || "null".to_owned(),
        |v| {
            let role = v.role.as_deref().map_or("null".to_owned(), |role| format!("\"{}\"", plain(role)));
            format!("{{\"account\":\"{}\",\"role\":{role}}}", plain(&v.account))
        },
    );
    format!("{{\"message\":\"Hello from behind the gateway\",\"caller\":{caller}}}\n")
}

fn page(vouched: Option<&Vouched>) -> String {
    let caller = vouched.map_or_else(
        || {
            "<p>The gateway let this request through without an identity, because the route is public. \
             <a href=\"/account\">Sign in</a> and come back.</p>"
                .to_owned()
        },
        |v| {
            let role = v
                .role
                .as_deref()
                .map(|role| format!(" with the role <b>{}</b>", plain(role)))
                .unwrap_or_default();
            format!("<p>The gateway vouches for account <code>{}</code>{role}.</p>", plain(&v.account))
        },
    );
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Behind the gateway</title></head>\n<body><main><h1>Hello from behind the gateway</h1>\n{caller}\n\
         <p>This is the built-in example service. Put your own behind Fortissimo with \
         <code>fortissimo serve --upstream http://127.0.0.1:9000</code>.</p></main></body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_an_assertion_becomes_markup() {
        let odd = Vouched { account: "<script>\"1\\".into(), role: Some("a\"b".into()) };
        assert!(!page(Some(&odd)).contains("<script"));
        assert_eq!(
            json(Some(&odd)),
            "{\"message\":\"Hello from behind the gateway\",\"caller\":{\"account\":\"script1\",\"role\":\"ab\"}}\n"
        );
    }
}
