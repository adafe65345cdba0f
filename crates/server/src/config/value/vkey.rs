//! Public keys of logs and witnesses.

use std::fmt;
use std::str::FromStr;

use crypto::log::VerifierKey;

/// A vkey (c2sp.org/signed-note): `<name>+<key id>+<key>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vkey(pub VerifierKey);

impl FromStr for Vkey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: crypto::log::Malformed| format!("expected a vkey: {error}"))
    }
}

impl fmt::Display for Vkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

super::text_value!(Vkey, "Vkey", "a vkey such as \"example.com/log+1a2b3c4d+AQ...\"");
