//! Decisions against a model that knows nothing of Cedar: SPEC's words in plain Rust, over random stores and requests.
//!
//! In CI 10⁴ questions; with `FORTISSIMO_LONG=1` in its environment, 10⁶.

use base::{Id, Timestamp, kind};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::tests::{is_long_run, relation_suffices, role_grants, tier_grants};
use crate::*;

const ACCOUNTS: usize = 4;
const OBJECTS: usize = 5;
const KINDS: &[&str] = &["track", "playlist", "project", "generation"];
/// Moments of the store, in seconds.
const MOMENTS: i64 = 6;

/// Stores, and questions put to each.
fn amount() -> (usize, usize) {
    if is_long_run() { (22_000, 100) } else { (220, 100) }
}

/// One person.
#[derive(Debug, Clone)]
struct Person {
    role: Option<Role>,
    tier: Option<Tier>,
    suspended: bool,
    verified: bool,
    locked: bool,
    /// Whether they have a second factor, and the seconds since they showed it.
    factor: Option<Option<u32>>,
    risk: u8,
}

/// "This account has this relation to that object, up to this second."
#[derive(Debug, Clone)]
struct Tuple {
    account: usize,
    object: usize,
    relation: Relation,
    until_s: Option<i64>,
}

#[derive(Debug, Clone)]
struct Store {
    people: Vec<Person>,
    /// The kind of each object.
    objects: Vec<&'static str>,
    tuples: Vec<Tuple>,
}

fn person() -> impl Strategy<Value = Person> {
    let rarely = || proptest::bool::weighted(0.08);
    (
        proptest::option::weighted(0.95, proptest::sample::select(Role::ALL)),
        proptest::option::weighted(0.95, proptest::sample::select(Tier::ALL)),
        (rarely(), rarely(), rarely()),
        proptest::option::of(proptest::option::of(0..2_000_u32)),
        0..=100_u8,
    )
        .prop_map(|(role, tier, (suspended, unverified, locked), factor, risk)| Person {
            role,
            tier,
            suspended,
            verified: !unverified,
            locked,
            factor,
            risk,
        })
}

fn store() -> impl Strategy<Value = Store> {
    // What a token is worth depends on its inviter, and has a test of its own.
    let relation = proptest::sample::select(
        Relation::ALL.iter().copied().filter(|relation| *relation != Relation::Token).collect::<Vec<_>>(),
    );
    let tuple = (0..ACCOUNTS, 0..OBJECTS, relation, proptest::option::of(0..MOMENTS))
        .prop_map(|(account, object, relation, until_s)| Tuple { account, object, relation, until_s });
    (
        proptest::collection::vec(person(), ACCOUNTS),
        proptest::collection::vec(proptest::sample::select(KINDS), OBJECTS),
        proptest::collection::vec(tuple, 0..20),
    )
        .prop_map(|(people, objects, tuples)| Store { people, objects, tuples })
}

/// SPEC in plain Rust, at a moment; what is known about sessions is known at another, `asked_s`.
fn model(store: &Store, who: usize, action: &str, object: Option<usize>, now_s: i64, asked_s: i64) -> bool {
    let person = &store.people[who];
    let Some(role) = person.role else { return false };
    if person.suspended || !person.verified || person.locked {
        return false;
    }
    let names = |grants: String| grants.split_ascii_whitespace().any(|name| name == action);
    let everyones = matches!(action, "data:export" | "data:delete");
    if !(everyones || names(role_grants(role)) || person.tier.is_some_and(|tier| names(tier_grants(tier)))) {
        return false;
    }
    // Delete, export, share and administration ask for more than a session.
    let verb = action.split(':').nth(1).unwrap();
    let sensitive = matches!(verb, "delete" | "export" | "share" | "admin") || action == "system:config";
    if sensitive {
        let shown_lately =
            matches!(person.factor, Some(Some(age)) if i64::from(age) + now_s - asked_s <= 900);
        if (person.factor.is_some() && !shown_lately) || person.risk >= 80 {
            return false;
        }
    }
    let Some(object) = object else { return true };
    let kind = store.objects[object];
    let administers = matches!(role, Role::Admin | Role::SuperAdmin);
    (administers && verb == "delete")
        || store.tuples.iter().any(|tuple| {
            tuple.account == who
                && tuple.object == object
                && tuple.until_s.is_none_or(|until| now_s < until)
                && relation_suffices(kind, action, tuple.relation, role)
        })
}

