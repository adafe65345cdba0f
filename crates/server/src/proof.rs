//! What `policy diff` says with a solver: whom new policies newly allow something, beyond the plain sessions of the matrix.

use std::sync::Arc;

use access::Bundle;

/// Asks the solver, where there is one; a line for each thing that is to be said.
#[cfg(feature = "solver")]
pub(crate) async fn lines(old: &Arc<Bundle>, new: &Arc<Bundle>) -> Vec<String> {
    use access::solver::{Limits, SolverError, prove};
    let (old, new) = (Arc::clone(old), Arc::clone(new));
    let proof = tokio::task::spawn_blocking(move || prove(&old, &new, Limits::default())).await;
    match proof {
        Ok(Ok(proof)) => told(&proof),
        Ok(Err(error @ SolverError::Missing)) => {
            vec![format!("beyond the matrix nothing is proven: {error} (Debian: apt install cvc5)")]
        }
        Ok(Err(error)) => vec![format!("beyond the matrix nothing is proven: {error}")],
        Err(_) => vec!["beyond the matrix nothing is proven: the proof was broken off".to_owned()],
    }
}

/// Says that this program cannot.
#[cfg(not(feature = "solver"))]
pub(crate) async fn lines(_old: &Arc<Bundle>, _new: &Arc<Bundle>) -> Vec<String> {
    vec![
        "beyond the matrix nothing is proven: this program was built without the feature \"solver\""
            .to_owned(),
    ]
}

#[cfg(feature = "solver")]
fn told(proof: &access::solver::Proof) -> Vec<String> {
    let all = proof.nothing_new + proof.newly_allowed.len() + proof.open.len();
    let mut lines: Vec<String> = Vec::new();
    for one in &proof.newly_allowed {
        let rule = one.rule.as_deref().unwrap_or("no rule");
        lines.push(format!(
            "newly allowed, for example: {} to {} (before: {}; now by {rule})",
            one.about, one.witness, one.before
        ));
    }
    for one in &proof.can_fail {
        lines.push(format!("can fail, which denies: {} in {} for {}", one.policy, one.about, one.witness));
    }
    for one in &proof.open {
        lines.push(format!("not settled: {}: {}", one.about, one.why));
    }
    lines.push(format!(
        "proven for {} of {all} actions and kinds of objects: nobody is allowed more than before",
        proof.nothing_new
    ));
    if proof.can_fail.is_empty() && proof.open.is_empty() {
        lines.push("proven: no policy can fail".to_owned());
    }
    lines
}
