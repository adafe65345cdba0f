//! The policies that can matter for one action on one kind of object, and their verdicts.

use std::sync::{Arc, OnceLock};

use cedar_policy::{
    ActionConstraint, Authorizer, Effect, Entities, EntityTypeName, EntityUid, Policy, PolicySet,
    PrincipalConstraint, Request, ResourceConstraint,
};
use serde_json::Value;

use crate::source::LoadedPolicy;
use crate::{Grant, Role, Subject, Tier, code};

/// What the policies say: a code, and the index of the policy that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) code: &'static str,
    pub(crate) policy: Option<u32>,
}

/// The number of distinguishable subjects: roles and tiers (or none), suspended, verified.
const SUBJECTS: usize = (Role::ALL.len() + 1) * (Tier::ALL.len() + 1) * 4;

/// Policies by action and kind. Cedar's cost grows with the policies that it is given (25 µs for thirty, 9 µs for the
/// few that name the action), so each request meets only those whose scope can match.
pub(crate) struct Slice {
    set: PolicySet,
    /// What would grant it, for the reason of a plain deny: Cedar has none to give.
    pub(crate) missing: Arc<[Grant]>,
    /// Cedar's own verdicts, remembered by subject, where nothing but the facts in the key can change them.
    remembered: Option<Box<[OnceLock<Verdict>; SUBJECTS]>>,
}

impl Slice {
    pub(crate) fn new(
        policies: &[LoadedPolicy],
        actions: &Entities,
        action: &EntityUid,
        kind: &EntityTypeName,
    ) -> Self {
        let of_action = |uid: &EntityUid| uid == action || actions.is_ancestor_of(uid, action);
        let matching: Vec<&LoadedPolicy> = policies
            .iter()
            .filter(|loaded| match loaded.policy.action_constraint() {
                ActionConstraint::Any => true,
                ActionConstraint::Eq(uid) => of_action(&uid),
                ActionConstraint::In(uids) => uids.iter().any(of_action),
            })
            .filter(|loaded| match loaded.policy.resource_constraint() {
                ResourceConstraint::Any | ResourceConstraint::In(_) => true,
                ResourceConstraint::Eq(uid) => uid.type_name() == kind,
                ResourceConstraint::Is(wanted) | ResourceConstraint::IsIn(wanted, _) => wanted == *kind,
            })
            .collect();
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
        let remembered = matching
            .iter()
            .all(|loaded| loaded.depends_on_key_only)
            .then(|| Box::new([const { OnceLock::new() }; SUBJECTS]));
        Self { set, missing: missing.into(), remembered }
    }

    /// Cedar's verdict, from memory where it was asked the same before. `evaluate` builds request and entities.
    pub(crate) fn verdict(
        &self,
        subject: &Subject,
        policies: &[LoadedPolicy],
        evaluate: impl FnOnce() -> Option<(Request, Entities)>,
    ) -> Verdict {
        let ask = || match evaluate() {
            Some((request, entities)) => self.ask(policies, &request, &entities),
            None => Verdict { code: code::EVALUATION_ERROR, policy: None },
        };
        match &self.remembered {
            Some(table) => *table[index(subject)].get_or_init(ask),
            None => ask(),
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
            .filter_map(|id| policies.iter().position(|loaded| loaded.policy.id() == id))
            .min();
        let code = match (response.decision(), deciding) {
            (_, Some(at)) => policies[at].code,
            (cedar_policy::Decision::Deny, None) => code::NO_GRANT,
            // Cedar allows only by a permit; without one named, something is wrong that nobody should profit from.
            (cedar_policy::Decision::Allow, None) => code::EVALUATION_ERROR,
        };
        Verdict { code, policy: deciding.and_then(|at| u32::try_from(at).ok()) }
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

fn index(subject: &Subject) -> usize {
    let role = subject.role.map_or(0, |role| role as usize + 1);
    let tier = subject.tier.map_or(0, |tier| tier as usize + 1);
    let flags = usize::from(subject.suspended) * 2 + usize::from(subject.verified);
    (role * (Tier::ALL.len() + 1) + tier) * 4 + flags
}

/// Whether role, tier and the two flags are all that a policy's answer can depend on, once action and kind are fixed:
/// then Cedar needs to be asked once per combination. Anything not understood counts as dependent.
pub(crate) fn depends_on_key_only(policy: &Policy) -> bool {
    let principal = match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => true,
        PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => {
            is_group(uid.type_name().basename())
        }
        PrincipalConstraint::Eq(_) => false,
    };
    let resource =
        matches!(policy.resource_constraint(), ResourceConstraint::Any | ResourceConstraint::Is(_));
    principal && resource && policy.to_json().is_ok_and(|json| json.get("conditions").is_none_or(is_pure))
}

fn is_group(basename: &str) -> bool {
    basename == "Role" || basename == "Tier"
}

/// Walks Cedar's JSON form: every variable must stand as `principal.suspended` or the like, or left of `in Role::"…"`.
fn is_pure(json: &Value) -> bool {
    const FACTS: &[&str] = &["has_role", "suspended", "verified"];
    let is_principal = |value: &Value| value.get("Var").is_some_and(|var| var == "principal");
    match json {
        Value::Array(items) => items.iter().all(is_pure),
        Value::Object(fields) => {
            if let Some(access) = fields.get(".")
                && access.get("left").is_some_and(is_principal)
            {
                return access.get("attr").and_then(Value::as_str).is_some_and(|attr| FACTS.contains(&attr));
            }
            if let Some(member) = fields.get("in")
                && member.get("left").is_some_and(is_principal)
            {
                let group = member.pointer("/right/Value/__entity/type").and_then(Value::as_str);
                return group.is_some_and(|name| is_group(name.rsplit("::").next().unwrap_or_default()));
            }
            !fields.contains_key("Var") && fields.values().all(is_pure)
        }
        _ => true,
    }
}
