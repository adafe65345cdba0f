//! What a decision costs: medians and 99th percentiles of single calls, beside plain Cedar with the same rules and Casbin.
//!
//! `cargo bench -p fortissimo-access --bench decide`. One run on one machine; ratios between its lines are what counts.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on shall stop")]
#![expect(clippy::print_stdout, reason = "the table is its result")]

use std::hint::black_box;
use std::time::Instant;

use access::{
    Access, Action, Asker, Bundle, Facts, Hold, PolicyFile, Registration, Relation, RelationParts,
    RelationSettings, Relations, ResourceRef, Role, Subject, Tier,
};
use audit::Audit;
use base::{Clock, Entropy, Id, Scope, Timestamp, kind};
use casbin::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, MgmtApi};
use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression,
};
use keys::{FileRoot, Keys, RootKey};
use store::{Db, DbConfig, params};

const MANY: i64 = 1_000_000;

store::sql! {
    PEOPLE =
        sqlite "WITH RECURSIVE n (i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i < $2) \
            INSERT INTO account (account_id, username, email_sealed, email_index, password, role, tier, status, \
            compromised, epoch, created_at, updated_at) \
            SELECT unhex(printf('%032x', i)), printf('u%d', i), x'00', unhex(printf('%064x', i)), '', 'premium_user', \
            'studio', 'active', 0, 1, 1, 1 FROM n",
        postgres "SELECT $1::bigint, $2::bigint";
    SHARES =
        sqlite "WITH RECURSIVE n (i) AS (SELECT $2 UNION ALL SELECT i + 1 FROM n WHERE i < $3) \
            INSERT INTO access_relation (object_id, subject_id, account_id, kind, relation, created_at, revision) \
            SELECT o.object_id, unhex(printf('%032x', i)), unhex(printf('%032x', i)), o.kind, 'shared', 1, 1 \
            FROM n JOIN access_object o ON o.kind = 'track' AND o.name = $1",
        postgres "SELECT $1::text, $2::bigint, $3::bigint";
    OBJECTS =
        sqlite "WITH RECURSIVE n (i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i < $2) \
            INSERT INTO access_object (object_id, kind, name, account_id, public, created_at, revision) \
            SELECT unhex(printf('%032x', i)), 'playlist', printf('p%d', i), \
            unhex(printf('%032x', iif(i % 20000 = 0, 7, 8))), 0, 1, 1 FROM n",
        postgres "SELECT $1::bigint, $2::bigint";
}

fn numbered(number: i64) -> Id<kind::Account> {
    Id::from_bytes(u128::try_from(number).unwrap().to_be_bytes())
}

/// Medians and 99th percentiles in microseconds. Each sample is a batch, so that the clock's own cost is not in it.
fn show(name: &str, samples: usize, batch: usize, mut call: impl FnMut()) -> f64 {
    for _ in 0..samples / 10 + 1 {
        call();
    }
    let mut times: Vec<f64> = (0..samples)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..batch {
                call();
            }
            start.elapsed().as_secs_f64() * 1e6 / batch as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let (p50, p99) = (times[samples / 2], times[samples * 99 / 100]);
    println!("{name:<64} p50 {p50:>10.3} us   p99 {p99:>10.3} us");
    p50
}

fn main() {
    // `cargo test --all-targets` runs this too, without saying so; then it only has to compile.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    in_process();
    plain_cedar();
    runtime.block_on(casbin());
    database(&runtime);
}

/// The built-in policies, filled up to sixty.
fn sixty() -> Access {
    let built_in = Bundle::builtin().unwrap().policy_ids().count();
    let more: String = (built_in..60)
        .map(|at| {
            format!(
                "@id(\"extra.{at}\") forbid (principal, action == Fortissimo::Action::\"track:read\", \
                 resource is Fortissimo::Track) when {{ principal.locked && context.shared && {at} == 0 }};\n"
            )
        })
        .collect();
    let file = PolicyFile { name: "extra.cedar".into(), text: more };
    let bundle = Bundle::from_files(vec![file]).unwrap();
    assert!(bundle.policy_ids().count() >= 60);
    Access::new(bundle)
}

