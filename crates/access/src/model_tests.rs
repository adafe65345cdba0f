//! Decisions against a model that knows nothing of Cedar: SPEC's words in plain Rust, over random stores and requests.
//!
//! In CI 10⁴ questions; with `FORTISSIMO_LONG=1` in its environment, 10⁶.

use std::sync::Arc;

use base::{Id, Timestamp, kind};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::tests::{is_long_run, relation_suffices, role_grants, tier_grants};
use crate::*;

const ACCOUNTS: usize = 4;
const OBJECTS: usize = 6;
/// The built-in kinds, people, and an operator's own type.
const KINDS: &[&str] = &["track", "playlist", "project", "generation", "user", "stem_pack"];
/// The actions on the operator's type.
const STEMS: [&str; 2] = ["stem:render", "stem:burn"];
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
    /// What a token says, where the relation is one.
    terms: Terms,
}

/// What a token names, who invites by it, and what they have to do with the object themselves.
#[derive(Debug, Clone)]
struct Terms {
    permissions: Vec<&'static str>,
    inviter: usize,
    relation: Relation,
}

/// An operator's type of objects: what `[[access.resource_type]]` says in the model's words is in [`capable`],
/// [`suffices`] and [`is_sensitive`].
fn stem_pack() -> ResourceType {
    let action = |name: &str, relations: &[Relation], roles: &[Role], tiers: &[Tier], sensitive| TypeAction {
        name: name.into(),
        relations: relations.to_vec(),
        roles: roles.to_vec(),
        tiers: tiers.to_vec(),
        sensitive,
    };
    let render = [Relation::Owner, Relation::Shared, Relation::Token];
    ResourceType {
        name: "stem_pack".into(),
        actions: vec![
            action("stem:render", &render, &[Role::User], &[Tier::Pro], false),
            action("stem:burn", &[Relation::Owner, Relation::Public], &[], &[Tier::Studio], true),
        ],
    }
}

fn everything() -> Vec<&'static str> {
    CATALOGUE.iter().copied().chain(STEMS).collect()
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
    let relation = || proptest::sample::select(Relation::ALL);
    let terms = (proptest::sample::subsequence(everything(), 8..30), 0..ACCOUNTS, relation())
        .prop_map(|(permissions, inviter, relation)| Terms { permissions, inviter, relation });
    let tuple = (0..ACCOUNTS, 0..OBJECTS, relation(), proptest::option::of(0..MOMENTS), terms).prop_map(
        |(account, object, relation, until_s, terms)| Tuple { account, object, relation, until_s, terms },
    );
    (
        proptest::collection::vec(person(), ACCOUNTS),
        proptest::collection::vec(proptest::sample::select(KINDS), OBJECTS),
        proptest::collection::vec(tuple, 0..30),
    )
        .prop_map(|(people, objects, mut tuples)| {
            // One account redeems one token of an object.
            let mut redeemed = Vec::new();
            tuples.retain(|tuple| {
                let place = (tuple.account, tuple.object);
                let again = tuple.relation == Relation::Token && redeemed.contains(&place);
                redeemed.extend((tuple.relation == Relation::Token).then_some(place));
                !again
            });
            Store { people, objects, tuples }
        })
}

/// Delete, export, share and administration ask for more than a session.
fn is_sensitive(action: &str) -> bool {
    let verb = action.split(':').nth(1).unwrap();
    matches!(verb, "delete" | "export" | "share" | "admin") || matches!(action, "system:config" | "stem:burn")
}

/// Whether role or tier grant it.
fn capable(role: Role, tier: Option<Tier>, action: &str) -> bool {
    let names = |grants: String| grants.split_ascii_whitespace().any(|name| name == action);
    match action {
        "data:export" | "data:delete" => true,
        _ if role == Role::SuperAdmin => true,
        "stem:render" => role == Role::User || tier == Some(Tier::Pro),
        "stem:burn" => tier == Some(Tier::Studio),
        _ => names(role_grants(role)) || tier.is_some_and(|tier| names(tier_grants(tier))),
    }
}

/// Whether a relation to an object of this kind is enough.
fn suffices(kind: &str, action: &str, relation: Relation, role: Role) -> bool {
    match action {
        "stem:render" => matches!(relation, Relation::Owner | Relation::Shared | Relation::Token),
        "stem:burn" => matches!(relation, Relation::Owner | Relation::Public),
        _ => relation_suffices(kind, action, relation, role),
    }
}

/// Role, tier, conditions and session, without any object; the second factor was shown this many seconds ago now.
fn stands(person: &Person, action: &str, factor: Option<Option<i64>>) -> bool {
    let Some(role) = person.role else { return false };
    if person.suspended || !person.verified || person.locked || !capable(role, person.tier, action) {
        return false;
    }
    let shown_lately = matches!(factor, Some(Some(age)) if age <= 900);
    !is_sensitive(action) || ((factor.is_none() || shown_lately) && person.risk < 80)
}

