//! Reads one HTTP/1 request head as strictly as RFC 9112 allows, before hyper sees it.
//!
//! hyper is lenient where two readings are possible: it drops `Content-Length` beside
//! `Transfer-Encoding`, folds equal lengths, takes a bare LF for a line end. Each of these is a way to
//! smuggle a request past one of two parsers (RFC 9112 §11.2), and what hyper drops the pipeline cannot
//! judge. So whatever has two readings is refused here.

use base::ProblemKind;

use crate::Limits;

/// How the body after a head is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Exactly this many bytes; zero if there is no body.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
}

/// A head that has one reading only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its length in bytes, up to and with the empty line.
    pub(crate) length: usize,
    pub(crate) framing: Framing,
    /// Whether an `Upgrade` field is there: the bytes that follow may belong to another protocol.
    pub(crate) upgrade: bool,
}

/// Why a head is refused: what the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) kind: ProblemKind,
    pub(crate) detail: &'static str,
}

const fn bad(detail: &'static str) -> Malformed {
    Malformed { kind: ProblemKind::MalformedRequest, detail }
}

/// The most fields that can be configured; the parser's table lies on the stack.
const MOST_FIELDS: usize = 128;

/// Examines the bytes received so far. `Ok(None)`: not complete yet.
pub(crate) fn examine(bytes: &[u8], limits: &Limits) -> Result<Option<Head>, Malformed> {
    // RFC 9112 §2.2 asks to pass over an empty line; a thousand of them are an attack on this parser.
    if bytes.starts_with(b"\r\n\r\n\r\n") {
        return Err(bad("The request starts with empty lines."));
    }
    let mut table = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut table[..limits.fields.min(MOST_FIELDS)]);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= limits.head_bytes => length,
        Ok(httparse::Status::Complete(_)) => return Err(too_large(bytes, limits)),
        Ok(httparse::Status::Partial) if bytes.len() > limits.head_bytes => {
            return Err(too_large(bytes, limits));
        }
        Ok(httparse::Status::Partial) => {
            return if bare_line_end(bytes) { Err(bad("A line ends in CR LF.")) } else { Ok(None) };
        }
        Err(error) => return Err(syntax(error)),
    };
    if bare_line_end(&bytes[..length]) {
        return Err(bad("A line ends in CR LF."));
    }
    let target = request.path.unwrap_or_default();
    if target.len() > limits.target_bytes {
        return Err(Malformed {
            kind: ProblemKind::TargetTooLong,
            detail: "The request target is too long.",
        });
    }
    let http_11 = request.version == Some(1);
    let fields = Fields::collect(request.headers)?;
    let method_known = request.method.is_some_and(|m| http::Method::from_bytes(m.as_bytes()).is_ok());
    if !method_known {
        return Err(bad("The method is not a token."));
    }
    check_target(target, fields.host)?;
    if http_11 && fields.host.is_none() {
        return Err(bad("The field Host is missing."));
    }
    Ok(Some(Head { length, framing: fields.framing(http_11)?, upgrade: fields.upgrade }))
}

/// Which of the two size problems it is: without a line end, the target is what is too long.
fn too_large(bytes: &[u8], limits: &Limits) -> Malformed {
    let line = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    if line > limits.target_bytes {
        Malformed { kind: ProblemKind::TargetTooLong, detail: "The request target is too long." }
    } else {
        Malformed { kind: ProblemKind::HeadTooLarge, detail: "The request head is too large." }
    }
}

fn syntax(error: httparse::Error) -> Malformed {
    match error {
        httparse::Error::TooManyHeaders => {
            Malformed { kind: ProblemKind::HeadTooLarge, detail: "The request has too many fields." }
        }
        httparse::Error::HeaderName => bad("A field name has a character that it may not have."),
        httparse::Error::HeaderValue => bad("A field value has a character that it may not have."),
        httparse::Error::NewLine => bad("A line ends in CR LF."),
        httparse::Error::Version => bad("The protocol version is not understood here."),
        httparse::Error::Token | httparse::Error::Status => bad("The request line is malformed."),
    }
}

