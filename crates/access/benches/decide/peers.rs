//! Others with the same rules and questions.

use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::time::Duration;

use access::{Access, Relation};
use casbin::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, MgmtApi};
use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression,
};

use crate::{Times, row};

/// The built-in files, as the crate has them.
const BUILTIN: [&str; 6] = [
    include_str!("../../../../policies/conditions.cedar"),
    include_str!("../../../../policies/relations.cedar"),
    include_str!("../../../../policies/assurance.cedar"),
    include_str!("../../../../policies/rights.cedar"),
    include_str!("../../../../policies/roles.cedar"),
    include_str!("../../../../policies/tiers.cedar"),
];

/// Plain `cedar-policy` with the same rules as one set, and the same facts as entities and context.
pub(crate) fn plain_cedar(access: &Access, ours: Duration) {
    let files = access.bundle().files().iter().map(|file| file.text.clone()).collect::<Vec<_>>();
    let set: PolicySet =
        BUILTIN.map(str::to_owned).into_iter().chain(files).collect::<String>().parse().unwrap();
    let uid = |text: &str| -> EntityUid { text.parse().unwrap() };
    let (account, user) = (uid("Fortissimo::Account::\"7\""), uid("Fortissimo::User::\"7\""));
    let (role, tier) = (uid("Fortissimo::Role::\"user\""), uid("Fortissimo::Tier::\"free\""));
    let (action, track) = (uid("Fortissimo::Action::\"track:read\""), uid("Fortissimo::Track::\"1\""));
    let library = uid("Fortissimo::Action::\"library\"");
    let flag = |name: &str, on: bool| (name.to_owned(), RestrictedExpression::new_bool(on));
    let question = || {
        let attributes = HashMap::from([
            flag("has_role", true),
            flag("suspended", false),
            flag("verified", true),
            flag("locked", false),
            flag("strong", true),
            flag("risky", false),
            ("user".to_owned(), RestrictedExpression::new_entity_uid(user.clone())),
        ]);
        let groups = HashSet::from([role.clone(), tier.clone()]);
        let entities = [
            Entity::with_uid(role.clone()),
            Entity::with_uid(tier.clone()),
            Entity::with_uid(library.clone()),
            Entity::new(account.clone(), attributes, groups).unwrap(),
            Entity::new_no_attrs(action.clone(), HashSet::from([library.clone()])),
        ];
        let relations = Relation::ALL.iter().map(|one| flag(one.as_str(), *one == Relation::Shared));
        let context = Context::from_pairs(relations).unwrap();
        let request = Request::new(account.clone(), action.clone(), track.clone(), context, None).unwrap();
        (request, Entities::from_entities(entities, None).unwrap())
    };
    let authorizer = Authorizer::new();
    let (request, entities) = question();
    assert_eq!(authorizer.is_authorized(&request, &set, &entities).decision(), cedar_policy::Decision::Allow);
    let whole = Times::of(10_000, |_| {
        let (request, entities) = question();
        black_box(authorizer.is_authorized(&request, &set, &entities));
    });
    let ratio = |times: &Times| times.p50.as_secs_f64() / ours.as_secs_f64();
    row(
        "Plain cedar-policy with the same rules as one set, entities and request built for each call",
        "—",
        &format!("{whole} ({:.0} × our warm check)", ratio(&whole)),
    );
    let alone = Times::of(10_000, |_| {
        black_box(authorizer.is_authorized(black_box(&request), &set, &entities));
    });
    row(
        "… its evaluation alone, everything else made beforehand",
        "—",
        &format!("{alone} ({:.0} ×)", ratio(&alone)),
    );
}

/// A list of who may what, as Casbin keeps it: its cost is that of the list.
pub(crate) async fn casbin() {
    const MODEL: &str = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n\
        [policy_effect]\ne = some(where (p.eft == allow))\n\
        [matchers]\nm = r.sub == p.sub && r.obj == p.obj && r.act == p.act\n";
    for (shares, samples) in [(1_usize, 5_000), (100, 2_000), (10_000, 200)] {
        let model = DefaultModel::from_str(MODEL).await.unwrap();
        let mut enforcer = Enforcer::new(model, MemoryAdapter::default()).await.unwrap();
        let rules =
            (0..shares).map(|at| vec![format!("u{at}"), "track/1".into(), "track:read".into()]).collect();
        enforcer.add_policies(rules).await.unwrap();
        let last = format!("u{}", shares - 1);
        assert!(enforcer.enforce((last.as_str(), "track/1", "track:read")).unwrap());
        let times = Times::of(samples, |_| {
            black_box(enforcer.enforce((last.as_str(), "track/1", "track:read")).unwrap());
        });
        row(&format!("Casbin with {shares} shares, the last one asked for"), "—", &times.to_string());
    }
}