/// What a token is worth: what it names, as far as its inviter may do it by what they have to the object themselves,
/// which is no token. An inviter has no session, so neither their risk nor their second factor is looked at.
fn token_counts(store: &Store, kind: &str, action: &str, terms: &Terms) -> bool {
    let inviter = Person { risk: 0, ..store.people[terms.inviter].clone() };
    let administers = matches!(inviter.role, Some(Role::Admin | Role::SuperAdmin));
    let takes_down = administers && action.ends_with(":delete");
    terms.permissions.contains(&action)
        && terms.relation != Relation::Token
        && stands(&inviter, action, None)
        && inviter.role.is_some_and(|role| takes_down || suffices(kind, action, terms.relation, role))
}

/// SPEC in plain Rust, at a moment; what is known about sessions is known at another, `asked_s`.
fn model(store: &Store, who: usize, action: &str, object: Option<usize>, now_s: i64, asked_s: i64) -> bool {
    let person = &store.people[who];
    let factor = person.factor.map(|age| age.map(|age| i64::from(age) + now_s - asked_s));
    let Some(role) = person.role.filter(|_| stands(person, action, factor)) else { return false };
    let Some(object) = object else { return true };
    let kind = store.objects[object];
    if kind == "user" {
        // The object is a person: the right to one's own data is about oneself, and those who administer accounts need
        // nothing to do with whom they administer.
        let oneself = object % ACCOUNTS == who;
        return !action.starts_with("data:") || oneself || role == Role::SuperAdmin;
    }
    // Ownership does not bind administrators who take something down.
    let administers = matches!(role, Role::Admin | Role::SuperAdmin) && action.ends_with(":delete");
    administers
        || store.tuples.iter().any(|tuple| {
            tuple.account == who
                && tuple.object == object
                && tuple.until_s.is_none_or(|until| now_s < until)
                && suffices(kind, action, tuple.relation, role)
                && (tuple.relation != Relation::Token || token_counts(store, kind, action, &tuple.terms))
        })
}

fn account(number: usize) -> Id<kind::Account> {
    Id::from_bytes([u8::try_from(number).unwrap() + 1; 16])
}

fn subject(store: &Store, who: usize) -> Subject {
    let person = &store.people[who];
    Subject {
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
    }
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
    let now = Timestamp::from_millis(now_s * 1000);
    let facts = object.map(|object| {
        let kind = store.objects[object];
        let id = if kind == "user" { account(object % ACCOUNTS).to_string() } else { object.to_string() };
        let resource = ResourceRef { kind: kind.to_owned(), id };
        let theirs = store.tuples.iter().filter(|tuple| tuple.account == who && tuple.object == object);
        theirs.fold(Facts::unrelated(resource, now), |mut facts, tuple| {
            if tuple.relation == Relation::Token {
                let inviter = subject(store, tuple.terms.inviter);
                let assurance = Assurance { locked: inviter.assurance.locked, ..Assurance::NONE };
                facts.token = Some(Arc::new(TokenTerms {
                    permissions: tuple
                        .terms
                        .permissions
                        .iter()
                        .map(|name| access.action(name).unwrap())
                        .collect(),
                    inviter: Subject { assurance, ..inviter },
                    inviter_relation: tuple.terms.relation,
                }));
            }
            let end = tuple.until_s.map(|until| Timestamp::from_millis(until * 1000));
            facts.with(tuple.relation, Hold::until(end))
        })
    });
    access.decide(&subject(store, who), action, facts.as_ref())
}

#[test]
fn the_engine_decides_as_the_specification_says() {
    let (stores, questions) = amount();
    let files = ResourceType::files(&[stem_pack()]).unwrap();
    let access = Access::new(Bundle::from_files(files).unwrap());
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut asked, mut allowed) = (0, 0);
    // Allowed by nothing but a token, about a person, about the operator's type.
    let mut reached = [0; 3];
    for _ in 0..stores {
        let store = store().new_tree(&mut runner).unwrap().current();
        let question = (
            0..ACCOUNTS,
            proptest::sample::select(everything()),
            proptest::option::weighted(0.7, 0..OBJECTS),
            0..MOMENTS,
        );
        for _ in 0..questions {
            let (who, name, object, now_s) = question.new_tree(&mut runner).unwrap().current();
            // Most questions are about what can be asked of the object.
            let about = |name: &&'static str| {
                let kinds = access.kinds(&access.action(name).unwrap());
                object.is_none_or(|object| kinds.iter().any(|kind| kind == store.objects[object]))
            };
            let fitting: Vec<&'static str> = everything().into_iter().filter(about).collect();
            let at = everything().iter().position(|one| *one == name).unwrap();
            let name = if at % 7 == 0 { name } else { fitting[at % fitting.len()] };
            let action = access.action(name).unwrap();
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
            if let (true, Some(object)) = (decision.allowed, object) {
                let mut without = store.clone();
                without.tuples.retain(|tuple| tuple.relation != Relation::Token);
                reached[0] += usize::from(!model(&without, who, name, Some(object), now_s, now_s));
                reached[1] += usize::from(store.objects[object] == "user");
                reached[2] += usize::from(store.objects[object] == "stem_pack");
            }
        }
    }
    assert!(asked * 5 > 2 * stores * questions, "only {asked} questions could be put");
    assert!(allowed * 10 > asked, "only {allowed} of {asked} were allowed: the generator is too tame");
    assert!(reached.iter().all(|one| one * 1_000 > asked), "too tame: {reached:?} of {asked}");
}
