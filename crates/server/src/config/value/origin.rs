//! Origins: scheme, host and port of a web address, and nothing else.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// `http://host[:port]` or `https://host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOrigin {
    https: bool,
    host: String,
    port: u16,
}

impl HttpOrigin {
    /// From its parts; `host` is a name or an address, an IPv6 address in brackets.
    pub fn new(https: bool, host: &str, port: u16) -> Self {
        Self { https, host: host.to_ascii_lowercase(), port }
    }
    /// Whether the scheme is https.
    pub const fn is_https(&self) -> bool {
        self.https
    }
    /// The host, lowered; IPv6 addresses in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }
    /// The port, the scheme's own if none was written.
    pub const fn port(&self) -> u16 {
        self.port
    }
    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost"
            || bare.ends_with(".localhost")
            || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for HttpOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "expected an origin such as \"http://127.0.0.1:9000\" or \"https://app.example.com\"".to_owned()
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err("an origin carries no user name or password".into());
        }
        if uri.path() != "/" && !uri.path().is_empty() || uri.query().is_some() {
            return Err(format!(
                "an origin carries no path: expected \"{}://{authority}\"",
                if https { "https" } else { "http" }
            ));
        }
        if authority.host().is_empty() {
            return Err(wrong());
        }
        // `host:` and `host:99999` are accepted by the URI grammar; neither is a port.
        let written = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(port) if port > 0 => port,
            None if !written => {
                if https {
                    443
                } else {
                    80
                }
            }
            _ => return Err(wrong()),
        };
        Ok(Self::new(https, authority.host(), port))
    }
}

impl fmt::Display for HttpOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.https { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

super::text_value!(HttpOrigin, "HttpOrigin", "an origin such as \"http://127.0.0.1:9000\"");
