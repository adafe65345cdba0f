//! Splitting policies by action and kind, and remembering verdicts, changes no decision: random policies on top of the
//! built-in ones, random people and objects, against Cedar with all policies at once.
//!
//! In CI some 10⁴ questions; with `FORTISSIMO_LONG=1` in its environment, 10⁶.

use cedar_policy::{Authorizer, PolicySet};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;
use crate::tests::is_long_run;
use crate::{Assurance, Role, Tier};

const ACCOUNTS: u8 = 3;

/// Bundles, and questions put to each.
fn amount() -> (u32, usize) {
    if is_long_run() { (2_500, 400) } else { (25, 400) }
}

fn account(number: u8) -> base::Id<base::kind::Account> {
    base::Id::from_bytes([number + 1; 16])
}

fn role() -> impl Strategy<Value = Role> {
    proptest::sample::select(Role::ALL)
}

fn tier() -> impl Strategy<Value = Tier> {
    proptest::sample::select(Tier::ALL)
}

fn relation() -> impl Strategy<Value = Relation> {
    proptest::sample::select(Relation::ALL)
}

/// A condition over everything that a policy may look at.
fn condition() -> impl Strategy<Value = String> {
    let fact =
        proptest::sample::select(vec!["suspended", "verified", "has_role", "locked", "strong", "risky"]);
    let leaf = prop_oneof![
        fact.prop_map(|fact| format!("principal.{fact}")),
        relation().prop_map(|relation| format!("context.{relation}")),
        role().prop_map(|role| format!("principal in Fortissimo::Role::\"{role}\"")),
        tier().prop_map(|tier| format!("principal in Fortissimo::Tier::\"{tier}\"")),
        (0..ACCOUNTS).prop_map(|n| format!("principal == Fortissimo::Account::\"{}\"", account(n))),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
        ]
    })
}

/// A policy with a random scope. Some overflow, which is an evaluation error for whom they meet.
fn policy() -> impl Strategy<Value = String> {
    let actions =
        ["track:read", "track:write", "track:delete", "playlist:read", "playlist:share", "project:read"];
    let name = proptest::sample::select(actions.to_vec());
    let principal = prop_oneof![
        3 => Just("principal".to_owned()),
        2 => role().prop_map(|role| format!("principal in Fortissimo::Role::\"{role}\"")),
        2 => tier().prop_map(|tier| format!("principal in Fortissimo::Tier::\"{tier}\"")),
        1 => Just("principal is Fortissimo::Account".to_owned()),
        1 => (0..ACCOUNTS).prop_map(|n| format!("principal == Fortissimo::Account::\"{}\"", account(n))),
    ];
    let action = prop_oneof![
        3 => name.clone().prop_map(|name| format!("action == Fortissimo::Action::\"{name}\"")),
        2 => (name.clone(), name).prop_map(|(a, b)| {
            format!("action in [Fortissimo::Action::\"{a}\", Fortissimo::Action::\"{b}\"]")
        }),
        1 => proptest::sample::select(vec!["library", "creative", "sensitive"])
            .prop_map(|group| format!("action in Fortissimo::Action::\"{group}\"")),
    ];
    let resource = prop_oneof![
        4 => Just("resource".to_owned()),
        1 => Just("resource is Fortissimo::Track".to_owned()),
        1 => Just("resource is Fortissimo::Platform".to_owned()),
        1 => (0..2_u8).prop_map(|n| format!("resource == Fortissimo::Track::\"{n}\"")),
    ];
    let when = prop_oneof![
        2 => Just(String::new()),
        6 => condition().prop_map(|text| format!("when {{ {text} }}")),
        2 => condition().prop_map(|text| format!("unless {{ {text} }}")),
        1 => condition().prop_map(|text| format!("when {{ {text} && 9223372036854775807 + 1 == 0 }}")),
    ];
    let effect = proptest::sample::select(vec!["permit", "forbid"]);
    (effect, principal, action, resource, when)
        .prop_map(|(effect, p, a, r, when)| format!("{effect} ({p}, {a}, {r}) {when};"))
}

