//! The policies in force, and the decisions that they give.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base::Actor;

use crate::bundle::Bundle;
use crate::source::PolicyError;
use crate::{Action, Decision, Permit, ResourceRef, Subject, TypedAction, UnknownAction};

/// The policies in force. Clones share them: whoever [replaces](Self::replace) the bundle replaces it for everybody, and
/// no decision ever sees half of one and half of the other.
#[derive(Clone)]
pub struct Access(Arc<ArcSwap<Bundle>>);

impl Access {
    /// With the built-in policies.
    ///
    /// # Errors
    /// None in a program whose tests passed; they are checked like any others.
    pub fn builtin() -> Result<Self, PolicyError> {
        Bundle::builtin().map(Self::new)
    }

    /// With the built-in policies and those of a directory; see [`Bundle::load`].
    ///
    /// # Errors
    /// A file that cannot be read or is not strictly valid, with file, line and column.
    pub fn load(dir: &Path) -> Result<Self, PolicyError> {
        Bundle::load(dir).map(Self::new)
    }

    /// With these policies.
    pub fn new(bundle: Bundle) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(bundle)))
    }

    /// The policies in force, for several questions that must agree.
    pub fn bundle(&self) -> Arc<Bundle> {
        self.0.load_full()
    }

    /// Puts other policies in force, at once and for every clone; gives the ones before. Decisions that are being made
    /// finish with those they began with.
    pub fn replace(&self, bundle: Arc<Bundle>) -> Arc<Bundle> {
        self.0.swap(bundle)
    }

    /// Short hash of schema and policies: the same on every node that loaded the same.
    pub fn version(&self) -> Arc<str> {
        Arc::clone(self.0.load().version())
    }

    /// An action of the loaded catalogue, as `resource:verb` or `resource.verb`.
    ///
    /// # Errors
    /// There is none of that name; the error says the nearest.
    pub fn action(&self, name: &str) -> Result<Action, UnknownAction> {
        self.0.load().action(name)
    }

    /// The names of the loaded catalogue, sorted.
    pub fn actions(&self) -> Vec<String> {
        self.0.load().actions().map(str::to_owned).collect()
    }

    /// The kinds of objects that an action can be about, sorted.
    pub fn kinds(&self, action: &Action) -> Vec<String> {
        self.0.load().kinds(action).into_iter().map(str::to_owned).collect()
    }

    /// May `subject` do `action` (on `resource`)? Never an error: what is unknown or fails is a deny with its code.
    /// See [`ResourceRef`] for what an object's name decides by now.
    pub fn decide(&self, subject: &Subject, action: &Action, resource: Option<&ResourceRef>) -> Decision {
        self.0.load().decide(subject, action, resource)
    }

    /// The proof that `A` is allowed to `subject`.
    ///
    /// # Errors
    /// The decision that denies it, for the audit.
    pub fn permit<A: TypedAction>(&self, subject: &Subject) -> Result<Permit<A>, Box<Decision>> {
        let decision = self.decide(subject, &Action(Cow::Borrowed(A::NAME)), None);
        if decision.allowed {
            Ok(Permit::new(subject.account.map_or(Actor::Anonymous, Actor::Account)))
        } else {
            Err(Box::new(decision))
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({:?})", self.0.load())
    }
}