fn in_process() {
    let access = sixty();
    let read: Action = "track:read".parse().unwrap();
    let ada = Subject::account(numbered(7), Role::User, Tier::Free);
    let facts =
        Facts::unrelated(ResourceRef { kind: "track".into(), id: "1".into() }, Timestamp::from_millis(1))
            .with(Relation::Shared, Hold::Always);
    assert!(access.decide(&ada, &read, Some(&facts)).allowed);
    show("decide in process, warm, 60 policies", 20_000, 20, || {
        black_box(access.decide(black_box(&ada), &read, Some(&facts)));
    });
    let denied = Facts::unrelated(facts.resource.clone(), facts.now);
    show("... a deny with what was missing", 20_000, 20, || {
        black_box(access.decide(black_box(&ada), &read, Some(&denied)));
    });
    // A policy that names the object makes its verdict depend on more than is remembered: Cedar is asked each time.
    let text = "@id(\"named\") forbid (principal, action == Fortissimo::Action::\"track:read\", \
                resource == Fortissimo::Track::\"1\") when { context.token };";
    let mut files: Vec<PolicyFile> = access.bundle().files().to_vec();
    files.push(PolicyFile { name: "named.cedar".into(), text: text.into() });
    let asked = Access::new(Bundle::from_files(files).unwrap());
    assert!(asked.decide(&ada, &read, Some(&facts)).allowed);
    show("decide in process, nothing remembered (Cedar each time)", 5_000, 5, || {
        black_box(asked.decide(black_box(&ada), &read, Some(&facts)));
    });
}

/// The same rules, as one set, with the same entities.
fn plain_cedar() {
    let texts = [
        include_str!("../../../policies/conditions.cedar"),
        include_str!("../../../policies/relations.cedar"),
        include_str!("../../../policies/assurance.cedar"),
        include_str!("../../../policies/rights.cedar"),
        include_str!("../../../policies/roles.cedar"),
        include_str!("../../../policies/tiers.cedar"),
    ];
    let set: PolicySet = texts.join("\n").parse().unwrap();
    let uid = |text: &str| -> EntityUid { text.parse().unwrap() };
    let flag = |name: &str, on: bool| (name.to_owned(), RestrictedExpression::new_bool(on));
    let authorizer = Authorizer::new();
    let ask = || {
        let account = uid("Fortissimo::Account::\"7\"");
        let groups = [uid("Fortissimo::Role::\"user\""), uid("Fortissimo::Tier::\"free\"")];
        let attributes = [
            flag("has_role", true),
            flag("suspended", false),
            flag("verified", true),
            flag("locked", false),
            flag("strong", true),
            flag("risky", false),
        ];
        let mut entities: Vec<Entity> = groups.iter().cloned().map(Entity::with_uid).collect();
        let person = Entity::new(account.clone(), attributes.into(), groups.into()).unwrap();
        entities.push(person);
        let entities = Entities::from_entities(entities, None).unwrap();
        let relations = ["owner", "collaborator", "shared", "public", "token", "break_glass"]
            .map(|name| flag(name, name == "shared"));
        let context = Context::from_pairs(relations).unwrap();
        let (action, track) = (uid("Fortissimo::Action::\"track:read\""), uid("Fortissimo::Track::\"1\""));
        let request = Request::new(account, action, track, context, None).unwrap();
        authorizer.is_authorized(&request, &set, &entities)
    };
    assert_eq!(ask().decision(), cedar_policy::Decision::Allow);
    show("plain cedar-policy, the same rules as one set", 5_000, 5, || {
        black_box(ask());
    });
}

/// A list of who may what, as Casbin keeps it: its cost is that of the list.
async fn casbin() {
    const MODEL: &str = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n\
        [policy_effect]\ne = some(where (p.eft == allow))\n\
        [matchers]\nm = r.sub == p.sub && r.obj == p.obj && r.act == p.act\n";
    for shares in [1_usize, 100, 10_000] {
        let model = DefaultModel::from_str(MODEL).await.unwrap();
        let mut enforcer = Enforcer::new(model, MemoryAdapter::default()).await.unwrap();
        let rules =
            (0..shares).map(|at| vec![format!("u{at}"), "track/1".into(), "track:read".into()]).collect();
        enforcer.add_policies(rules).await.unwrap();
        let last = format!("u{}", shares - 1);
        assert!(enforcer.enforce((last.as_str(), "track/1", "track:read")).unwrap());
        let samples = if shares > 1_000 { 100 } else { 2_000 };
        show(&format!("casbin, {shares} shares"), samples, 1, || {
            black_box(enforcer.enforce((last.as_str(), "track/1", "track:read")).unwrap());
        });
    }
}