fn account(number: usize) -> Id<kind::Account> {
    Id::from_bytes([u8::try_from(number).unwrap() + 1; 16])
}

/// The same question, put to the engine.
fn engine(
    access: &Access,
    store: &Store,
    who: usize,
    action: &Action,
    object: Option<usize>,
    now_s: i64,
) -> Decision {
    let person = &store.people[who];
    let subject = Subject {
        account: Some(account(who)),
        role: person.role,
        tier: person.tier,
        suspended: person.suspended,
        verified: person.verified,
        assurance: Assurance {
            locked: person.locked,
            second_factor: person.factor.is_some(),
            mfa_age_s: person.factor.flatten(),
            risk: person.risk,
            expires_at: None,
        },
    };
    let now = Timestamp::from_millis(now_s * 1000);
    let facts = object.map(|object| {
        let resource = ResourceRef { kind: store.objects[object].to_owned(), id: object.to_string() };
        let theirs = store.tuples.iter().filter(|tuple| tuple.account == who && tuple.object == object);
        theirs.fold(Facts::unrelated(resource, now), |facts, tuple| {
            let end = tuple.until_s.map(|until| Timestamp::from_millis(until * 1000));
            facts.with(tuple.relation, Hold::until(end))
        })
    });
    access.decide(&subject, action, facts.as_ref())
}

#[test]
fn the_engine_decides_as_the_specification_says() {
    let (stores, questions) = amount();
    let access = Access::builtin().unwrap();
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut asked, mut allowed) = (0, 0);
    for _ in 0..stores {
        let store = store().new_tree(&mut runner).unwrap().current();
        let question = (
            0..ACCOUNTS,
            proptest::sample::select(CATALOGUE),
            proptest::option::weighted(0.7, 0..OBJECTS),
            0..MOMENTS,
        );
        for _ in 0..questions {
            let (who, name, object, now_s) = question.new_tree(&mut runner).unwrap().current();
            let action: Action = name.parse().unwrap();
            if object
                .is_some_and(|object| !access.kinds(&action).iter().any(|kind| kind == store.objects[object]))
            {
                let decision = engine(&access, &store, who, &action, object, now_s);
                assert_eq!(decision.code, code::UNKNOWN_RESOURCE);
                continue;
            }
            let decision = engine(&access, &store, who, &action, object, now_s);
            let wanted = model(&store, who, name, object, now_s, now_s);
            assert_eq!(
                decision.allowed, wanted,
                "{who} {name} on {object:?} at {now_s}: {decision:?}\n{store:#?}"
            );
            // And it is right about its own end: the moment before, it holds; at that moment, it does not.
            if let (true, Some(end), Some(_)) = (decision.allowed, decision.expires_at, object) {
                let end_s = end.as_millis() / 1000;
                if end_s <= MOMENTS {
                    assert!(model(&store, who, name, object, end_s - 1, now_s), "{decision:?}\n{store:#?}");
                    assert!(!model(&store, who, name, object, end_s, now_s), "{decision:?}\n{store:#?}");
                }
            }
            asked += 1;
            allowed += usize::from(decision.allowed);
        }
    }
    assert!(asked * 5 > 2 * stores * questions, "only {asked} questions could be put");
    assert!(allowed * 10 > asked, "only {allowed} of {asked} were allowed: the generator is too tame");
}
