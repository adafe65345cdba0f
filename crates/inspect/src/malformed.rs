//! Why a request's head was refused.

use base::ProblemKind;

/// What is wrong with the head of a request. The text may be shown to the client: it repeats nothing that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    /// Longer than allowed.
    #[error("the request target is longer than {0} bytes")]
    TargetTooLong(usize),
    /// Not origin-form (RFC 9112 §3.2.1).
    #[error("the request target does not start with '/'")]
    NotOriginForm,
    /// A `%` without two hexadecimal digits.
    #[error("the {0} has a '%' without two hexadecimal digits")]
    BadEscape(&'static str),
    /// NUL or another control character, raw or escaped.
    #[error("the {0} has a control character")]
    ControlCharacter(&'static str),
    /// A backslash, which some services read as a slash.
    #[error("the path has a backslash")]
    Backslash,
    /// `%2F` or `%5C`.
    #[error("the path has an escaped separator")]
    EncodedSeparator,
    /// `%252F` and its kin.
    #[error("the path is escaped twice")]
    DoubleEncoding,
    /// `..` above the root, or hidden in a segment.
    #[error("the path climbs above its root")]
    Climbs,
    /// Not UTF-8 after decoding (overlong forms included).
    #[error("the {0} is not UTF-8")]
    NotUtf8(&'static str),
    /// A character that may not stand raw in a target.
    #[error("the {0} has a character that must be escaped")]
    RawCharacter(&'static str),
    /// Too many segments.
    #[error("the path has more than {0} segments")]
    TooManySegments(usize),
    /// Too many pairs in the query.
    #[error("the query has more than {0} parameters")]
    TooManyParameters(usize),
    /// The Host header, or `:authority`, is not a host.
    #[error("the host is not a host name or address with an optional port")]
    Host,
    /// HTTP/1.1 without Host.
    #[error("the host is missing")]
    HostMissing,
    /// Too many header fields.
    #[error("the request has more than {0} header fields")]
    TooManyHeaders(usize),
    /// Header fields too long in sum or one of them.
    #[error("the header fields are longer than {0} bytes")]
    HeadersTooLong(usize),
    /// A field that may stand once stands more often.
    #[error("the header field {0} stands more than once")]
    DuplicateHeader(&'static str),
    /// Transfer-Encoding and Content-Length together (RFC 9112 §6.1), the stuff of request smuggling.
    #[error("the request has both Transfer-Encoding and Content-Length")]
    LengthConflict,
    /// A Transfer-Encoding other than one final `chunked`, or where the version has none.
    #[error("the Transfer-Encoding is not supported")]
    TransferEncoding,
    /// A Content-Length that is not a number.
    #[error("the Content-Length is not a number")]
    ContentLength,
    /// A control character in a field value.
    #[error("a header field has a control character")]
    HeaderValue,
    /// A connection field in HTTP/2 (RFC 9113 §8.2.2).
    #[error("the header field {0} may not stand in HTTP/2")]
    ConnectionHeader(&'static str),
}

impl Malformed {
    /// What the client is told.
    pub const fn problem(self) -> ProblemKind {
        match self {
            Self::TargetTooLong(_) => ProblemKind::TargetTooLong,
            Self::TooManyHeaders(_) | Self::HeadersTooLong(_) => ProblemKind::HeadTooLarge,
            _ => ProblemKind::MalformedRequest,
        }
    }

    /// A stable word for logs and counters.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TargetTooLong(_) => "target-too-long",
            Self::NotOriginForm => "not-origin-form",
            Self::BadEscape(_) => "bad-escape",
            Self::ControlCharacter(_) => "control-character",
            Self::Backslash => "backslash",
            Self::EncodedSeparator => "encoded-separator",
            Self::DoubleEncoding => "double-encoding",
            Self::Climbs => "climbs",
            Self::NotUtf8(_) => "not-utf8",
            Self::RawCharacter(_) => "raw-character",
            Self::TooManySegments(_) => "too-many-segments",
            Self::TooManyParameters(_) => "too-many-parameters",
            Self::Host => "host",
            Self::HostMissing => "host-missing",
            Self::TooManyHeaders(_) => "too-many-headers",
            Self::HeadersTooLong(_) => "headers-too-long",
            Self::DuplicateHeader(_) => "duplicate-header",
            Self::LengthConflict => "length-conflict",
            Self::TransferEncoding => "transfer-encoding",
            Self::ContentLength => "content-length",
            Self::HeaderValue => "header-value",
            Self::ConnectionHeader(_) => "connection-header",
        }
    }
}
