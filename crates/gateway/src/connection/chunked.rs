//! Follows a chunked body (RFC 9112 §7.1) to know where it ends. It keeps no bytes.
//!
//! Stricter than hyper's reader (no spaces, no bare LF, bounded extensions and trailers), so that what
//! passes here has one reading only and ends for both at the same byte.

/// The body is not chunked as RFC 9112 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadChunk;

/// Longest extension of one chunk, and longest trailer section, in bytes.
const MOST_EXTENSION: u32 = 256;
const MOST_TRAILERS: u32 = 8 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the first digit of a size.
    Start,
    /// Behind a digit; how many came.
    Size(u8),
    /// In an extension; how long it is.
    Extension(u32),
    /// At the LF behind a size line.
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line.
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

/// Where in a chunked body we are.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    left: u64,
    trailers: u32,
}

impl Chunked {
    pub(crate) const fn new() -> Self {
        Self { state: State::Start, left: 0, trailers: 0 }
    }

    /// Whether the last byte of the body has been seen.
    pub(crate) fn ended(&self) -> bool {
        self.state == State::End
    }

    /// Goes over the next bytes; returns how many belong to the body (fewer than given only at its end).
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::End {
            if self.state == State::Data {
                let step = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.left -= step as u64;
                at += step;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.state = self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<State, BadChunk> {
        Ok(match (self.state, byte) {
            (State::Start | State::Size(_), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digits = if let State::Size(digits) = self.state { digits + 1 } else { 1 };
                // Fourteen digits stay far from overflow; leading zeros count too.
                if digits > 14 {
                    return Err(BadChunk);
                }
                let value = (byte as char).to_digit(16).ok_or(BadChunk)?;
                self.left = self.left * 16 + u64::from(value);
                State::Size(digits)
            }
            (State::Size(_), b';') => State::Extension(0),
            (State::Size(_) | State::Extension(_), b'\r') => State::SizeLf,
            (State::Extension(length), b'\t' | b' '..=b'~') if length < MOST_EXTENSION => {
                State::Extension(length + 1)
            }
            (State::SizeLf, b'\n') if self.left > 0 => State::Data,
            (State::SizeLf, b'\n') => State::TrailerStart,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Start,
            (State::TrailerStart, b'\r') => State::EndLf,
            // A line that starts with a space would be folded by some readers.
            (State::TrailerStart, b' ' | b'\t') => return Err(BadChunk),
            (State::TrailerStart | State::Trailer, b'\t' | b' '..=b'~' | 0x80..) => {
                self.trailers += 1;
                if self.trailers > MOST_TRAILERS {
                    return Err(BadChunk);
                }
                State::Trailer
            }
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::End,
            _ => return Err(BadChunk),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(bytes: &[u8]) -> Result<(usize, bool), BadChunk> {
        let mut body = Chunked::new();
        let used = body.advance(bytes)?;
        Ok((used, body.ended()))
    }

    #[test]
    fn the_end_is_found_and_what_follows_is_left() {
        for body in ["0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "A;x=y\r\n0123456789\r\n000\r\nT: v\r\n\r\n"] {
            let text = format!("{body}GET /");
            assert_eq!(follow(text.as_bytes()), Ok((body.len(), true)), "{body:?}");
            let mut piecewise = Chunked::new();
            for byte in body.bytes() {
                assert!(!piecewise.ended());
                assert_eq!(piecewise.advance(&[byte]), Ok(1));
            }
            assert!(piecewise.ended());
        }
    }

    #[test]
    fn two_readings_are_refused() {
        let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(300));
        let trailers = format!("0\r\nT: {}\r\n\r\n", "x".repeat(9_000));
        for body in [
            "\r\n",
            "5 \r\nhello",
            " 5\r\nhello",
            "0x5\r\nhello",
            "+5\r\nhello",
            "5\nhello",
            "5\rhello",
            "5;a\nb\r\n",
            "5\r\nhelloX",
            "5\r\nhello\n0",
            "fffffffffffffffff\r\n",
            "000000000000000\r\n",
            "0\r\n\n",
            "0\r\n x: y\r\n",
            "0\r\nA: b\nC: d\r\n\r\n",
            "0\r\nA: \0\r\n\r\n",
            "g\r\n",
            &long,
            &trailers,
        ] {
            assert_eq!(follow(body.as_bytes()), Err(BadChunk), "{body:?}");
        }
    }
}
