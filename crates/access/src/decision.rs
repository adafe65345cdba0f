//! The answer to "may they?".

use std::sync::Arc;

use audit::Event;
use base::{Problem, ProblemKind, Timestamp};

use crate::{Action, Relation, ResourceRef, Revision, Role, Subject, Tier};

/// The stable codes of a [`Decision`].
pub mod code {
    /// A role, a tier or everybody's right grants it.
    pub const GRANTED: &str = "granted";
    /// Nothing grants it.
    pub const NO_GRANT: &str = "no-grant";
    /// The account is suspended.
    pub const SUSPENDED: &str = "suspended";
    /// The e-mail address is not verified.
    pub const UNVERIFIED: &str = "unverified";
    /// The subject has no role: not signed in, or a record without one.
    pub const NO_ROLE: &str = "no-role";
    /// The account is locked: too many wrong passwords were tried from within.
    pub const LOCKED: &str = "locked";
    /// The action is allowed, but this session must show a second factor (again).
    pub const MFA_REQUIRED: &str = "mfa-required";
    /// The session's sign-in looked too suspicious for what can be lost or leaked, and nobody has answered for it since.
    pub const RISK: &str = "risk";
    /// The person has nothing to do with the object, or not enough, or nobody registered it.
    pub const NO_RELATION: &str = "no-relation";
    /// As `no-relation`; a relation that would have been enough has ended.
    pub const LAPSED: &str = "lapsed";
    /// The right is about one's own, and this is somebody else's.
    pub const NOT_YOURS: &str = "not-yours";
    /// Another `forbid` of the policies; the rule says which.
    pub const FORBIDDEN: &str = "forbidden";
    /// There is no such action.
    pub const UNKNOWN_ACTION: &str = "unknown-action";
    /// The action is not about such objects.
    pub const UNKNOWN_RESOURCE: &str = "unknown-resource";
    /// A policy could not be evaluated. The caller records a critical event.
    pub const EVALUATION_ERROR: &str = "evaluation-error";
}

/// What would have granted the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grant {
    /// This role.
    Role(Role),
    /// This tier.
    Tier(Tier),
    /// This relation to the object.
    Relation(Relation),
}

/// Allowed or not, and why. Only `allowed == true` allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub allowed: bool,
    /// Why, as one of [`code`].
    pub code: &'static str,
    /// The `@id` of the policy that decided; `None` where nothing granted.
    pub rule: Option<Arc<str>>,
    /// What would have granted it; for the log and the operator, not for the client (it would name the permission).
    /// Empty where a grant would not help (suspended, unknown …).
    pub missing: Arc<[Grant]>,
    /// When the answer ends by itself; `None` if only a change of the account or of the policies ends it.
    pub expires_at: Option<Timestamp>,
    /// Version of the policies that decided.
    pub policy_version: Arc<str>,
    /// Whether the subject may know that the object exists; without an object, true. If false, the refusal is "not
    /// found".
    pub visible: bool,
    /// The relations that the decision is based on, if an object was named.
    pub relations: Vec<Relation>,
    /// The state of relations that was read.
    pub revision: Revision,
    /// What was asked.
    pub action: Action,
    /// The object that was asked about, if any.
    pub resource: Option<ResourceRef>,
}

impl Decision {
    /// The refusal is "not found": the object is none that the subject may know of, or there is no such action on it.
    pub fn hides(&self) -> bool {
        match self.code {
            code::UNKNOWN_ACTION | code::UNKNOWN_RESOURCE => true,
            code::NO_RELATION | code::LAPSED | code::FORBIDDEN => !self.visible,
            _ => false,
        }
    }

    /// What the client is told of a denial: what they can do about it themselves, never which permission was missing.
    pub fn problem(&self) -> Problem {
        match self.code {
            _ if self.hides() => ProblemKind::NotFound.into(),
            code::MFA_REQUIRED => Problem::new(ProblemKind::ReauthenticationRequired)
                .detail("This demands a second factor that was shown lately (POST /auth/reauthenticate)."),
            code::RISK => Problem::new(ProblemKind::ReauthenticationRequired).detail(
                "The sign-in of this session looked unusual. Give your second factor again (POST /auth/reauthenticate), \
                 or sign in anew from where you usually do.",
            ),
            code::LOCKED => Problem::new(ProblemKind::Forbidden).detail(
                "The account is locked, because too many wrong passwords were tried from within. A new password, set by \
                 a mailed link (POST /auth/password/forgot), ends that.",
            ),
            _ => ProblemKind::Forbidden.into(),
        }
    }

    /// What the trail says about a denial: critical, so that it is on disk before the answer.
    pub fn denied_event(&self) -> Event {
        if self.is_evaluation_error() {
            return Event::AuthzFailed {
                action: self.action.as_str().into(),
                error: "a policy could not be evaluated".into(),
                policy_version: Arc::clone(&self.policy_version),
            };
        }
        Event::AuthzDenied {
            action: self.action.as_str().into(),
            code: self.code,
            rule: self.rule.as_deref().map(Into::into),
            resource: self.resource.as_ref().map(|resource| resource.to_string().into()),
            policy_version: Arc::clone(&self.policy_version),
        }
    }

    /// What the trail says about a permission: with the facts that it stood on, so that it can be decided again under
    /// other policies.
    pub fn allowed_event(&self, subject: &Subject) -> Event {
        let relations: Vec<&str> = self.relations.iter().map(|relation| relation.as_str()).collect();
        Event::AuthzAllowed {
            action: self.action.as_str().into(),
            rule: self.rule.as_deref().map(Into::into),
            resource: self.resource.as_ref().map(|resource| resource.to_string().into()),
            as_role: subject.role.map_or("none", Role::as_str),
            as_tier: subject.tier.map_or("none", Tier::as_str),
            relations: relations.join(" ").into(),
            policy_version: Arc::clone(&self.policy_version),
        }
    }

    /// A policy failed to evaluate: the caller records a critical event.
    pub fn is_evaluation_error(&self) -> bool {
        self.code == code::EVALUATION_ERROR
    }
}
