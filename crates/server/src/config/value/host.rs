//! Host names that the gateway answers to.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A host: an exact name (`app.example.com`), every name below one (`*.example.com`), an address literal, or
/// `*` for any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern(String);

impl HostPattern {
    /// The pattern, lowered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this accepts any host.
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// Whether `host` (without a port; an IPv6 literal in brackets) is accepted.
    pub fn accepts(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        match self.0.strip_prefix("*.") {
            Some(parent) => {
                host.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            None => self.is_any() || self.0 == host,
        }
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected a host name such as \"app.example.com\" or \"*.example.com\", without scheme and port";
        let lowered = text.to_ascii_lowercase();
        let bare = lowered.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<IpAddr>().is_ok() {
            // As in a URL and in the field Host: IPv6 in brackets.
            return Ok(Self(if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() }));
        }
        let name = lowered.strip_prefix("*.").unwrap_or(&lowered);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let ok = lowered == "*" || (name.len() <= 253 && name.split('.').all(label));
        ok.then_some(Self(lowered)).ok_or_else(|| wrong().to_owned())
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

super::text_value!(HostPattern, "HostPattern", "a host name such as \"app.example.com\"");
