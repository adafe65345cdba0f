//! Policies put in force, followed, rolled back, on both databases.

#![expect(clippy::unwrap_used, reason = "a test fails where it should")]

use access::{Access, LifeError, Permit, Policies, PolicyFile};
use audit::{Audit, Filter, Searcher};
use base::{Actor, Clock, Entropy, Scope};
use keys::{FileRoot, Keys, RootKey};
use store::{Db, params};

store::sql! {
    /// Damages every bundle.
    DAMAGE = "UPDATE policy_bundle SET files = replace(files, 'studio', 'free')";
    /// What another operator's quicker activation leaves behind.
    QUICKER = "INSERT INTO policy_activation \
               (serial, digest, act, version, policies, activated_at, activated_by, comment) \
               VALUES ($1, NULL, 'activated', 'v', 1, 0, 'system:test', '')";
}

struct House {
    db: Db,
    audit: Audit,
    clock: Clock,
    _dir: tempfile::TempDir,
}

impl House {
    async fn all() -> Vec<Self> {
        let mut houses = Vec::new();
        for db in store::testing::databases().await {
            let dir = tempfile::tempdir().unwrap();
            let (clock, entropy) = (Clock::controlled(1_700_000_000_000), Entropy::system());
            let root = FileRoot::open_or_create(&dir.path().join("root.key"), None, &entropy).unwrap();
            let keys = Keys::open(&db, &RootKey::File(root), clock.clone(), entropy.clone()).await.unwrap();
            let audit = Audit::start(db.clone(), keys, clock.clone(), entropy);
            houses.push(Self { db, audit, clock, _dir: dir });
        }
        houses
    }

    fn node(&self) -> Policies {
        Policies::new(self.db.clone(), self.audit.clone(), self.clock.clone(), Access::builtin().unwrap())
    }

    async fn kinds(&self) -> Vec<String> {
        let by = Searcher { actor: Actor::System("test"), scope: Scope::System("test"), request: None };
        let page = self.audit.search(&by, &Filter::default(), None, 100).await.unwrap();
        let mut kinds: Vec<String> = page
            .entries
            .into_iter()
            .map(|entry| entry.kind)
            .filter(|kind| kind.starts_with("policy."))
            .collect();
        // The clock stands still, so that their order is no promise.
        kinds.sort();
        kinds
    }
}

fn permit() -> Permit<access::actions::SystemConfig> {
    Permit::for_system("test")
}

fn files(tier: &str) -> Vec<PolicyFile> {
    let text = format!(
        r#"@id("t") permit (principal in Fortissimo::Tier::"{tier}", action == Fortissimo::Action::"system:logs", resource);"#
    );
    vec![PolicyFile { name: "/somewhere/of/mine/t.cedar".into(), text }]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_follows_and_a_rollback_goes_back() {
    for house in House::all().await {
        let (one, two) = (house.node(), house.node());
        let builtin = one.access().version();
        assert!(!two.refresh().await.unwrap());
        assert!(matches!(one.roll_back(permit(), None, "").await, Err(LifeError::NothingThere(_))));

        let first = one.activate(permit(), files("studio"), " for\nstudios ").await.unwrap();
        assert_eq!(
            (first.serial, first.comment.as_str(), first.by.as_str()),
            (1, "for studios", "system:test")
        );
        assert_eq!(*one.access().version(), *first.version);
        assert_eq!(two.access().version(), builtin);
        assert!(two.refresh().await.unwrap());
        assert_eq!(*two.access().version(), *first.version, "the path does not count");
        assert!(!two.refresh().await.unwrap());

        let second = two.activate(permit(), files("pro"), "").await.unwrap();
        // A node that starts now begins with what is in force.
        let three = house.node();
        three.refresh().await.unwrap();
        assert_eq!(*three.access().version(), *second.version);
        let back = one.roll_back(permit(), None, "").await.unwrap();
        assert_eq!((back.act.as_str(), &back.digest), ("rolled_back", &first.digest));
        assert_eq!(*one.access().version(), *first.version);
        let initial = one.roll_back(permit(), Some(0), "").await.unwrap();
        assert_eq!((initial.digest, one.access().version()), (None, builtin));
        let history: Vec<i64> = one.history(None, 10).await.unwrap().iter().map(|a| a.serial).collect();
        assert_eq!(history, [4, 3, 2, 1]);
        assert_eq!(one.history(Some(3), 1).await.unwrap()[0].serial, 2);
        assert_eq!(**one.bundle_of(2).await.unwrap().version(), *second.version);
        let kinds = house.kinds().await;
        assert_eq!(
            kinds,
            ["policy.activated", "policy.activated", "policy.rolled_back", "policy.rolled_back"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_and_the_old_stays() {
    for house in House::all().await {
        let node = house.node();
        node.activate(permit(), files("studio"), "").await.unwrap();
        let before = node.access().version();
        let refused = node.activate(permit(), files("\"oops"), "").await.unwrap_err();
        assert!(refused.to_string().starts_with("/somewhere/of/mine/t.cedar:1:"), "{refused}");
        assert_eq!(node.access().version(), before);
        assert_eq!(house.kinds().await, ["policy.activated", "policy.refused"]);

        // What was altered in the database is not decided by.
        let mut tx = house.db.begin(Scope::System("test")).await.unwrap();
        tx.execute(DAMAGE, &[]).await.unwrap();
        tx.commit().await.unwrap();
        let fresh = house.node();
        assert!(matches!(fresh.refresh().await, Err(LifeError::Damaged(_))));
        assert_eq!(fresh.access().version(), Access::builtin().unwrap().version());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_operators_at_once_one_is_told() {
    for house in House::all().await {
        let (one, two) = (house.node(), house.node());
        let (a, b) = tokio::join!(
            one.activate(permit(), files("studio"), ""),
            two.activate(permit(), files("pro"), "")
        );
        // Either both happened one after the other, or one was told that the other was quicker.
        let done = [&a, &b].iter().filter(|result| result.is_ok()).count();
        assert!(done > 0);
        for result in [a, b] {
            assert!(matches!(result, Ok(_) | Err(LifeError::Raced)), "{result:?}");
        }
        let history = one.history(None, 10).await.unwrap();
        assert_eq!(history.len(), done);
        // All nodes end with the same.
        one.refresh().await.unwrap();
        two.refresh().await.unwrap();
        assert_eq!(one.access().version(), two.access().version());
        assert_eq!(*one.access().version(), *history[0].version);

        let mut tx = house.db.begin(Scope::System("test")).await.unwrap();
        tx.execute(QUICKER, params![99]).await.unwrap();
        tx.commit().await.unwrap();
        assert!(one.refresh().await.unwrap(), "and what another node did is followed");
    }
}