fn database(runtime: &tokio::runtime::Runtime) {
    let dir = tempfile::tempdir().unwrap();
    let relations = runtime.block_on(async {
        let (clock, entropy) = (Clock::system(), Entropy::system());
        let url = format!("sqlite:{}", dir.path().join("bench.db").display());
        let db = Db::connect(&DbConfig::new(url.parse().unwrap())).await.unwrap();
        db.migrate().await.unwrap();
        let root = FileRoot::open_or_create(&dir.path().join("root.key"), None, &entropy).unwrap();
        let keys = Keys::open(&db, &RootKey::File(root), clock.clone(), entropy.clone()).await.unwrap();
        let mut tx = db.begin(Scope::System("bench")).await.unwrap();
        tx.execute(PEOPLE, params![1_i64, MANY + 100]).await.unwrap();
        for owner in [7, 8] {
            keys.create_subject(&mut tx, keys::Subject::Account(numbered(owner))).await.unwrap();
        }
        tx.commit().await.unwrap();
        let audit = Audit::start(db.clone(), keys.clone(), clock.clone(), entropy.clone());
        let settings = RelationSettings::default();
        let access = sixty();
        let relations =
            Relations::open(RelationParts { db: db.clone(), keys, audit, access, clock, entropy, settings });
        let owner =
            Asker { subject: Subject::account(numbered(7), Role::PremiumUser, Tier::Studio), request: None };
        for name in ["one", "many"] {
            let track = ResourceRef { kind: "track".into(), id: name.into() };
            relations.register(&owner, &track, &Registration::default()).await.unwrap();
        }
        let mut tx = db.begin(Scope::System("bench")).await.unwrap();
        tx.execute(SHARES, params!["one", MANY, MANY]).await.unwrap();
        tx.execute(SHARES, params!["many", 100_i64, MANY + 99]).await.unwrap();
        tx.execute(OBJECTS, params![1_i64, MANY]).await.unwrap();
        tx.commit().await.unwrap();
        relations
    });
    let guest = Subject::account(numbered(MANY), Role::PremiumUser, Tier::Studio);
    let track = |id: &str| ResourceRef { kind: "track".into(), id: id.into() };
    let read: Action = "track:read".parse().unwrap();
    let mut medians = Vec::new();
    for (name, shares) in [("one", "1 share"), ("many", "1,000,000 shares")] {
        let resource = track(name);
        assert!(runtime.block_on(relations.check(&guest, &read, Some(&resource), None)).unwrap().allowed);
        let facts = || runtime.block_on(relations.facts(&guest, &resource)).unwrap();
        medians.push(show(
            &format!("facts from SQLite and decision, {shares} on the object"),
            5_000,
            4,
            || {
                let facts = facts();
                black_box(relations.access().decide(&guest, &read, Some(&facts)));
            },
        ));
    }
    println!("{:<64} {:+.1} %", "1,000,000 shares against 1", (medians[1] / medians[0] - 1.0) * 100.0);
    let resource = track("one");
    runtime.block_on(async {
        // Within one task, as in the pipeline.
        show_cached(&relations, &guest, &read, &resource).await;
    });
    let owner = Subject::account(numbered(7), Role::PremiumUser, Tier::Studio);
    let list: Action = "playlist:read".parse().unwrap();
    let page = runtime.block_on(relations.list_objects(&owner, &list, "playlist", None, 200)).unwrap();
    assert_eq!(page.objects.len(), 50);
    show("list of 50 visible among 1,000,000 objects", 200, 1, || {
        black_box(runtime.block_on(relations.list_objects(&owner, &list, "playlist", None, 50)).unwrap());
    });
}

async fn show_cached(relations: &Relations, guest: &Subject, read: &Action, resource: &ResourceRef) {
    let mut times = Vec::new();
    for _ in 0..20_000 {
        let start = Instant::now();
        for _ in 0..20 {
            black_box(relations.check(guest, read, Some(resource), None).await.unwrap());
        }
        times.push(start.elapsed().as_secs_f64() * 1e6 / 20.0);
    }
    times.sort_by(f64::total_cmp);
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!(
        "{:<64} p50 {p50:>10.3} us   p99 {p99:>10.3} us",
        "decision with remembered facts (read anew each second)"
    );
}
