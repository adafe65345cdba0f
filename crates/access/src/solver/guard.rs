//! What is true of every question that is ever put, as policies: the solver would otherwise find people with two roles.

use std::collections::BTreeSet;

use cedar_policy::{Policy, PolicyId, PolicySet};

use crate::bundle::PLATFORM;
use crate::{Relation, Role, Tier};

/// Names that no operator's policy has, as theirs are not empty.
const PEOPLE: &str = "";
const NOTHING: &str = "\0";

/// The policies that forbid everything to who cannot be: with more than one role or tier, or with one that is none.
pub(super) fn people(policies: &PolicySet) -> Policy {
    let role = |role: &str| format!("principal in Fortissimo::Role::{}", quoted(role));
    let tier = |tier: &str| format!("principal in Fortissimo::Tier::{}", quoted(tier));
    let roles: Vec<String> = Role::ALL.iter().map(|one| role(one.as_str())).collect();
    let tiers: Vec<String> = Tier::ALL.iter().map(|one| tier(one.as_str())).collect();
    let mut rules = vec![format!("principal.has_role == ({})", roles.join(" || "))];
    for group in [&roles, &tiers] {
        for (at, one) in group.iter().enumerate() {
            rules.extend(group.iter().skip(at + 1).map(|other| format!("!({one} && {other})")));
        }
    }
    // Roles and tiers that policies name and nobody has.
    let mut unknown = BTreeSet::new();
    for literal in policies.policies().flat_map(Policy::entity_literals) {
        let word = literal.id().unescaped().to_owned();
        match literal.type_name().to_string().as_str() {
            "Fortissimo::Role" if word.parse::<Role>().is_err() => unknown.insert(role(&word)),
            "Fortissimo::Tier" if word.parse::<Tier>().is_err() => unknown.insert(tier(&word)),
            _ => false,
        };
    }
    rules.extend(unknown.into_iter().map(|one| format!("!({one})")));
    forbid(PEOPLE, &rules)
}

/// What is true where no object is named.
pub(super) fn nothing() -> Policy {
    let mut rules: Vec<String> = Relation::ALL.iter().map(|one| format!("!context.{one}")).collect();
    rules.push("resource == Fortissimo::Platform::\"all\"".to_owned());
    forbid(NOTHING, &rules)
}

/// Whether the guard about relations is for this kind.
pub(super) fn is_nothing(kind: &str) -> bool {
    kind == PLATFORM
}

fn forbid(id: &str, rules: &[String]) -> Policy {
    let text = format!("forbid (principal, action, resource) unless {{ ({}) }};", rules.join(") && ("));
    Policy::parse(Some(PolicyId::new(id)), text).expect("the guards are policies")
}

/// As Cedar writes strings.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}
