//! Which hosts are served.

use inspect::HostName;

/// An exact host, or all hosts below a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostPattern {
    /// Exactly this name or address.
    Exact(HostName),
    /// `*.example.com`: one or more labels before the suffix, which is kept with its dot.
    Below(String),
    /// Every host. Warned about by the configuration check.
    Any,
}

impl HostPattern {
    /// Reads a name, an address, `*.example.com` or `*`; ports are not part of it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let wrong =
            || format!("host {text:?} must be a name, an address or \"*.example.com\", without a port");
        let (below, name) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let host = inspect::Host::parse(name).map_err(|_| wrong())?;
        match (host.port, host.name, below) {
            (None, HostName::Name(name), true) => Ok(Self::Below(format!(".{name}"))),
            (None, name, false) => Ok(Self::Exact(name)),
            _ => Err(wrong()),
        }
    }

    pub(crate) fn matches(&self, host: &HostName) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exact(exact), _) => exact == host,
            (Self::Below(suffix), HostName::Name(name)) => {
                name.len() > suffix.len() && name.ends_with(suffix.as_str())
            }
            (Self::Below(_), HostName::Address(_)) => false,
        }
    }
}
