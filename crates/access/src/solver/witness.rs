//! From the solver's counterexample to somebody whom one can imagine.

use std::fmt;
use std::sync::Arc;

use base::{Id, Timestamp, kind};
use cedar_policy::{Entity, EvalResult};
use cedar_policy_symcc::Env;

use super::guard;
use crate::bundle::Question;
use crate::slice::{Standing, Verdict};
use crate::{Action, Bundle, Conditions, Facts, Relation, ResourceRef, Role, Subject, Tier, code};

/// Somebody about whom two bundles differ. Made as ordinary as they can be: what makes no difference is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Their role.
    pub role: Option<Role>,
    /// Their tier.
    pub tier: Option<Tier>,
    /// What is not as it should be about them or their session: `suspended`, `unverified`, `locked`, `no fresh second
    /// factor`, `risky`.
    pub faults: Vec<&'static str>,
    /// What they have to do with the object.
    pub relations: Vec<Relation>,
    /// The account, if it matters which: a policy names it.
    pub account: Option<String>,
    /// The object, if it matters which: a policy names it, or it is their own record.
    pub object: Option<String>,
    standing: Standing,
    bits: u8,
    who: Subject,
    what: Option<ResourceRef>,
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = self.role.map_or("no role", Role::as_str);
        let tier = self.tier.map_or("no tier", Tier::as_str);
        write!(f, "{role}/{tier}")?;
        for fault in &self.faults {
            write!(f, ", {fault}")?;
        }
        match &self.relations[..] {
            [] if self.what.is_some() => f.write_str(", no relation")?,
            relations => {
                for relation in relations {
                    write!(f, ", {relation}")?;
                }
            }
        }
        if let Some(account) = &self.account {
            write!(f, ", account {account}")?;
        }
        if let Some(object) = &self.object {
            write!(f, ", object {object}")?;
        }
        Ok(())
    }
}

/// One question, put to both bundles.
pub(super) struct Asked<'a> {
    pub(super) old: &'a Bundle,
    pub(super) new: &'a Bundle,
    pub(super) question: &'a Question<'a>,
}

