//! Who may do what: Cedar policies, decisions with reasons, permits.
//!
//! Three gates must all pass: capability (the role **or** the tier grants the action), relation (what the person has to
//! do with the object: [`Facts`]), conditions (has a role, not suspended, verified, a session strong enough). Deny by
//! default; what is unknown is a deny, and so is a policy that fails to evaluate: then the [`Decision`] carries
//! [`code::EVALUATION_ERROR`] and the caller records a critical event.
//!
//! The rules are Cedar policies: `policies/` at the root of the repository, built in. This crate does no IO but in
//! [`Access::load`], knows no HTTP, keeps no state but the bundle in force and verdicts that cannot change, and writes no audit.
//!
//! ```
//! use access::{Access, Action, Role, Subject, Tier, actions::UserAdmin, code};
//! use base::{Clock, Entropy, Id};
//! let access = Access::builtin().unwrap();
//! let account = Id::new(&Clock::controlled(0), &Entropy::seeded(1));
//! let subject = Subject::account(account, Role::User, Tier::Pro);
//! let action: Action = "track:read".parse().unwrap();
//! let decision = access.decide(&subject, &action, None);
//! assert!(decision.allowed);
//! assert_eq!(decision.rule.as_deref(), Some("role.user"));
//! assert_eq!(access.permit::<UserAdmin>(&subject).unwrap_err().code, code::NO_GRANT);
//! ```

mod action;
mod bounds;
mod bundle;
mod case;
mod decision;
mod engine;
mod example;
mod facts;
#[cfg(feature = "layer")]
mod layer;
mod life;
mod matrix;
#[cfg(test)]
mod model_tests;
mod permit;
#[cfg(test)]
mod policy_tests;
mod reach;
mod relations;
mod requirement;
mod resource_type;
mod slice;
#[cfg(feature = "solver")]
pub mod solver;
mod source;
mod subject;
#[cfg(test)]
mod tests;

pub use action::{Action, CATALOGUE, UnknownAction};
pub use bundle::Bundle;
pub use decision::{Decision, Grant, code};
pub use engine::Access;
pub use example::{Example, ExampleFailure, ExamplePrincipal, Expect};
pub use facts::{Facts, Hold, Relation, Revision, TokenTerms};
#[cfg(feature = "layer")]
pub use layer::{Demand, Demanding, Gate};
pub use life::{Activation, LifeError, Policies};
pub use matrix::{CellChange, Matrix};
pub use permit::{Permit, TypedAction, actions};
pub use relations::{
    AccessError, Asker, COLLABORATION_AUDIENCE, COLLABORATION_TYPE, Giving, Glass, Invitation,
    InvitationView, Issued, Listed, ListedSubject, MemberView, ObjectPage, ObjectView, Offer, OfferView,
    Offered, Offering, Opened, Owned, Question, Redeemed, Registration, RelationParts, RelationSettings,
    Relations, Share, ShareView, SubjectPage, TeamView,
};
pub use requirement::{InvalidRequirement, Requirement, ResourceTemplate};
pub use resource_type::{ResourceType, TypeAction};
pub use source::{PolicyError, PolicyFile};
pub use subject::{Assurance, Conditions, ResourceRef, Role, StepUp, Subject, Tier, UnknownWord};
