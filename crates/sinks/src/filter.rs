//! Which events somebody wants.

use std::fmt;
use std::str::FromStr;

use audit::{Entry, Kind};

/// A kind of event by its stable name, or by the beginning of it: `session.signed_in`, `session.*`, `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    stem: String,
    open: bool,
}

/// The text is no pattern, or no kind of event has such a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no kind of event is called {0:?}; they look like session.signed_in, and session.* means all of a family"
)]
pub struct PatternError(String);

impl Pattern {
    /// A pattern that may name kinds which this version does not know yet.
    pub(crate) fn lenient(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(stem) => Self { stem: stem.to_owned(), open: true },
            None => Self { stem: text.to_owned(), open: false },
        }
    }

    /// Whether a kind of this name is meant.
    pub fn matches(&self, kind: &str) -> bool {
        if self.open { kind.starts_with(&self.stem) } else { kind == self.stem }
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let pattern = Self::lenient(text);
        let known = Kind::ALL.iter().any(|kind| pattern.matches(kind.name()));
        if known { Ok(pattern) } else { Err(PatternError(text.chars().take(64).collect())) }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.stem, if self.open { "*" } else { "" })
    }
}

/// What a sink is sent. Alerts and what a sink itself has to report always go along.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Kinds; empty: all.
    pub kinds: Vec<Pattern>,
    /// OCSF severity from which on; 0 and 1: all.
    pub min_severity: u8,
}

impl Filter {
    /// Whether the event is wanted.
    pub fn wants(&self, entry: &Entry) -> bool {
        if entry.kind.starts_with("alert.") || entry.kind.starts_with("sink.") {
            return true;
        }
        entry.severity >= self.min_severity
            && (self.kinds.is_empty() || self.kinds.iter().any(|pattern| pattern.matches(&entry.kind)))
    }
}
