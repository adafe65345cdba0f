//! Proofs about policies (ACCESS-8): what a new bundle newly allows, and that none of its policies can fail.
//!
//! The matrix shows plain sessions; a policy may also look at risk, age of the second factor, several relations at once,
//! one object or one person. Cedar's symbolic compiler (`cedar-policy-symcc`) turns both bundles into a formula about
//! every person, session and object that there could be, and the solver `cvc5` looks for one whom only the new bundle
//! allows. That there is none is a proof; one that is found is decided again by both bundles before it is shown.
//!
//! The solver is a program of its own that must be on the PATH (Debian: `cvc5`). It is given no more than policies.

mod guard;
mod prover;
mod witness;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{Bundle, bounds};
use prover::Prover;

pub use witness::Witness;

/// The solver.
const PROGRAM: &str = "cvc5";

/// How long a proof may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// One question to the solver.
    pub question: Duration,
    /// All of them.
    pub altogether: Duration,
}

impl Default for Limits {
    /// Five seconds and two minutes; a question usually takes a few milliseconds.
    fn default() -> Self {
        Self { question: Duration::from_secs(5), altogether: Duration::from_secs(120) }
    }
}

/// Why there is no proof at all.
#[derive(Debug, thiserror::Error)]
pub enum SolverError {
    /// There is no such program.
    #[error("no solver: the program cvc5 is not on the PATH")]
    Missing,
    /// It does not work.
    #[error("the solver cvc5 does not work: {0}")]
    Broken(String),
}

/// An action, and the kind of object that it is about; empty if no object is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct About {
    /// `track:read`.
    pub action: String,
    /// `track`.
    pub kind: String,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.as_str() {
            "" => f.write_str(&self.action),
            kind => write!(f, "{} on {kind}", self.action),
        }
    }
}

/// What the new bundle allows to somebody whom the old one denied it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewlyAllowed {
    /// What.
    pub about: About,
    /// One to whom; there may be others.
    pub witness: Witness,
    /// The code of the old denial.
    pub before: &'static str,
    /// The rule that allows it now.
    pub rule: Option<Arc<str>>,
}

/// A policy that cannot be evaluated for somebody, so that they are denied whatever else is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanFail {
    /// Its `@id`.
    pub policy: Arc<str>,
    /// In deciding what.
    pub about: About,
    /// For whom; there may be others.
    pub witness: Witness,
}

/// A question that was not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// About what.
    pub about: About,
    /// Why not.
    pub why: String,
}

/// What was found out about two bundles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// About how many actions on kinds of objects it is proven that nobody is allowed more than before.
    pub nothing_new: usize,
    /// What is newly allowed.
    pub newly_allowed: Vec<NewlyAllowed>,
    /// New policies that can fail; if empty and nothing is open, it is proven that none can.
    pub can_fail: Vec<CanFail>,
    /// What was not settled.
    pub open: Vec<Open>,
}

/// Asks the solver about every action on every kind of object. Blocks for as long as that takes, a second or so; on an
/// async thread use `spawn_blocking`.
///
/// # Errors
/// If there is no solver, or it does not even start.
pub fn prove(old: &Bundle, new: &Bundle, limits: Limits) -> Result<Proof, SolverError> {
    prove_by(PROGRAM, old, new, limits)
}

fn prove_by(program: &str, old: &Bundle, new: &Bundle, limits: Limits) -> Result<Proof, SolverError> {
    let broken = |error: &dyn fmt::Display| SolverError::Broken(error.to_string());
    // The compiler calls itself for every bracket and operator, as Cedar's parser does.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("proofs".to_owned()).stack_size(bounds::STACK);
        let proving = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| broken(&error))?;
            runtime.block_on(Prover::new(program, old, new, limits).prove())
        };
        let ended = thread.spawn_scoped(scope, proving).map_err(|error| broken(&error))?.join();
        ended.unwrap_or_else(|_| Err(SolverError::Broken("the proof was broken off".to_owned())))
    })
}

#[cfg(test)]
mod tests;
