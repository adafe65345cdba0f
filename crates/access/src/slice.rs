//! The policies that can matter for one action on one kind of object, and their verdicts.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use cedar_policy::{
    ActionConstraint, Authorizer, Effect, Entities, EntityTypeName, EntityUid, PolicySet,
    PrincipalConstraint, Request, ResourceConstraint,
};

use crate::facts::RELATION_SETS;
use crate::source::LoadedPolicy;
use crate::{Grant, Role, Tier, code};

/// What the policies say: a code, and the index of the policy that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) code: &'static str,
    pub(crate) policy: Option<u32>,
}

/// Everything about a person that a verdict can depend on, unless a policy names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) role: Option<Role>,
    pub(crate) tier: Option<Tier>,
    pub(crate) suspended: bool,
    pub(crate) verified: bool,
    pub(crate) locked: bool,
    pub(crate) strong: bool,
    pub(crate) risky: bool,
}

impl Standing {
    /// The number of standings.
    const ALL: usize = (Role::ALL.len() + 1) * (Tier::ALL.len() + 1) * 32;

    fn index(self) -> usize {
        let role = self.role.map_or(0, |role| role as usize + 1);
        let tier = self.tier.map_or(0, |tier| tier as usize + 1);
        let flags = [self.suspended, self.verified, self.locked, self.strong, self.risky];
        let flags = flags.iter().fold(0, |all, flag| all * 2 + usize::from(*flag));
        (role * (Tier::ALL.len() + 1) + tier) * 32 + flags
    }
}

/// The verdicts for one standing, by the set of relations.
type Row = Box<[OnceLock<Verdict>; RELATION_SETS]>;

/// Policies by action and kind. Cedar's cost grows with the policies that it is given (25 µs for thirty, 9 µs for the
/// few that name the action), so each request meets only those whose scope can match.
pub(crate) struct Slice {
    pub(crate) set: PolicySet,
    /// The places of its policies among those of the bundle.
    pub(crate) policies: Box<[u32]>,
    /// What would grant it, for the reason of a plain deny: Cedar has none to give.
    pub(crate) missing: Arc<[Grant]>,
    /// Cedar's own verdicts by standing and relations, where nothing else can change them. A row is made when somebody
    /// of that standing first asks, and there are few standings, so this is bounded and small.
    remembered: Option<Box<[OnceLock<Row>]>>,
    /// Objects that a policy names: their verdicts are not those of others.
    pub(crate) named_objects: HashSet<String>,
    /// Accounts that a policy names.
    pub(crate) named_accounts: HashSet<String>,
    /// Some forbid asks for a relation to the object.
    pub(crate) has_relation_rule: bool,
    /// The policy that looks at more than lists can be made of.
    pub(crate) unlistable: Option<Arc<str>>,
}

impl Slice {
    pub(crate) fn new(
        policies: &[LoadedPolicy],
        actions: &Entities,
        action: &EntityUid,
        kind: &EntityTypeName,
    ) -> Self {
        let of_action = |uid: &EntityUid| uid == action || actions.is_ancestor_of(uid, action);
        let matching: Vec<(u32, &LoadedPolicy)> = (0..)
            .zip(policies)
            .filter(|(_, loaded)| match loaded.policy.action_constraint() {
                ActionConstraint::Any => true,
                ActionConstraint::Eq(uid) => of_action(&uid),
                ActionConstraint::In(uids) => uids.iter().any(of_action),
            })
            .filter(|(_, loaded)| match loaded.policy.resource_constraint() {
                ResourceConstraint::Any | ResourceConstraint::In(_) => true,
                ResourceConstraint::Eq(uid) => uid.type_name() == kind,
                ResourceConstraint::Is(wanted) | ResourceConstraint::IsIn(wanted, _) => wanted == *kind,
            })
            .collect();
        let places = matching.iter().map(|(at, _)| *at).collect();
        let matching: Vec<&LoadedPolicy> = matching.into_iter().map(|(_, loaded)| loaded).collect();
        let set = PolicySet::from_policies(matching.iter().map(|loaded| loaded.policy.clone()))
            .expect("identifiers are unique, checked at load");
        let mut missing: Vec<Grant> = matching
            .iter()
            .filter(|loaded| loaded.policy.effect() == Effect::Permit)
            .filter_map(|loaded| match loaded.policy.principal_constraint() {
                PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => grant(&uid),
                _ => None,
            })
            .collect();
        missing.sort_unstable();
        missing.dedup();
        let beyond = matching.iter().find(|loaded| loaded.reach.beyond);
        let type_name = kind.to_string();
        let named_objects = matching
            .iter()
            .flat_map(|loaded| &loaded.reach.objects)
            .filter(|(of, _)| *of == type_name)
            .map(|(_, id)| id.clone())
            .collect();
        let named_accounts =
            matching.iter().flat_map(|loaded| loaded.reach.accounts.iter().cloned()).collect();
        let has_relation_rule =
            matching.iter().any(|loaded| loaded.policy.effect() == Effect::Forbid && loaded.reach.relations);
        let remembered =
            beyond.is_none().then(|| std::iter::repeat_with(OnceLock::new).take(Standing::ALL).collect());
        Self {
            set,
            policies: places,
            missing: missing.into(),
            remembered,
            named_objects,
            named_accounts,
            has_relation_rule,
            unlistable: beyond.map(|loaded| Arc::clone(&loaded.id)),
        }
    }

    /// Cedar's verdict, from memory where it was asked the same before. `named` says that a policy names this person or
    /// object; `evaluate` builds request and entities.
    pub(crate) fn verdict(
        &self,
        standing: Standing,
        relations: u8,
        named: bool,
        policies: &[LoadedPolicy],
        evaluate: impl FnOnce() -> Option<(Request, Entities)>,
    ) -> Verdict {
        let ask = || match evaluate() {
            Some((request, entities)) => self.ask(policies, &request, &entities),
            None => Verdict { code: code::EVALUATION_ERROR, policy: None },
        };
        match &self.remembered {
            Some(table) if !named => {
                let row = table[standing.index()]
                    .get_or_init(|| Box::new([const { OnceLock::new() }; RELATION_SETS]));
                *row[usize::from(relations)].get_or_init(ask)
            }
            _ => ask(),
        }
    }

    #[cfg(test)]
    pub(crate) fn remembers(&self) -> bool {
        self.remembered.is_some()
    }

    fn ask(&self, policies: &[LoadedPolicy], request: &Request, entities: &Entities) -> Verdict {
        let response = Authorizer::new().is_authorized(request, &self.set, entities);
        // Cedar skips a policy that fails to evaluate; were it a forbid, the rest might allow.
        if response.diagnostics().errors().next().is_some() {
            return Verdict { code: code::EVALUATION_ERROR, policy: None };
        }
        let deciding = response
            .diagnostics()
            .reason()
            .filter_map(|id| self.policies.iter().find(|at| policies[**at as usize].policy.id() == id))
            .min();
        let code = match (response.decision(), deciding) {
            (_, Some(at)) => policies[*at as usize].code,
            (cedar_policy::Decision::Deny, None) => code::NO_GRANT,
            // Cedar allows only by a permit; without one named, something is wrong that nobody should profit from.
            (cedar_policy::Decision::Allow, None) => code::EVALUATION_ERROR,
        };
        Verdict { code, policy: deciding.copied() }
    }
}

fn grant(uid: &EntityUid) -> Option<Grant> {
    let word = uid.id().unescaped();
    match uid.type_name().basename() {
        "Role" => word.parse().ok().map(Grant::Role),
        "Tier" => word.parse().ok().map(Grant::Tier),
        _ => None,
    }
}