/// A CR or LF that stands alone. httparse takes a lone LF for a line end, other parsers do not.
fn bare_line_end(bytes: &[u8]) -> bool {
    let mut before = 0;
    bytes.iter().any(|&byte| {
        let alone = (byte == b'\n') != (before == b'\r');
        before = byte;
        alone
    })
}

/// The few fields that decide where the message ends and for whom it is.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

impl<'a> Fields<'a> {
    fn collect(fields: &[httparse::Header<'a>]) -> Result<Self, Malformed> {
        let mut found = Self::default();
        for field in fields {
            // The length first: most names are passed over by one comparison of numbers.
            match field.name.len() {
                4 if field.name.eq_ignore_ascii_case("host") => {
                    once(&mut found.host, field.value, "The field Host is there more than once.")?;
                }
                7 if field.name.eq_ignore_ascii_case("upgrade") => found.upgrade = true,
                14 if field.name.eq_ignore_ascii_case("content-length") => {
                    let length = parse_length(field.value)?;
                    once(&mut found.length, length, "The field Content-Length is there more than once.")?;
                }
                17 if field.name.eq_ignore_ascii_case("transfer-encoding") => {
                    if found.chunked || !field.value.eq_ignore_ascii_case(b"chunked") {
                        return Err(bad("The only transfer coding understood here is chunked, named once."));
                    }
                    found.chunked = true;
                }
                _ => {}
            }
        }
        Ok(found)
    }

    fn framing(&self, http_11: bool) -> Result<Framing, Malformed> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(bad("Content-Length and Transfer-Encoding contradict each other.")),
            // RFC 9112 §6.1: a recipient of HTTP/1.0 with a transfer coding must treat it as faulty framing.
            (true, None) if !http_11 => Err(bad("HTTP/1.0 has no transfer codings.")),
            (true, None) => Ok(Framing::Chunked),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

/// Also two equal ones are refused: whoever repairs that must repair it as everybody else does.
fn once<T>(place: &mut Option<T>, value: T, detail: &'static str) -> Result<(), Malformed> {
    place.replace(value).map_or(Ok(()), |_| Err(bad(detail)))
}

fn parse_length(value: &[u8]) -> Result<u64, Malformed> {
    // Eighteen digits are more bytes than anybody has, and cannot overflow.
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(bad("Content-Length is not a decimal number."));
    }
    if value.len() > 18 {
        return Err(Malformed { kind: ProblemKind::TooLarge, detail: "Content-Length is too large." });
    }
    Ok(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// The target must be a path, or an absolute http(s) address of the same host (RFC 9112 §3.2).
fn check_target(target: &str, host: Option<&[u8]>) -> Result<(), Malformed> {
    // `http::Uri` would drop a fragment silently; here nothing is dropped silently.
    if target.contains('#') {
        return Err(bad("The request target has a fragment."));
    }
    let uri: http::Uri = target.parse().map_err(|_| bad("The request target is malformed."))?;
    if target.starts_with('/') {
        return Ok(());
    }
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(bad("The request target is not a path."));
    }
    let named = uri.authority().map(|authority| authority.as_str().as_bytes());
    match (named, host) {
        (Some(named), Some(host)) if named.eq_ignore_ascii_case(host) => Ok(()),
        // RFC 9112 §3.2.2 lets the target win; a cache before us may have let Host win.
        _ => Err(bad("The request target and the field Host name different hosts.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str) -> Result<Option<Head>, ProblemKind> {
        examine(text.as_bytes(), &Limits::default()).map_err(|m| m.kind)
    }

    #[test]
    fn plain_heads_have_one_framing() {
        let get = "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(
            look(get),
            Ok(Some(Head { length: get.len(), framing: Framing::Length(0), upgrade: false }))
        );
        let sized = look("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello").unwrap().unwrap();
        assert_eq!(sized.framing, Framing::Length(5));
        let chunked =
            look("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n").unwrap().unwrap();
        assert_eq!(chunked.framing, Framing::Chunked);
        assert!(look("GET / HTTP/1.0\r\n\r\n").unwrap().is_some());
        assert!(look("\r\nGET / HTTP/1.0\r\n\r\n").unwrap().is_some());
        assert!(look("GET http://X/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap().is_some());
    }

    #[test]
    fn heads_arrive_in_pieces() {
        let whole = "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(look(&whole[..end]), Ok(None), "{:?}", &whole[..end]);
        }
    }

    #[test]
    fn whatever_has_two_readings_is_refused() {
        use ProblemKind::{HeadTooLarge, MalformedRequest as Bad, TargetTooLong, TooLarge};
        let with = |fields: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n");
        let many: String = (0..100).map(|n| format!("f{n}: v\r\n")).collect();
        let long = "x".repeat(70_000);
        let table = [
            (with("Transfer-Encoding: chunked\r\nContent-Length: 5"), Bad),
            (with("Content-Length: 5\r\nTransfer-Encoding: chunked"), Bad),
            (with("Content-Length: 5\r\nContent-Length: 6"), Bad),
            (with("Content-Length: 5\r\nContent-Length: 5"), Bad),
            (with("Content-Length: +5"), Bad),
            (with("Content-Length: -5"), Bad),
            (with("Content-Length: 5,5"), Bad),
            (with("Content-Length: 0x5"), Bad),
            (with("Content-Length:"), Bad),
            (with("Content-Length: 9999999999999999999999"), TooLarge),
            (with("Transfer-Encoding: chunked, identity"), Bad),
            (with("Transfer-Encoding: gzip, chunked"), Bad),
            (with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), Bad),
            (with("Transfer-Encoding: xchunked"), Bad),
            (with("Transfer-Encoding : chunked"), Bad),
            (with("Transfer-Encoding:\x0bchunked"), Bad),
            (with("Transfer-Encoding: \"chunked\""), Bad),
            (with(" Transfer-Encoding: chunked"), Bad),
            (with("A: b\r\n folded"), Bad),
            (with("A: b\rc"), Bad),
            (with("A: b\0c"), Bad),
            (with("A\0: b"), Bad),
            (with("A b: c"), Bad),
            (with(": c"), Bad),
            (with("no colon"), Bad),
            (with("A: b\nC: d"), Bad),
            (with("Host: y"), Bad),
            (with(&many), HeadTooLarge),
            (with(&format!("A: {long}")), HeadTooLarge),
            (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"), TargetTooLong),
            (format!("GET /{long}"), TargetTooLong),
            (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(9_000)), TargetTooLong),
            ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(), Bad),
            ("GET / HTTP/1.1\nHost: x\n\n".into(), Bad),
            ("GET / HTTP/1.1\r\n\r\n".into(), Bad),
            ("GET / HTTP/2.0\r\nHost: x\r\n\r\n".into(), Bad),
            ("GET / HTTP/1.2\r\nHost: x\r\n\r\n".into(), Bad),
            ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n".into(), Bad),
            ("GET /\r\n".into(), Bad),
            ("G(T / HTTP/1.1\r\nHost: x\r\n\r\n".into(), Bad),
            ("GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n".into(), Bad),
            ("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n".into(), Bad),
            ("GET a HTTP/1.1\r\nHost: x\r\n\r\n".into(), Bad),
            ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".into(), Bad),
            ("CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n".into(), Bad),
            ("GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n".into(), Bad),
            ("GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n".into(), Bad),
            ("GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n".into(), Bad),
            ("\x16\x03\x01\x02\0\x01\0".into(), Bad),
        ];
        for (head, expected) in table {
            let shown: String = head.chars().take(90).collect();
            assert_eq!(look(&head), Err(expected), "{shown:?}");
        }
    }
}
