//! Names of people: parsed once at the border, then trusted (AUTH-1).

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;

/// Why a name was refused; the text says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(pub &'static str);

/// A username: 3–50 of `a-z`, `0-9`, `_`, `-`, lowered. Not one that reads like an identifier: where either is taken, a
/// person could pass for somebody else.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

impl FromStr for Username {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let ok = (3..=50).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
            && text.parse::<crate::Id<crate::kind::Account>>().is_err();
        ok.then(|| Self(text.to_ascii_lowercase()))
            .ok_or(InvalidName("must be 3 to 50 letters (a-z), digits, '_' or '-'"))
    }
}

/// An e-mail address of at most 255 bytes, lowered.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl FromStr for Email {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        const WRONG: InvalidName =
            InvalidName("must be an e-mail address such as ada@example.com, at most 255 bytes");
        let lowered = text.trim().nfc().collect::<String>().to_lowercase();
        let options = email_address::Options::default().without_display_text().without_domain_literal();
        // Quoted local parts are in RFC 5321 and nowhere else: mailers refuse them or read them differently.
        let odd = |c: char| c.is_control() || c.is_whitespace() || c == '"';
        if lowered.len() > 255 || lowered.chars().any(odd) {
            return Err(WRONG);
        }
        email_address::EmailAddress::parse_with_options(&lowered, options).map_err(|_| WRONG)?;
        Ok(Self(lowered))
    }
}

/// A person's full name: 1–100 characters, trimmed, no control characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FullName(String);

impl FromStr for FullName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let name = text.trim().nfc().collect::<String>();
        let count = name.chars().count();
        if !(1..=100).contains(&count) || name.chars().any(char::is_control) {
            return Err(InvalidName("must be 1 to 100 characters without control characters"));
        }
        Ok(Self(name))
    }
}

macro_rules! text_type {
    ($name:ident, $shown:expr) => {
        impl $name {
            /// The normalised text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let shown: fn(&Self) -> String = $shown;
                f.write_str(&shown(self))
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_type!(Username, |name| format!("Username({})", name.0));
// Personal data is not printed by accident: no Display, and Debug shows the shape only.
text_type!(Email, |_| "Email(…)".to_owned());
text_type!(FullName, |_| "FullName(…)".to_owned());

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_are_lowered_and_bounded() {
        assert_eq!("Ada_L-1".parse::<Username>().unwrap().as_str(), "ada_l-1");
        for wrong in ["ab", "", "a b c", "ädä", &"x".repeat(51), "a\u{0}b", "name@x"]
            .into_iter()
            .chain(["0198c0de-0000-7000-8000-000000000000", "0198C0DE-0000-7000-8000-000000000000"])
        {
            assert!(wrong.parse::<Username>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn emails_are_lowered_and_bounded() {
        assert_eq!(" Ada@Example.COM ".parse::<Email>().unwrap().as_str(), "ada@example.com");
        let long = format!("{}@example.com", "x".repeat(250));
        for wrong in
            ["", "ada", "ada@", "@example.com", "a b@example.com", "ada@example.com\r\nBcc: x@y.z", &long]
                .into_iter()
                .chain(["\"a\\\"b\"@example.com", "\"x@y\"@example.com"])
        {
            assert!(wrong.parse::<Email>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn personal_names_do_not_print() {
        assert_eq!(format!("{:?}", "ada@example.com".parse::<Email>().unwrap()), "Email(…)");
        assert!("Ada\u{7}".parse::<FullName>().is_err());
        assert!("x".repeat(101).parse::<FullName>().is_err());
    }
}