#[derive(Debug, Clone)]
struct Asked {
    subject: Subject,
    action: &'static str,
    object: Option<(&'static str, u8)>,
    relations: Vec<Relation>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let subject = (
        0..ACCOUNTS,
        proptest::option::weighted(0.9, role()),
        proptest::option::weighted(0.9, tier()),
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.9),
        (proptest::bool::weighted(0.1), any::<bool>(), proptest::option::of(0..2_000_u32), 0..100_u8),
    )
        .prop_map(
            |(number, role, tier, suspended, verified, (locked, second_factor, mfa_age_s, risk))| Subject {
                account: Some(account(number)),
                role,
                tier,
                suspended,
                verified,
                assurance: Assurance { locked, second_factor, mfa_age_s, risk, expires_at: None },
            },
        );
    let action = proptest::sample::select(crate::CATALOGUE.to_vec());
    let kind = proptest::sample::select(vec!["track", "playlist", "project", "generation", "user"]);
    let object = proptest::option::weighted(0.7, (kind, 0..3_u8));
    (subject, action, object, proptest::collection::vec(relation(), 0..3))
        .prop_map(|(subject, action, object, relations)| Asked { subject, action, object, relations })
}

/// What Cedar says with every policy of the bundle in one set.
fn unsplit(
    bundle: &Bundle,
    all: &PolicySet,
    case: &Case<'_>,
    relations: u8,
) -> (&'static str, Option<usize>) {
    let resource = case.object.map(|facts| &facts.resource);
    let (request, entities) = bundle
        .question(case.subject, case.standing, relations, &case.entry.entity, case.type_name, resource)
        .expect("the question can be put");
    let response = Authorizer::new().is_authorized(&request, all, &entities);
    if response.diagnostics().errors().next().is_some() {
        return (code::EVALUATION_ERROR, None);
    }
    let deciding = response
        .diagnostics()
        .reason()
        .filter_map(|id| bundle.policies.iter().position(|loaded| loaded.policy.id() == id))
        .min();
    (deciding.map_or(code::NO_GRANT, |at| bundle.policies[at].code), deciding)
}

#[test]
fn splitting_and_remembering_change_no_decision() {
    let (bundles, questions) = amount();
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let sets = proptest::collection::vec(policy(), 0..8);
    let (mut loaded, mut compared, mut codes) = (0, 0_u64, HashSet::new());
    while loaded < bundles {
        let policies = sets.new_tree(&mut runner).unwrap().current();
        let text: String = policies
            .iter()
            .enumerate()
            .map(|(at, policy)| format!("@id(\"random.{at}\") {policy}\n"))
            .collect();
        // Strict validation refuses what can never hold; such sets are no case.
        let Ok(bundle) =
            Bundle::from_files(vec![PolicyFile { name: "random.cedar".into(), text: text.clone() }])
        else {
            continue;
        };
        loaded += 1;
        let all = PolicySet::from_policies(bundle.policies.iter().map(|one| one.policy.clone())).unwrap();
        for _ in 0..questions {
            let asked = asked().new_tree(&mut runner).unwrap().current();
            let action = bundle.action(asked.action).unwrap();
            let facts = asked.object.map(|(kind, id)| {
                let resource = ResourceRef { kind: kind.to_owned(), id: id.to_string() };
                let none = Facts::unrelated(resource, base::Timestamp::from_millis(0));
                asked.relations.iter().fold(none, |facts, relation| facts.with(*relation, Hold::Always))
            });
            let conditions = Conditions::default();
            let Some(case) = bundle.case(
                &conditions,
                &asked.subject,
                &action,
                facts.as_ref(),
                base::Timestamp::from_millis(0),
            ) else {
                continue;
            };
            let mut relations = facts.as_ref().map_or(0, |facts| facts.set_at(facts.now));
            if !case.token_counts {
                relations &= !Relation::Token.bit();
            }
            let expected = unsplit(&bundle, &all, &case, relations);
            // Twice: what is remembered is the same.
            for _ in 0..2 {
                let verdict = case.now();
                let got = (verdict.code, verdict.policy.map(|at| at as usize));
                assert_eq!(got, expected, "{asked:?} under\n{text}");
            }
            let decision = bundle.decide(&asked.subject, &action, facts.as_ref());
            assert_eq!(decision.allowed, expected.0 == code::GRANTED, "{asked:?} under\n{text}");
            codes.insert(expected.0);
            compared += 1;
        }
    }
    assert!(compared > u64::from(bundles) * questions as u64 / 3, "only {compared} questions could be put");
    for code in [code::GRANTED, code::NO_GRANT, code::FORBIDDEN, code::EVALUATION_ERROR, code::NO_RELATION] {
        assert!(codes.contains(code), "no question met {code}: the generator is too tame");
    }
}
