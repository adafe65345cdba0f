//! The Host header (RFC 9110 §7.2) or `:authority`, parsed.

use std::fmt;
use std::net::IpAddr;

use crate::Malformed;

/// A host name or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostName {
    /// A DNS name in lower case without trailing dot.
    Name(String),
    /// An IPv4 address, or an IPv6 address (in brackets when written).
    Address(IpAddr),
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Host and port as the client named them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host {
    /// Name or address.
    pub name: HostName,
    /// The port, if one was given.
    pub port: Option<u16>,
}

impl Host {
    /// Reads `name[:port]`, `1.2.3.4[:port]` or `[::1][:port]`.
    pub fn parse(_text: &str) -> Result<Self, Malformed> {
        Err(Malformed::Host)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}
