//! JSON bodies and queries, strictly read: unknown, missing, doubled and ill-typed fields are refused by their place
//! (RFC 6901), and nothing that was sent is repeated.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use base::{Problem, ProblemKind};
use guard::BodyError;
use http::header::CONTENT_TYPE;
use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use crate::MAX_BODY;
use crate::failure::Failure;

/// A JSON body of the model `T`.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let media_type =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !is_json(media_type) {
            return Err(Problem::new(ProblemKind::UnsupportedMediaType)
                .detail("Send application/json.")
                .into());
        }
        let bytes = to_bytes(request.into_body(), MAX_BODY).await.map_err(|error| broken(&error))?;
        if bytes.is_empty() {
            return Err(Problem::new(ProblemKind::MalformedRequest).detail("A JSON body is needed.").into());
        }
        // Serde would also take the fields' values as a list, in order.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
            return Err(Failure::invalid("", "must be an object"));
        }
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        // A number where a word of a list must stand is called bad syntax by serde_json, although it is good JSON.
        let sound = || serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
        let value = read_if(&mut json, Place::Body, sound)?;
        json.end().map_err(|error| syntax(&error))?;
        Ok(Self(value))
    }
}

/// `application/json`, with no other character set than UTF-8 (RFC 8259 §8.1 knows no other).
fn is_json(media_type: &str) -> bool {
    let mut parts = media_type.split(';').map(str::trim);
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| {
            parameter.is_empty()
                || parameter.split_once('=').is_some_and(|(name, value)| {
                    name.eq_ignore_ascii_case("charset")
                        && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
                })
        })
}

/// The body did not arrive whole.
fn broken(error: &axum::Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return ProblemKind::TooLarge.into();
        }
        match error.downcast_ref::<BodyError>() {
            Some(BodyError::TooLarge(_)) => return ProblemKind::TooLarge.into(),
            Some(BodyError::Stalled) => return ProblemKind::RequestTimeout.into(),
            _ => cause = error.source(),
        }
    }
    Problem::new(ProblemKind::MalformedRequest).detail("The body broke off.").into()
}

fn syntax(error: &serde_json::Error) -> Failure {
    let place = format!("The body is not JSON: line {}, column {}.", error.line(), error.column());
    Problem::new(ProblemKind::MalformedRequest).detail(place).into()
}

/// Where a field stands, for its pointer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// `/name/0`
    Body,
    /// `?name`
    Query,
}

/// Reads a model; the failure names the field.
pub(crate) fn read<'de, D, T>(input: D, place: Place) -> Result<T, Failure>
where
    D: Deserializer<'de, Error = serde_json::Error>,
    T: DeserializeOwned,
{
    read_if(input, place, || false)
}

/// As [`read`]; `sound` says whether all of it is JSON, so that what serde_json calls bad syntax is a wrong field.
fn read_if<'de, D, T>(input: D, place: Place, sound: impl Fn() -> bool) -> Result<T, Failure>
where
    D: Deserializer<'de, Error = serde_json::Error>,
    T: DeserializeOwned,
{
    serde_path_to_error::deserialize(input).map_err(|error| {
        let path = error.path().clone();
        let inner = error.into_inner();
        if inner.is_data() {
            field(&path, &inner.to_string(), place)
        } else if sound() {
            field(&path, "invalid type, expected another kind of value", place)
        } else {
            syntax(&inner)
        }
    })
}

/// Serde says what is wrong in English only; its sentences have been stable for ten years, and a test reads them.
fn field(path: &Path, message: &str, place: Place) -> Failure {
    // " at line 1 column 9" is noise beside a pointer.
    let message = message.rfind(" at line ").map_or(message, |at| &message[..at]);
    let named = || message.split('`').nth(1).unwrap_or_default();
    let (inside, detail) = if message.starts_with("missing field") {
        (Some(named()), "is required".to_owned())
    } else if let Some((name, known)) = unknown_field(message) {
        (Some(name), format!("is not known here; {}", known.replace('`', "")))
    } else if message.starts_with("duplicate field") {
        (Some(named()), "stands more than once".to_owned())
    } else if let Some((_, expected)) = message.rsplit_once(", expected ") {
        (None, format!("must be {}", expected.replace('`', "")))
    } else {
        // A sentence of our own parsers; cut, in case one of them repeats its input.
        (None, message.chars().take(200).collect())
    };
    let mut names: Vec<String> = path
        .iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect();
    if let Some(name) = inside
        && names.last().is_none_or(|last| last != name)
    {
        names.push(name.to_owned());
    }
    let pointer = match place {
        Place::Query => format!("?{}", names.join(".")),
        Place::Body => {
            names.iter().map(|n| format!("/{}", n.replace('~', "~0").replace('/', "~1"))).collect()
        }
    };
    // A doubled or unknown name is as long as the client likes.
    Failure::invalid(pointer.chars().take(200).collect::<String>(), detail)
}

