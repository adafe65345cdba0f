//! Percent escapes (RFC 3986 §2).

/// Reads the two digits after a `%`.
pub(crate) fn hex_pair(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
    let (high, low) = (digit()?, digit()?);
    u8::try_from(high * 16 + low).ok()
}

/// Characters that mean the same with and without escape (§2.3).
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Characters that may stand plain in a segment and perhaps mean something there (sub-delims, `:`, `@`; §3.3).
pub(crate) const fn is_reserved_in_segment(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@')
}

/// Writes escapes in upper case (§6.2.2.1).
pub(crate) trait Escape {
    fn push_escaped(&mut self, byte: u8);
}

impl Escape for String {
    fn push_escaped(&mut self, byte: u8) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        self.push('%');
        self.push(DIGITS[usize::from(byte >> 4)] as char);
        self.push(DIGITS[usize::from(byte & 15)] as char);
    }
}

/// Whether text that was decoded once still holds an escaped `/`, `\`, `.` or control character, escaped however often:
/// whoever decodes again would see it. Harmless text such as `100%25` passes.
pub(crate) fn hides_separator(decoded: &str) -> bool {
    decoded.match_indices('%').any(|(at, _)| {
        let mut rest = &decoded.as_bytes()[at + 1..];
        while let Some(deeper) = rest.strip_prefix(b"25") {
            rest = deeper;
        }
        hex_pair(&mut rest.iter().copied())
            .is_some_and(|byte| matches!(byte, b'/' | b'\\' | b'.' | 0..0x20 | 0x7F))
    })
}