impl Asked<'_> {
    /// The counterexample as a witness, if the new bundle really answers with this code, and the old one does not allow
    /// what it allows; the solver's word alone is not shown.
    pub(super) fn witness(&self, found: &Env, wanted: &'static str) -> Option<Witness> {
        let principal = found.request.principal()?;
        let entity = found.entities.get(principal)?;
        let role = group::<Role>(found, "Role");
        let tier = group::<Tier>(found, "Tier");
        let standing = Standing {
            role,
            tier,
            suspended: flag(entity, "suspended"),
            verified: flag(entity, "verified"),
            locked: flag(entity, "locked"),
            strong: flag(entity, "strong"),
            risky: flag(entity, "risky"),
        };
        let context = found.request.context()?;
        let holds = |one: &Relation| context.get(one.as_str()) == Some(EvalResult::Bool(true));
        let bits = Relation::ALL.iter().filter(|one| holds(one)).fold(0, |all, one| all | one.bit());
        let named = principal.id().unescaped().parse::<Id<kind::Account>>().ok();
        let account = named.unwrap_or(Id::from_bytes([7; 16]));
        let resource = found.request.resource()?;
        let own = matches!(entity.attr("user"), Some(Ok(EvalResult::EntityUid(user))) if user == *resource);
        let what = (!guard::is_nothing(self.question.kind)).then(|| ResourceRef {
            kind: self.question.kind.to_owned(),
            id: if own { account.to_string() } else { resource.id().unescaped().to_owned() },
        });
        let who = Subject { account: Some(account), ..Subject::anonymous() };
        let mut witness = Witness {
            role,
            tier,
            faults: Vec::new(),
            relations: Vec::new(),
            account: None,
            object: None,
            standing,
            bits,
            who,
            what,
        };
        self.is_so(&witness, wanted).then(|| {
            self.simplify(&mut witness, wanted);
            witness
        })
    }

    /// What the old bundle said, and the rule of the new one.
    pub(super) fn verdicts(&self, witness: &Witness) -> (&'static str, Option<Arc<str>>) {
        let rule = self.verdict(self.new, witness).and_then(|verdict| self.new.rule(verdict));
        (self.verdict(self.old, witness).map_or(code::UNKNOWN_ACTION, |verdict| verdict.code), rule)
    }

    fn verdict(&self, bundle: &Bundle, witness: &Witness) -> Option<Verdict> {
        let action = Action(std::borrow::Cow::Owned(self.question.action.to_owned()));
        let now = Timestamp::from_millis(0);
        let facts = witness.what.clone().map(|what| Facts::unrelated(what, now));
        let conditions = Conditions::default();
        let case = bundle.case(&conditions, &witness.who, &action, facts.as_ref(), now)?;
        Some(case.with(witness.standing, witness.bits))
    }

    fn is_so(&self, witness: &Witness, wanted: &'static str) -> bool {
        let says = |bundle| self.verdict(bundle, witness).map(|verdict| verdict.code);
        says(self.new) == Some(wanted) && (wanted != code::GRANTED || says(self.old) != Some(code::GRANTED))
    }

    /// The least one about whom the bundles differ in the same way: of the least role, with the least relation.
    fn least(&self, found: &Witness, wanted: &'static str) -> Option<Witness> {
        const ORDINARY: [Relation; 6] = [
            Relation::Shared,
            Relation::Public,
            Relation::Collaborator,
            Relation::Owner,
            Relation::BreakGlass,
            Relation::Token,
        ];
        let sets = || [0].into_iter().chain(ORDINARY.map(Relation::bit)).chain([found.bits]);
        let roles = [None].into_iter().chain(Role::ALL.iter().copied().map(Some));
        let tiers = || [None].into_iter().chain(Tier::ALL.iter().copied().map(Some));
        for role in roles {
            for (bits, tier) in sets().flat_map(|bits| tiers().map(move |tier| (bits, tier))) {
                let standing = Standing { role, tier, ..found.standing };
                let least = Witness { standing, bits, ..found.clone() };
                // Where no object is named there is nothing to have a relation to.
                if (bits == 0 || found.what.is_some()) && self.is_so(&least, wanted) {
                    return Some(least);
                }
            }
        }
        None
    }

    /// Makes them more ordinary for as long as the bundles still differ about them.
    fn simplify(&self, witness: &mut Witness, wanted: &'static str) {
        let mut attempt = |change: &dyn Fn(&mut Witness)| {
            let mut simpler = witness.clone();
            change(&mut simpler);
            if self.is_so(&simpler, wanted) {
                *witness = simpler;
            }
        };
        attempt(&|one| one.standing.suspended = false);
        attempt(&|one| one.standing.verified = true);
        attempt(&|one| one.standing.locked = false);
        attempt(&|one| one.standing.strong = true);
        attempt(&|one| one.standing.risky = false);
        *witness = self.least(witness, wanted).unwrap_or_else(|| witness.clone());
        let Standing { role, tier, suspended, verified, locked, strong, risky } = witness.standing;
        (witness.role, witness.tier) = (role, tier);
        let faults = [
            (suspended, "suspended"),
            (!verified, "unverified"),
            (locked, "locked"),
            (!strong, "no fresh second factor"),
            (risky, "risky"),
        ];
        witness.faults = faults.into_iter().filter_map(|(is, word)| is.then_some(word)).collect();
        let bits = witness.bits;
        witness.relations = Relation::ALL.iter().copied().filter(|one| bits & one.bit() != 0).collect();
        let names = &self.question.slice;
        let account = witness.who.account.map(|account| account.to_string());
        witness.account = account.filter(|account| names.named_accounts.contains(account));
        let object = witness.what.as_ref().map(|what| what.id.clone());
        let own = object.is_some() && object == witness.who.account.map(|account| account.to_string());
        witness.object = if own {
            Some("their own".to_owned())
        } else {
            object.filter(|object| names.named_objects.contains(object))
        };
    }
}

fn flag(entity: &Entity, name: &str) -> bool {
    matches!(entity.attr(name), Some(Ok(EvalResult::Bool(true))))
}

/// The role or tier that somebody is in.
fn group<T: std::str::FromStr>(found: &Env, of: &str) -> Option<T> {
    let groups = found.entities.ancestors(found.request.principal()?)?;
    groups.filter(|uid| uid.type_name().basename() == of).find_map(|uid| uid.id().unescaped().parse().ok())
}
