//! One question after another to one solver, each within its time.

use std::time::Duration;

use cedar_policy::{PolicySet, RequestEnv};
use cedar_policy_symcc::err::Error;
use cedar_policy_symcc::solver::{LocalSolver, SolverError as ProgramError};
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env};
use tokio::process::Command;
use tokio::time::Instant;

use super::witness::Asked;
use super::{About, CanFail, Limits, NewlyAllowed, Open, Proof, SolverError, guard};
use crate::bundle::{PLATFORM, Question};
use crate::{Bundle, code};

/// Why a question stays open whose counterexample the bundles do not confirm.
const NOBODY: &str = "the solver found somebody who cannot be";

type Solver = CedarSymCompiler<LocalSolver>;

/// Two bundles and the solver that is asked about them.
pub(super) struct Prover<'a> {
    old: &'a Bundle,
    new: &'a Bundle,
    program: &'a str,
    limits: Limits,
    until: Option<Instant>,
    solver: Option<Solver>,
    proof: Proof,
}

/// Is there somebody …
enum Sought<'a> {
    /// … whom the first allows and the second does not?
    AllowedBeyond(&'a CompiledPolicySet, &'a CompiledPolicySet),
    /// … whom it allows?
    Allowed(&'a CompiledPolicySet),
    /// … for whom it fails?
    Failing(&'a CompiledPolicy),
}

impl<'a> Prover<'a> {
    pub(super) fn new(program: &'a str, old: &'a Bundle, new: &'a Bundle, limits: Limits) -> Self {
        Self { old, new, program, limits, until: None, solver: None, proof: Proof::default() }
    }

    pub(super) async fn prove(mut self) -> Result<Proof, SolverError> {
        self.until = Some(Instant::now() + self.limits.altogether);
        // Whether it is there at all is said once, not for each question.
        self.solver = Some(start(self.program, self.limits.question)?);
        for question in self.new.questions() {
            let kind = if question.kind == PLATFORM { "" } else { question.kind };
            let about = About { action: question.action.to_owned(), kind: kind.to_owned() };
            if let Err(why) = self.settle(&question, &about).await {
                self.proof.open.push(Open { about, why });
            }
        }
        Ok(self.proof)
    }

    /// Everything about one action on one kind of object; the error says why it stays open.
    async fn settle(&mut self, question: &Question<'_>, about: &About) -> Result<(), String> {
        let before = self.old.question_about(question.action, question.kind);
        let env = RequestEnv::new(
            self.new.account_type().clone(),
            question.entry.entity.uid(),
            question.type_name.clone(),
        );
        let asked = Asked { old: self.old, new: self.new, question };
        for policy in question.slice.set.policies() {
            let compiled = CompiledPolicy::compile(policy, &env, self.new.schema()).map_err(told)?;
            let Some(found) = self.ask(Sought::Failing(&compiled)).await? else { continue };
            let witness = asked.witness(&found, code::EVALUATION_ERROR).ok_or(NOBODY)?;
            let policy = policy.id().to_string().into();
            self.proof.can_fail.push(CanFail { policy, about: about.clone(), witness });
        }
        let new = self.compile(&question.slice.set, question.kind, &env)?;
        let found = match &before {
            None => self.ask(Sought::Allowed(&new)).await?,
            Some(before) => {
                self.must_not_fail(&before.slice.set, &question.slice.set, &env).await?;
                let old = CompiledPolicySet::compile(&before.slice.set, &env, self.new.schema()).map_err(
                    |error| format!("the old policies do not fit the new schema: {}", told(error)),
                )?;
                self.ask(Sought::AllowedBeyond(&new, &old)).await?
            }
        };
        let Some(found) = found else {
            self.proof.nothing_new += 1;
            return Ok(());
        };
        let witness = asked.witness(&found, code::GRANTED).ok_or(NOBODY)?;
        let (before, rule) = asked.verdicts(&witness);
        self.proof.newly_allowed.push(NewlyAllowed { about: about.clone(), witness, before, rule });
        Ok(())
    }

    /// An old policy that fails denies, where Cedar by itself would pass over it; so what was denied before would look
    /// allowed.
    async fn must_not_fail(
        &mut self,
        old: &PolicySet,
        new: &PolicySet,
        env: &RequestEnv,
    ) -> Result<(), String> {
        for policy in old.policies() {
            // Asked about already.
            if new.policy(policy.id()).is_some_and(|same| same.to_cedar() == policy.to_cedar()) {
                continue;
            }
            let compiled = CompiledPolicy::compile(policy, env, self.new.schema()).map_err(told)?;
            if self.ask(Sought::Failing(&compiled)).await?.is_some() {
                return Err(format!(
                    "the old policy {} can fail, so that a comparison says nothing",
                    policy.id()
                ));
            }
        }
        Ok(())
    }

    /// With the guards, so that only people and questions are looked for that there can be.
    fn compile(&self, set: &PolicySet, kind: &str, env: &RequestEnv) -> Result<CompiledPolicySet, String> {
        let mut guarded = set.clone();
        guarded.add(guard::people(set)).map_err(|error| error.to_string())?;
        if guard::is_nothing(kind) {
            let mut further = guarded.clone();
            further.add(guard::nothing()).map_err(|error| error.to_string())?;
            // An operator's action may come with a context of its own, about which this guard says nothing.
            if let Ok(compiled) = CompiledPolicySet::compile(&further, env, self.new.schema()) {
                return Ok(compiled);
            }
        }
        CompiledPolicySet::compile(&guarded, env, self.new.schema()).map_err(told)
    }

    /// Somebody as sought, or the proof that there is nobody. A solver that failed is not asked again.
    async fn ask(&mut self, sought: Sought<'_>) -> Result<Option<Env>, String> {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return Err(format!("the {} s for all questions are over", self.limits.altogether.as_secs()));
        }
        let mut solver = match self.solver.take() {
            Some(solver) => solver,
            None => start(self.program, self.limits.question).map_err(|error| error.to_string())?,
        };
        let asking = async {
            match sought {
                Sought::AllowedBeyond(new, old) => {
                    solver.check_implies_with_counterexample_opt(new, old).await
                }
                Sought::Allowed(new) => solver.check_always_denies_with_counterexample_opt(new).await,
                Sought::Failing(policy) => solver.check_never_errors_with_counterexample_opt(policy).await,
            }
        };
        // It keeps the time itself; this is for one that hangs.
        match tokio::time::timeout(self.limits.question * 2, asking).await {
            Ok(Ok(found)) => {
                self.solver = Some(solver);
                Ok(found)
            }
            Ok(Err(Error::SolverUnknown)) => {
                Err(format!("the solver found no answer within {} s", self.limits.question.as_secs()))
            }
            Ok(Err(error)) => Err(told(error)),
            Err(_) => Err("the solver does not answer".to_owned()),
        }
    }
}

fn told(error: Error) -> String {
    error.to_string()
}

fn start(program: &str, question: Duration) -> Result<Solver, SolverError> {
    let limit = format!("--tlimit-per={}", question.as_millis());
    let mut command = Command::new(program);
    command.args(["--lang", "smt", &limit]).kill_on_drop(true);
    let program = LocalSolver::from_command(&mut command).map_err(|error| match error {
        ProgramError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => SolverError::Missing,
        other => SolverError::Broken(other.to_string()),
    })?;
    CedarSymCompiler::new(program).map_err(|error| SolverError::Broken(told(error)))
}
