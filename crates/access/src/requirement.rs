//! What a route demands: the `access = "…"` of its configuration.

use crate::{Access, Action, ResourceRef};

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
    pub fn parse(text: &str, access: &Access) -> Result<Self, InvalidRequirement> {
        match text.trim() {
            "public" => Ok(Self::Public),
            "authenticated" => Ok(Self::Authenticated),
            action => Ok(Self::Action {
                action: access.action(action).map_err(|e| InvalidRequirement(e.to_string()))?,
                resource: None,
            }),
        }
    }
}
