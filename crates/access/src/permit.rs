//! Proofs that a typed action was allowed.

use std::fmt;
use std::marker::PhantomData;

use base::Actor;

/// An action that has a type, so that a [`Permit`] can name it.
pub trait TypedAction: Send + Sync + 'static {
    /// Its name in the catalogue.
    const NAME: &'static str;
}

/// The typed actions that our own operations demand.
pub mod actions {
    macro_rules! typed { ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        $($(#[$doc])* #[derive(Debug, Clone, Copy)] pub enum $name {}
        impl super::TypedAction for $name { const NAME: &'static str = $text; })*
        #[cfg(test)]
        pub(crate) const NAMES: &[&str] = &[$($text,)*];
    } }
    typed! {
        /// See accounts.
        UserRead = "user:read",
        /// Change accounts' names and details.
        UserWrite = "user:write",
        /// Delete accounts.
        UserDelete = "user:delete",
        /// Disable, enable, give roles and tiers.
        UserAdmin = "user:admin",
        /// See and change settings.
        SystemConfig = "system:config",
        /// Read the audit trail.
        SystemLogs = "system:logs",
        /// Read measurements.
        SystemMetrics = "system:metrics",
        /// Read analytics.
        AnalyticsRead = "analytics:read",
        /// Export one's own data.
        DataExport = "data:export",
        /// Delete one's own data.
        DataDelete = "data:delete",
    }
}

/// Proof that `A` was allowed to [`Permit::actor`]. Only this crate makes one, it cannot be copied, and what changes
/// something takes it by value.
pub struct Permit<A: TypedAction> {
    actor: Actor,
    action: PhantomData<fn() -> A>,
}

impl<A: TypedAction> Permit<A> {
    pub(crate) const fn new(actor: Actor) -> Self {
        Self { actor, action: PhantomData }
    }

    /// For whoever commands the machine itself (the command line, background jobs): they hold the database and the
    /// keys already, so no policy stands before them. `part` says which part of the program acts. Never on the request
    /// path.
    pub const fn for_system(part: &'static str) -> Self {
        Self::new(Actor::System(part))
    }

    /// Who was allowed.
    pub const fn actor(&self) -> Actor {
        self.actor
    }
}

impl<A: TypedAction> fmt::Debug for Permit<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({} for {:?})", A::NAME, self.actor)
    }
}
