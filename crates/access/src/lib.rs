//! Who may do what: Cedar policies, decisions with reasons, permits.
//!
//! Three gates must all pass: capability (the role **or** the tier grants the action), relation (later), conditions
//! (not suspended, verified). Deny by default; what is unknown is a deny. This crate does no IO but [`Access::load`],
//! knows no HTTP and keeps no state.

mod action;
mod decision;
mod engine;
mod permit;
mod requirement;
mod subject;

pub use action::{Action, CATALOGUE, UnknownAction};
pub use decision::{Decision, Grant, code};
pub use engine::{Access, PolicyError};
pub use permit::{Permit, TypedAction, actions};
pub use requirement::{InvalidRequirement, Requirement, ResourceTemplate};
pub use subject::{ResourceRef, Role, Subject, Tier, UnknownWord};
