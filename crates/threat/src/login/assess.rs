//! Both parts together: score, outcome and reasons.

use super::history::History;
use super::population::Population;
use super::reason::{Part, Reason, ReasonCode};
use super::{Sighting, Weights, learned, signals};

/// What to do, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Let them in.
    Allow,
    /// Let them in, and mail the owner a link that undoes it.
    Notify,
    /// Ask for a further proof first.
    StepUp,
    /// Refuse.
    Deny,
}

impl Outcome {
    /// The stable name, for events and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Notify => "notify",
            Self::StepUp => "step-up",
            Self::Deny => "deny",
        }
    }
}

/// Where the outcomes begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Sum of fixed signals from which the owner is mailed.
    pub notify: f32,
    /// Sum of fixed signals from which a further proof is asked for. Reached counts.
    pub step_up: f32,
    /// Sum of fixed signals from which a sign-in is refused; needs several strong ones together.
    pub deny: f32,
    /// Learned score from which a further proof is asked for. The default catches 98 % of the attacks of the
    /// development set (docs/login-risk.md).
    pub learned_step_up: f32,
    /// What happens to an account's very first sign-in, of which nothing can be said.
    pub first_sign_in: Outcome,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { notify: 0.3, step_up: 0.5, deny: 1.6, learned_step_up: -0.75, first_sign_in: Outcome::Notify }
    }
}

/// What was found out about one sign-in.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// What to do.
    pub outcome: Outcome,
    /// Sum of the fixed signals.
    pub fixed: f32,
    /// Logarithm of the likelihood ratio attacker to owner; `None` without history.
    pub learned: Option<f32>,
    /// There was no history: the learned part abstained, and nothing could be new.
    pub cold_start: bool,
    /// Everything that counted, the weightiest first within its part.
    pub reasons: Vec<Reason>,
}

impl Assessment {
    /// Both parts on one scale from 0 to 100; a further proof is asked for from 50 on.
    pub fn score(&self, thresholds: &Thresholds) -> u8 {
        let fixed = (self.fixed / (2.0 * thresholds.step_up.max(0.01))).clamp(0.0, 1.0);
        let learned =
            self.learned.map_or(0.0, |learned| 1.0 / (1.0 + (thresholds.learned_step_up - learned).exp()));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 100 by construction"
        )]
        let score = (100.0 * fixed.max(learned)).clamp(0.0, 100.0) as u8;
        score
    }

    /// The reasons that speak against the owner: what a person or operator wants to read.
    pub fn against(&self) -> impl Iterator<Item = &Reason> {
        // Parts of a score that came out for the owner are no reasons against them.
        let learned = self.outcome >= Outcome::StepUp || self.learned.is_some_and(|learned| learned > 0.0);
        self.reasons.iter().filter(move |reason| match reason.part {
            Part::Fixed => true,
            Part::Learned => learned && reason.contribution >= 0.5,
        })
    }
}

/// Weights and thresholds; stateless otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Engine {
    /// What the fixed signals count.
    pub weights: Weights,
    /// Where outcomes begin.
    pub thresholds: Thresholds,
}

impl Engine {
    /// Judges a sign-in whose password (or passkey) was right. Changes nothing.
    pub fn assess(&self, sighting: &Sighting, history: &History, population: &Population) -> Assessment {
        let thresholds = &self.thresholds;
        let mut reasons = signals::present(&self.weights, sighting, history);
        reasons.sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
        let fixed: f32 = reasons.iter().map(|reason| reason.contribution).sum();
        // 0.3 + 0.2 must reach 0.5 whatever the binary fractions say.
        let reaches = |limit: f32| fixed >= limit - 1e-4;
        let mut outcome = if reaches(thresholds.deny) {
            Outcome::Deny
        } else if reaches(thresholds.step_up) {
            Outcome::StepUp
        } else if reaches(thresholds.notify) {
            Outcome::Notify
        } else {
            Outcome::Allow
        };
        let mut score = None;
        match learned::score(sighting, history, population) {
            Some((learned, mut parts)) => {
                score = Some(learned);
                parts.sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
                reasons.append(&mut parts);
                if learned >= thresholds.learned_step_up {
                    outcome = outcome.max(Outcome::StepUp);
                }
            }
            None => {
                reasons.push(Reason { code: ReasonCode::ColdStart, part: Part::Fixed, contribution: 0.0 });
                outcome = outcome.max(thresholds.first_sign_in);
            }
        }
        Assessment { outcome, fixed, learned: score, cold_start: history.is_empty(), reasons }
    }

    /// Learns a sign-in that its owner completed. Call it for nothing else: whoever teaches the engine an attacker's
    /// sign-in lets the attacker in the next time.
    pub fn learn(&self, sighting: &Sighting, history: &mut History, population: &mut Population) {
        population.learn(sighting, history);
        history.push(sighting);
    }
}
