//! One question, put to one set of policies, with everything that its answer and its explanation need.

use cedar_policy::EntityTypeName;
use std::sync::Arc;

use base::Timestamp;

use crate::bundle::{ActionEntry, Bundle};
use crate::facts::ALL_RELATIONS;
use crate::slice::{Slice, Standing, Verdict};
use crate::{Conditions, Decision, Facts, Grant, Relation, Subject, code};

/// Somebody wants to do something to something.
pub(crate) struct Case<'a> {
    pub(crate) bundle: &'a Bundle,
    pub(crate) conditions: &'a Conditions,
    pub(crate) entry: &'a ActionEntry,
    pub(crate) type_name: &'a EntityTypeName,
    pub(crate) slice: &'a Slice,
    pub(crate) subject: &'a Subject,
    pub(crate) standing: Standing,
    /// A policy names the person or the object.
    pub(crate) named: bool,
    pub(crate) object: Option<&'a Facts>,
    /// The moment of the question, which may be later than that at which the facts were read.
    pub(crate) now: Timestamp,
    /// The collaboration token, if there is one, covers the action.
    pub(crate) token_counts: bool,
}

impl Case<'_> {
    /// The verdict at the moment of the question.
    pub(crate) fn now(&self) -> Verdict {
        self.with(self.standing, self.object.map_or(0, |facts| self.set_at(facts, self.now)))
    }

    /// The verdict if the person stood like this and these relations held.
    pub(crate) fn with(&self, standing: Standing, relations: u8) -> Verdict {
        self.slice.verdict(standing, relations, self.named, &self.bundle.policies, || {
            let resource = self.object.map(|facts| &facts.resource);
            self.bundle.question(
                self.subject,
                standing,
                relations,
                &self.entry.entity,
                self.type_name,
                resource,
            )
        })
    }

    fn set_at(&self, facts: &Facts, now: Timestamp) -> u8 {
        let set = facts.set_at(now);
        if self.token_counts { set } else { set & !Relation::Token.bit() }
    }

    /// When an allowed answer ends by itself: the first moment at which a fact that it needs is gone.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        let assurance = &self.subject.assurance;
        let of_relations = self.object.and_then(|facts| {
            let mut ends: Vec<Timestamp> = Relation::ALL
                .iter()
                .filter_map(|relation| facts.hold(*relation).end())
                .filter(|end| *end > self.now)
                .collect();
            ends.sort_unstable();
            ends.into_iter()
                .find(|end| self.with(self.standing, self.set_at(facts, *end)).code != code::GRANTED)
        });
        let of_factor = self.object.zip(assurance.mfa_age_s).and_then(|(facts, age)| {
            let weak = Standing { strong: false, ..self.standing };
            let needed = self.with(weak, self.set_at(facts, self.now)).code != code::GRANTED;
            let left_s = i64::from(self.conditions.step_up_max_age_s) - i64::from(age) + 1;
            needed.then(|| self.now.plus_ms(left_s.max(0) * 1000))
        });
        [of_relations, of_factor, assurance.expires_at].into_iter().flatten().min()
    }

    /// Says why not, and what would have helped. Cedar gives no reason for a default deny, and for a forbid only its
    /// name; so the question is asked again as if more were the case.
    pub(crate) fn explain(&self, decision: &mut Decision) {
        if matches!(decision.code, code::NO_RELATION | code::MFA_REQUIRED | code::RISK) {
            // Would everything about the object and the session be right: does role or tier grant it at all?
            let ideal = Standing { strong: true, risky: false, ..self.standing };
            if self.with(ideal, ALL_RELATIONS).code == code::NO_GRANT {
                decision.code = code::NO_GRANT;
                decision.rule = None;
            }
        }
        if decision.code == code::NO_GRANT {
            decision.missing = Arc::clone(&self.slice.missing);
        }
        if decision.code == code::NO_RELATION {
            let helps =
                |relation: &Relation| self.with(self.standing, relation.bit()).code != code::NO_RELATION;
            decision.missing = Relation::ALL.iter().copied().filter(helps).map(Grant::Relation).collect();
            if self.object.is_some_and(|facts| facts.has_lapsed_at(self.now)) {
                decision.code = code::LAPSED;
            }
        }
    }
}
