//! What compact JWS and JWE share: strict base64url, and JSON in which nothing can hide.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

const TWICE: &str = "a member occurs twice";
const MANY: &str = "an object has too many members";
/// Looking for doubles costs the square of this, before the signature is checked.
const MAX_MEMBERS: usize = 64;

/// base64url without padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url; padding, other alphabets and non-canonical last characters are refused, so that one
/// byte string has one spelling.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A JSON value with its members in order; objects have no member twice, at any depth. `serde_json::Value`
/// would silently keep the last of two, which is how two readers come to see two different tokens.
#[derive(Debug, PartialEq)]
pub(crate) enum Node<'a> {
    Other,
    Integer(i64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Members<'a>),
}

/// The members of a JSON object.
#[derive(Debug, PartialEq)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

impl<'a> Members<'a> {
    /// Parses a JSON object. The error is a sentence about what is wrong.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
        match serde_json::from_slice::<Node<'a>>(bytes) {
            Ok(Node::Object(members)) => Ok(members),
            Ok(_) => Err("not a JSON object"),
            Err(error) => {
                let text = error.to_string();
                Err([TWICE, MANY].into_iter().find(|known| text.starts_with(known)).unwrap_or("not JSON"))
            }
        }
    }

    /// Refuses members that are not among `known`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), &'static str> {
        let known = self.0.iter().all(|(name, _)| known.contains(&&**name));
        if known { Ok(()) } else { Err("a member that is not allowed here") }
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Node<'a>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, node)| node)
    }

    /// A member that must be a string if it is there.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, &'static str> {
        match self.find(name) {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(_) => Err("a member that must be a string is not"),
        }
    }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Node::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Node::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        // Beyond i64 only its size matters to us.
        Ok(Node::Integer(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Node::Float(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element()? {
            list.push(node);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(Cow<'de, str>, Node<'de>)> = Vec::new();
        while let Some(name) = map.next_key_seed(Name)? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(TWICE));
            }
            if members.len() == MAX_MEMBERS {
                return Err(A::Error::custom(MANY));
            }
            members.push((name, map.next_value()?));
        }
        Ok(Node::Object(Members(members)))
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name;

impl<'de> serde::de::DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match NodeVisitor.deserialize_text(deserializer)? {
            Node::Text(name) => Ok(name),
            _ => Err(D::Error::custom("a name must be a string")),
        }
    }
}

impl NodeVisitor {
    fn deserialize_text<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_occur_twice_are_refused_at_any_depth_and_however_spelt() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"b":1,"b":2}]}"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            assert_eq!(Members::parse(text.as_bytes()), Err(TWICE), "{text}");
        }
        assert!(Members::parse(br#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#).is_ok());
    }

    #[test]
    fn the_number_of_members_is_bounded() {
        let object = |count: usize| {
            let members: Vec<String> = (0..count).map(|i| format!("\"m{i}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(Members::parse(object(MAX_MEMBERS).as_bytes()).is_ok());
        assert_eq!(Members::parse(object(MAX_MEMBERS + 1).as_bytes()), Err(MANY));
    }

    #[test]
    fn only_whole_objects_are_objects() {
        for text in ["", "1", "[]", "null", "{", "{}x", "{\"a\":\"\\ud800\"}", "\u{feff}{}"] {
            assert!(Members::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn base64url_has_one_spelling() {
        assert_eq!(decode("Zm9v"), Some(b"foo".to_vec()));
        for text in ["Zm9vYg==", "Zm9vYh", "Zm9v\n", " Zm9v", "Zm9+", "Zm9/", "Z"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
