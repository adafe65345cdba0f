//! The request target (RFC 3986, RFC 9112 §3.2) in canonical form.

use crate::Malformed;
use crate::escape::{self, Escape};

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
///
/// The path is normalised after RFC 3986 §6.2.2: escapes decoded once, unreserved characters written plain, everything
/// else escaped in upper case; a reserved character that came escaped stays escaped, because services may tell `;` from
/// `%3B`. Dot segments are resolved. Empty segments are collapsed rather than refused: `//` comes from honest clients
/// that join a base with a slash to a path with one, and since the collapsed form is what is forwarded, nobody can reach
/// a route by doubling slashes that the gateway read as another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalTarget {
    path: String,
    segments: Vec<String>,
    query: Option<String>,
    parameters: Vec<(String, String)>,
}

impl CanonicalTarget {
    /// Reads `path[?query]` as it stands in the request line or `:path`.
    ///
    /// # Errors
    /// Anything of which two programs could have two readings; see [`Malformed`].
    pub fn parse(target: &str, limits: &TargetLimits) -> Result<Self, Malformed> {
        if target.len() > limits.bytes {
            return Err(Malformed::TargetTooLong(limits.bytes));
        }
        if !target.starts_with('/') {
            return Err(Malformed::NotOriginForm);
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let (path, segments) = canonical_path(path, limits)?;
        let parameters = query.map_or(Ok(Vec::new()), |query| parameters(query, limits))?;
        Ok(Self { path, segments, query: query.map(str::to_owned), parameters })
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

    /// The decoded pairs of the query, in order; `+` is a space, an empty pair (`&&`) is left out.
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

fn canonical_path(raw: &str, limits: &TargetLimits) -> Result<(String, Vec<String>), Malformed> {
    // (canonical, decoded) of each segment; `..` takes one away.
    let mut kept: Vec<(String, String)> = Vec::new();
    let mut open = true;
    for (seen, segment) in raw[1..].split('/').enumerate() {
        // Counted before dots are resolved, so that the work is bounded, too.
        if seen >= limits.segments {
            return Err(Malformed::TooManySegments(limits.segments));
        }
        let (canonical, decoded) = canonical_segment(segment, limits)?;
        // Whether the path so far is a folder: after `x/`, `x/.` and `x/..`.
        open = true;
        match decoded.as_str() {
            "" | "." => {}
            ".." => {
                kept.pop().ok_or(Malformed::Climbs)?;
            }
            _ => {
                open = false;
                kept.push((canonical, decoded));
            }
        }
    }
    let mut path = String::with_capacity(raw.len());
    for (canonical, _) in &kept {
        path.push('/');
        path.push_str(canonical);
    }
    if open {
        path.push('/');
    }
    Ok((path, kept.into_iter().map(|(_, decoded)| decoded).collect()))
}

fn canonical_segment(raw: &str, limits: &TargetLimits) -> Result<(String, String), Malformed> {
    const PART: &str = "path";
    let mut canonical = String::with_capacity(raw.len());
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        let (byte, was_escaped) = match byte {
            b'%' => (escape::hex_pair(&mut rest).ok_or(Malformed::BadEscape(PART))?, true),
            byte => (byte, false),
        };
        match byte {
            0..0x20 | 0x7F => return Err(Malformed::ControlCharacter(PART)),
            b'\\' if !was_escaped => return Err(Malformed::Backslash),
            b'/' | b'\\' if !limits.allow_encoded_separators => return Err(Malformed::EncodedSeparator),
            b' ' | b'#' if !was_escaped => return Err(Malformed::RawCharacter(PART)),
            _ => {}
        }
        let plain = escape::is_unreserved(byte) || (!was_escaped && escape::is_reserved_in_segment(byte));
        if plain {
            canonical.push(byte as char)
        } else {
            canonical.push_escaped(byte)
        }
        decoded.push(byte);
    }
    let decoded = String::from_utf8(decoded).map_err(|_| Malformed::NotUtf8(PART))?;
    // U+0080–U+009F are control characters as well; terminals obey them.
    if decoded.chars().any(char::is_control) {
        return Err(Malformed::ControlCharacter(PART));
    }
    if !limits.allow_double_encoding && escape::hides_separator(&decoded) {
        return Err(Malformed::DoubleEncoding);
    }
    // Dots that only some programs see: behind an escaped separator, or before a `;` that servlet containers cut off.
    let parts = || decoded.split(['/', '\\']);
    let hides_dots =
        parts().count() > 1 && parts().any(is_dots) || decoded.contains(';') && parts().any(starts_with_dots);
    if hides_dots {
        return Err(Malformed::Climbs);
    }
    Ok((canonical, decoded))
}

fn is_dots(part: &str) -> bool {
    part == "." || part == ".."
}

fn starts_with_dots(part: &str) -> bool {
    part.split(';').next().is_some_and(is_dots)
}

fn parameters(query: &str, limits: &TargetLimits) -> Result<Vec<(String, String)>, Malformed> {
    let mut pairs = Vec::new();
    for pair in query.split('&') {
        if pair.is_empty() {
            continue;
        }
        if pairs.len() >= limits.parameters {
            return Err(Malformed::TooManyParameters(limits.parameters));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((query_text(name)?, query_text(value)?));
    }
    Ok(pairs)
}

/// Decodes a name or a value once. Line breaks and tabs may come escaped, because lyrics have them.
fn query_text(raw: &str) -> Result<String, Malformed> {
    const PART: &str = "query";
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'%' => match escape::hex_pair(&mut rest).ok_or(Malformed::BadEscape(PART))? {
                byte @ (b'\t' | b'\n' | b'\r') => byte,
                0..0x20 | 0x7F => return Err(Malformed::ControlCharacter(PART)),
                byte => byte,
            },
            b'+' => b' ',
            0..0x20 | 0x7F => return Err(Malformed::ControlCharacter(PART)),
            b' ' | b'#' => return Err(Malformed::RawCharacter(PART)),
            byte => byte,
        });
    }
    String::from_utf8(decoded).map_err(|_| Malformed::NotUtf8(PART))
}
