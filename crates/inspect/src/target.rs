//! The request target (RFC 3986, RFC 9112 §3.2) in canonical form.

use crate::Malformed;

/// What a target may be at most, and which ambiguous forms are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetLimits {
    /// Bytes of path and query as sent.
    pub bytes: usize,
    /// Segments of the path.
    pub segments: usize,
    /// Pairs of the query.
    pub parameters: usize,
    /// Let `%2F` and `%5C` through (kept escaped). Services differ in whether they are separators.
    pub allow_encoded_separators: bool,
    /// Let `%252F` and its kin through. A service that decodes twice sees a separator.
    pub allow_double_encoding: bool,
}

impl Default for TargetLimits {
    fn default() -> Self {
        Self {
            bytes: 8 * 1024,
            segments: 64,
            parameters: 128,
            allow_encoded_separators: false,
            allow_double_encoding: false,
        }
    }
}

/// A request target of which gateway and upstream have one reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalTarget {
    path: String,
    segments: Vec<String>,
    query: Option<String>,
    parameters: Vec<(String, String)>,
}

impl CanonicalTarget {
    /// Reads `path[?query]` as it stands in the request line or `:path`.
    pub fn parse(target: &str, limits: &TargetLimits) -> Result<Self, Malformed> {
        if target.len() > limits.bytes {
            return Err(Malformed::TargetTooLong(limits.bytes));
        }
        Err(Malformed::NotOriginForm)
    }

    /// The canonical path, escaped: what is matched, logged and forwarded. Starts with `/`; a trailing slash is kept.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The decoded segments, without the empty ones. `/a/b%20c/` has `a` and `b c`.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The path ends with a slash (the root does).
    pub fn ends_with_slash(&self) -> bool {
        self.path.ends_with('/')
    }

    /// The query as given, without `?`.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The decoded pairs of the query, in order; `+` is a space.
    pub fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// What goes to the upstream: the canonical path, and the query as given.
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}
