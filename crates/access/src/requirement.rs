//! What a route demands: the `access = "…"` of its configuration.

use std::fmt;

use crate::{Access, Action, Bundle, ResourceRef};

/// What a route demands of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing.
    Public,
    /// Being signed in.
    Authenticated,
    /// An allowed action, perhaps on the object that the path names.
    Action {
        /// The action.
        action: Action,
        /// Where in the path the object is named.
        resource: Option<ResourceTemplate>,
    },
}

/// `track/{id}`: the object's type, and the path parameter that holds its identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceTemplate {
    /// The object's type.
    pub kind: String,
    /// The name of the path parameter, without braces.
    pub parameter: String,
}

impl ResourceTemplate {
    /// The object of a request, given the value of the path parameter.
    pub fn fill(&self, value: &str) -> ResourceRef {
        ResourceRef { kind: self.kind.clone(), id: value.to_owned() }
    }
}

/// The text is not a requirement; the message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRequirement(pub String);

impl Requirement {
    /// Reads `"public"`, `"authenticated"`, `"track:read"` or `"track:read on track/{id}"` against the loaded catalogue.
    ///
    /// # Errors
    /// What is wrong and what would be right, in one sentence. Whether the path has the parameter is for the caller to
    /// check, who knows the path.
    pub fn parse(text: &str, access: &Access) -> Result<Self, InvalidRequirement> {
        Self::parse_with(text, &access.bundle())
    }

    /// As [`parse`](Self::parse), against a catalogue that need not be in force.
    ///
    /// # Errors
    /// See there.
    pub fn parse_with(text: &str, access: &Bundle) -> Result<Self, InvalidRequirement> {
        let words: Vec<&str> = text.split_ascii_whitespace().take(4).collect();
        match words[..] {
            [] => Err(InvalidRequirement(format!("the access is empty; write {FORMS}"))),
            ["public"] => Ok(Self::Public),
            ["authenticated"] => Ok(Self::Authenticated),
            [name] => Ok(Self::Action { action: action(name, access)?, resource: None }),
            [name, "on", object] => {
                let action = action(name, access)?;
                let resource = Some(template(object, &action, access)?);
                Ok(Self::Action { action, resource })
            }
            _ => Err(InvalidRequirement(format!(
                "the access {:?} is not understood; write {FORMS}",
                cut(text)
            ))),
        }
    }
}

/// As in the configuration file.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Authenticated => f.write_str("authenticated"),
            Self::Action { action, resource: None } => write!(f, "{action}"),
            Self::Action { action, resource: Some(ResourceTemplate { kind, parameter }) } => {
                write!(f, "{action} on {kind}/{{{parameter}}}")
            }
        }
    }
}

const FORMS: &str = r#""public", "authenticated", "track:read" or "track:read on track/{id}""#;

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

fn action(name: &str, access: &Bundle) -> Result<Action, InvalidRequirement> {
    // A near miss of the two plain words should not be answered with the nearest action.
    for word in ["public", "authenticated"] {
        if !name.contains([':', '.']) && strsim::damerau_levenshtein(&name.to_lowercase(), word) <= 3 {
            return Err(InvalidRequirement(format!(
                "{:?} is not understood; did you mean {word:?}?",
                cut(name)
            )));
        }
    }
    access.action(name).map_err(|e| InvalidRequirement(e.to_string()))
}

fn template(object: &str, action: &Action, access: &Bundle) -> Result<ResourceTemplate, InvalidRequirement> {
    let wrong = || {
        InvalidRequirement(format!(
            "the object {:?} is not understood; write it as \"track/{{id}}\"",
            cut(object)
        ))
    };
    let (kind, parameter) = object.split_once('/').ok_or_else(wrong)?;
    let parameter = parameter.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(wrong)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if parameter.is_empty() || !parameter.chars().all(is_name) {
        return Err(wrong());
    }
    let kinds = access.kinds(action);
    if !kinds.contains(&kind) {
        let known = if kinds.is_empty() { "no object".to_owned() } else { kinds.join(", ") };
        return Err(InvalidRequirement(format!(
            "{action} is not about {:?}; it can be about: {known}",
            cut(kind)
        )));
    }
    Ok(ResourceTemplate { kind: kind.to_owned(), parameter: parameter.to_owned() })
}
