//! Checks on the header fields as a whole.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderValue, Version};

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

/// Fields of which a second one could be read differently by whoever takes the last instead of the first. The others
/// that we act on (Origin, the Fetch-Metadata ones) join for the same reason.
static SINGLETONS: [(HeaderName, &str); 9] = [
    (HOST, "Host"),
    (CONTENT_LENGTH, "Content-Length"),
    (CONTENT_TYPE, "Content-Type"),
    (AUTHORIZATION, "Authorization"),
    (TRANSFER_ENCODING, "Transfer-Encoding"),
    (http::header::ORIGIN, "Origin"),
    (http::header::REFERER, "Referer"),
    (HeaderName::from_static("sec-fetch-site"), "Sec-Fetch-Site"),
    (HeaderName::from_static("idempotency-key"), "Idempotency-Key"),
];

/// Refuses header fields that are too many, too long, ambiguous about the body's length (RFC 9112 §6.3), doubled where
/// one is allowed, or with control characters in a value.
///
/// # Errors
/// See [`Malformed`].
pub fn check_headers(headers: &HeaderMap, version: Version, limits: &HeadLimits) -> Result<(), Malformed> {
    if headers.len() > limits.fields {
        return Err(Malformed::TooManyHeaders(limits.fields));
    }
    let mut bytes = 0_usize;
    for (name, value) in headers {
        bytes = bytes.saturating_add(name.as_str().len()).saturating_add(value.len());
        if value.as_bytes().iter().any(|b| matches!(b, 0..0x20 | 0x7F) && *b != b'\t') {
            return Err(Malformed::HeaderValue);
        }
    }
    if bytes > limits.bytes {
        return Err(Malformed::HeadersTooLong(limits.bytes));
    }
    for (name, shown) in &SINGLETONS {
        if headers.get_all(name).iter().nth(1).is_some() {
            return Err(Malformed::DuplicateHeader(shown));
        }
    }
    check_length(headers, version)?;
    if version == Version::HTTP_2 || version == Version::HTTP_3 {
        check_http2(headers)?;
    }
    if version == Version::HTTP_11 && !headers.contains_key(HOST) {
        return Err(Malformed::HostMissing);
    }
    Ok(())
}

fn check_length(headers: &HeaderMap, version: Version) -> Result<(), Malformed> {
    let length = headers.get(CONTENT_LENGTH);
    // One list of digits: `5, 5` is allowed to be repaired by RFC 9110 §8.6, and a way to smuggle.
    let is_number = |value: &HeaderValue| {
        (1..=19).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_digit)
    };
    if length.is_some_and(|value| !is_number(value)) {
        return Err(Malformed::ContentLength);
    }
    let Some(encoding) = headers.get(TRANSFER_ENCODING) else { return Ok(()) };
    if length.is_some() {
        return Err(Malformed::LengthConflict);
    }
    // HTTP/1.0 has no chunks (RFC 9112 §6.1), and no other coding is taken.
    if version != Version::HTTP_11 || !encoding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(Malformed::TransferEncoding);
    }
    Ok(())
}

/// RFC 9113 §8.2.2: what belongs to one HTTP/1 connection has no place here, and would be translated into trouble.
fn check_http2(headers: &HeaderMap) -> Result<(), Malformed> {
    static BANNED: [(HeaderName, &str); 4] = [
        (CONNECTION, "Connection"),
        (UPGRADE, "Upgrade"),
        (HeaderName::from_static("keep-alive"), "Keep-Alive"),
        (HeaderName::from_static("proxy-connection"), "Proxy-Connection"),
    ];
    for (name, shown) in &BANNED {
        if headers.contains_key(name) {
            return Err(Malformed::ConnectionHeader(shown));
        }
    }
    if headers.get(TE).is_some_and(|te| te != "trailers") {
        return Err(Malformed::ConnectionHeader("TE"));
    }
    Ok(())
}

/// Removes fields whose name has an underscore and says how many there were. CGI-like services read `x_user` and
/// `x-user` as the same, so an underscore smuggles a header past whoever strips the one with the dash.
pub fn strip_underscored(headers: &mut HeaderMap) -> usize {
    let names: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().contains('_')).cloned().collect();
    for name in &names {
        headers.remove(name);
    }
    names.len()
}
