//! The Host header (RFC 9110 §7.2) or `:authority`, parsed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Malformed;

/// A host name or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostName {
    /// A DNS name in lower case without trailing dot.
    Name(String),
    /// An IPv4 address, or an IPv6 address (in brackets when written).
    Address(IpAddr),
}

impl HostName {
    /// Reads a name, an IPv4 address or an IPv6 address in brackets; for configured hosts.
    ///
    /// # Errors
    /// [`Malformed::Host`].
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        Host::parse(text)
            .and_then(|host| if host.port.is_none() { Ok(host.name) } else { Err(Malformed::Host) })
    }
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
    /// Reads `name[:port]`, `1.2.3.4[:port]` or `[::1][:port]`. Names are DNS names of letters, digits, `-` and `_`
    /// (an international name comes as `xn--…`); user information, spaces, escapes and empty labels are refused.
    ///
    /// # Errors
    /// [`Malformed::Host`].
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        // A DNS name is at most 253 bytes, and a colon and a port follow.
        if text.len() > 260 {
            return Err(Malformed::Host);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (address, after) = rest.split_once(']').ok_or(Malformed::Host)?;
            let ip: Ipv6Addr = address.parse().map_err(|_| Malformed::Host)?;
            let port = match after {
                "" => None,
                _ => port(after.strip_prefix(':').ok_or(Malformed::Host)?)?,
            };
            return Ok(Self { name: HostName::Address(IpAddr::V6(ip)), port });
        }
        let (name, port) = match text.split_once(':') {
            Some((name, digits)) => (name, port(digits)?),
            None => (text, None),
        };
        Ok(Self { name: host_name(name)?, port })
    }
}

/// `host:` with an empty port is allowed by RFC 3986 §3.2.3 and means none.
fn port(digits: &str) -> Result<Option<u16>, Malformed> {
    if digits.is_empty() {
        return Ok(None);
    }
    if digits.len() > 5 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Malformed::Host);
    }
    digits.parse().map(Some).map_err(|_| Malformed::Host)
}

fn host_name(text: &str) -> Result<HostName, Malformed> {
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Ok(HostName::Address(IpAddr::V4(ip)));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits (or 0x…) is read as an address by browsers (`1.2.3`, `2130706433`), not as a name.
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|b| b.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .or(last.strip_prefix("0X"))
            .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if name.len() > 253 || numeric || !name.split('.').all(label_ok) {
        return Err(Malformed::Host);
    }
    Ok(HostName::Name(name.to_ascii_lowercase()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}
