//! The policies in force, and the decisions that they give.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base::Actor;
use tokio::sync::watch;

use crate::bundle::Bundle;
use crate::source::PolicyError;
use crate::{Action, Conditions, Decision, Facts, Permit, Subject, TypedAction, UnknownAction};

/// The policies in force. Clones share them: whoever [replaces](Self::replace) the bundle replaces it for everybody, and
/// no decision ever sees half of one and half of the other.
#[derive(Clone)]
pub struct Access {
    bundle: Arc<ArcSwap<Bundle>>,
    replaced: watch::Sender<()>,
    conditions: Conditions,
}

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
        let bundle = Arc::new(ArcSwap::from_pointee(bundle));
        Self { bundle, replaced: watch::Sender::new(()), conditions: Conditions::default() }
    }

    /// With other numbers behind the conditions.
    #[must_use]
    pub fn under(mut self, conditions: Conditions) -> Self {
        self.conditions = conditions;
        self
    }

    /// The numbers behind the conditions.
    pub const fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// The policies in force, for several questions that must agree.
    pub fn bundle(&self) -> Arc<Bundle> {
        self.bundle.load_full()
    }

    /// Puts other policies in force, at once and for every clone; gives the ones before. Decisions that are being made
    /// finish with those they began with.
    pub fn replace(&self, bundle: Arc<Bundle>) -> Arc<Bundle> {
        let before = self.bundle.swap(bundle);
        self.replaced.send_replace(());
        before
    }

    /// Changes whenever other policies were put in force here.
    pub fn replaced(&self) -> watch::Receiver<()> {
        self.replaced.subscribe()
    }

    /// Short hash of schema and policies: the same on every node that loaded the same.
    pub fn version(&self) -> Arc<str> {
        Arc::clone(self.bundle.load().version())
    }

    /// An action of the loaded catalogue, as `resource:verb` or `resource.verb`.
    ///
    /// # Errors
    /// There is none of that name; the error says the nearest.
    pub fn action(&self, name: &str) -> Result<Action, UnknownAction> {
        self.bundle.load().action(name)
    }

    /// The names of the loaded catalogue, sorted.
    pub fn actions(&self) -> Vec<String> {
        self.bundle.load().actions().map(str::to_owned).collect()
    }

    /// Whether nothing remembered may decide about this action; see [`Bundle::is_immediate`].
    pub fn is_immediate(&self, action: &Action) -> bool {
        self.bundle.load().is_immediate(action)
    }

    /// The kinds of objects that an action can be about, sorted.
    pub fn kinds(&self, action: &Action) -> Vec<String> {
        self.bundle.load().kinds(action).into_iter().map(str::to_owned).collect()
    }

    /// May `subject` do `action`, at all or to the object of these facts? Never an error: what is unknown or fails is a
    /// deny with its code. Facts about an object that is not registered are [`Facts::unrelated`].
    pub fn decide(&self, subject: &Subject, action: &Action, object: Option<&Facts>) -> Decision {
        self.bundle.load().decide_under(&self.conditions, subject, action, object)
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
        write!(f, "Access({:?})", self.bundle.load())
    }
}
