//! Text from outside, bounded and harmless in a log.

use std::fmt;
use std::ops::Deref;

use serde::{Serialize, Serializer};

/// Text of at most `MAX` bytes without control characters: what came from outside is cut and
/// escaped here, once, so that neither a queue nor a log line nor a terminal suffers from it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Clean<const MAX: usize>(Box<str>);

/// A user agent.
pub type Agent = Clean<512>;
/// A concrete path (without query).
pub type PathText = Clean<1024>;
/// A sentence of detail.
pub type Detail = Clean<256>;
/// A method, a code, a name.
pub type Short = Clean<64>;

impl<const MAX: usize> Clean<MAX> {
    /// Cuts to `MAX` bytes and escapes control characters, line separators and bidirectional
    /// overrides as `\u{…}`. A cut text ends in `…`.
    pub fn new(text: &str) -> Self {
        // Nearly all text is plain already: one pass over the bytes, one copy.
        if text.len() <= MAX && text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Self(text.into());
        }
        Self(escape(text, MAX).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn escape(text: &str, max: usize) -> String {
    const CUT: char = '…';
    let mut out = String::with_capacity(text.len().min(max));
    let mut before_cut = 0;
    for c in text.chars() {
        if out.len() + CUT.len_utf8() <= max {
            before_cut = out.len();
        }
        if is_harmless(c) {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
        if out.len() > max {
            out.truncate(before_cut);
            out.push(CUT);
            return out;
        }
    }
    out
}

/// Control characters move the cursor or break lines; U+202A–202E and U+2066–2069 reorder what a
/// person reads; U+2028 and U+2029 break lines in some viewers.
fn is_harmless(c: char) -> bool {
    !(c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{feff}'))
}

impl<const MAX: usize> From<&str> for Clean<MAX> {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl<const MAX: usize> From<String> for Clean<MAX> {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl<const MAX: usize> Deref for Clean<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Clean<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Clean<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Agents and paths are personal; a debug line of a record must not print them.
        write!(f, "Clean({} bytes)", self.0.len())
    }
}

impl<const MAX: usize> Serialize for Clean<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        assert_eq!(Short::new("GET").as_str(), "GET");
        assert_eq!(Short::new("Björk – Jóga").as_str(), "Björk – Jóga");
    }

    #[test]
    fn what_could_forge_a_line_is_escaped() {
        assert_eq!(Short::new("a\r\nb\u{1b}[2J").as_str(), "a\\u{d}\\u{a}b\\u{1b}[2J");
        assert_eq!(Short::new("x\u{202e}y").as_str(), "x\\u{202e}y");
    }

    #[test]
    fn long_text_is_cut_on_a_character_and_says_so() {
        for text in ["x".repeat(5000), "é".repeat(5000), "\n".repeat(5000), "𝄞".repeat(16) + "x"] {
            let clean = Short::new(&text);
            assert!(clean.len() <= 64, "{}", clean.len());
            assert!(clean.ends_with('…'));
        }
        assert_eq!(Short::new(&"x".repeat(64)).len(), 64);
        assert_eq!(Short::new(&"𝄞".repeat(16)).as_str(), "𝄞".repeat(16));
    }
}