/// The client chose the name, so the end of it is looked for from behind.
fn unknown_field(message: &str) -> Option<(&str, &str)> {
    let rest = message.strip_prefix("unknown field `")?;
    let end = rest.rfind("`, expected ").or_else(|| rest.rfind("`, there are no fields"))?;
    Some((&rest[..end], &rest[end + 3..]))
}

/// For query parameters that are not text: `#[serde(deserialize_with = "strict::from_text")]`.
pub(crate) fn from_text<'de, D, T>(input: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text: String = serde::Deserialize::deserialize(input)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// For times in a query.
pub(crate) fn from_rfc3339<'de, D: Deserializer<'de>>(input: D) -> Result<Option<base::Timestamp>, D::Error> {
    required_rfc3339(input).map(Some)
}

/// For times that a query must have.
pub(crate) fn required_rfc3339<'de, D: Deserializer<'de>>(input: D) -> Result<base::Timestamp, D::Error> {
    let text: String = serde::Deserialize::deserialize(input)?;
    base::Timestamp::parse_rfc3339(&text)
        .ok_or_else(|| serde::de::Error::custom("must be a time such as 2026-01-02T03:04:05Z"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether and how reading fails is of interest")]
    struct Model {
        #[serde(alias = "nick")]
        name: base::Username,
        count: Option<u32>,
        tier: Option<access::Tier>,
        items: Option<Vec<Item>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "as above")]
    struct Item {
        id: base::Id<base::kind::Account>,
    }

    fn wrong(json: &str) -> (String, String) {
        let mut input = serde_json::Deserializer::from_str(json);
        let failure = read::<_, Model>(&mut input, Place::Body).unwrap_err();
        let problem = failure.problem();
        assert_eq!(problem.kind, ProblemKind::InvalidField, "{json}");
        let error = &problem.errors[0];
        (error.pointer.clone(), error.detail.clone())
    }

    #[test]
    fn wrong_fields_are_named_by_pointer_and_never_repeated() {
        for (json, pointer, detail) in [
            ("{}", "/name", "is required"),
            (r#"{"nick":"ada","name":"bob"}"#, "/name", "stands more than once"),
            (r#"{"name":7}"#, "/name", "must be a string"),
            (r#"{"name":"x"}"#, "/name", "must be 3 to 50 letters (a-z), digits, '_' or '-'"),
            (r#"{"name":"ada","count":"7"}"#, "/count", "must be u32"),
            (r#"{"name":"ada","count":-1}"#, "/count", "must be u32"),
            (r#"{"name":"ada","tier":"gold"}"#, "/tier", "must be one of free, pro, studio"),
            (
                r#"{"name":"ada","role":1}"#,
                "/role",
                "is not known here; expected one of name, nick, count, tier, items",
            ),
            (
                r#"{"name":"ada","a/b~c":1}"#,
                "/a~1b~0c",
                "is not known here; expected one of name, nick, count, tier, items",
            ),
            (
                r#"{"name":"ada","items":[{"id":"x"}]}"#,
                "/items/0/id",
                "not an identifier: expected a UUID such as 0198c0de-0000-7000-8000-000000000000",
            ),
            (r#"{"name":"ada","items":[{}]}"#, "/items/0/id", "is required"),
            (r#"{"name":"ada","items":[{"di":1}]}"#, "/items/0/di", "is not known here; expected id"),
            ("\"hunter2\"", "", "must be struct Model"),
        ] {
            assert_eq!(wrong(json), (pointer.into(), detail.into()), "{json}");
        }
        let (pointer, _) = wrong(&format!("{{\"{}\":1}}", "x".repeat(5000)));
        assert!(pointer.len() <= 200);
    }

    #[test]
    fn what_is_not_json_says_where() {
        let mut input = serde_json::Deserializer::from_str("{\"name\": ada}");
        let failure = read::<_, Model>(&mut input, Place::Body).unwrap_err();
        assert_eq!(failure.problem().kind, ProblemKind::MalformedRequest);
        assert_eq!(failure.problem().detail.as_deref(), Some("The body is not JSON: line 1, column 10."));
    }

    #[test]
    fn queries_are_named_with_a_question_mark() {
        let failure = read::<_, Model>(json!({"name": "x"}), Place::Query).unwrap_err();
        assert_eq!(failure.problem().errors[0].pointer, "?name");
        assert!(read::<_, Model>(Value::Null, Place::Query).is_err());
    }

    #[test]
    fn only_json_in_utf8_is_json() {
        for right in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(is_json(right), "{right}");
        }
        for wrong in [
            "",
            "text/json",
            "application/json-seq",
            "application/x-www-form-urlencoded",
            "application/json; charset=latin1",
            "application/json; x",
        ] {
            assert!(!is_json(wrong), "{wrong}");
        }
    }
}
