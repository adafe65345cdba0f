//! Decisions and lists over a SQLite file with a million accounts, shares and objects.

use std::hint::black_box;
use std::path::Path;

use access::{
    Action, Asker, ObjectPage, Registration, Relation, RelationParts, RelationSettings, Relations,
    ResourceRef, Role, Share, Subject, Tier,
};
use audit::Audit;
use base::{Clock, Entropy, Scope};
use keys::{FileRoot, Keys, RootKey};
use store::{Db, DbConfig, params};
use tokio::runtime::Runtime;

use crate::{Times, numbered, read, row, sixty, track};

const MANY: i64 = 1_000_000;
/// How often one share and many are timed in turn.
const ROUNDS: usize = 5;
/// Of so many objects one is visible in each of the ways that are listed.
const APART: i64 = 20_000;
const VISIBLE: usize = 50;
/// Owns what is listed.
const OWNER: i64 = 7;
/// Owns everything else.
const OTHER: i64 = 8;
/// Those who see fifty objects by a share each, by one share of what they are part of, by a team.
const SHARED_WITH: i64 = 1_000;
const ALBUM_SHARED_WITH: i64 = 1_001;
const IN_TEAM: i64 = 1_002;
/// The first of those with whom the track of many shares is shared.
const FIRST_GUEST: i64 = 2_000;

store::sql! {
    PEOPLE =
        sqlite "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
            INSERT INTO account (account_id, username, email_sealed, email_index, password, role, tier, status, \
            compromised, epoch, created_at, updated_at) \
            SELECT unhex(printf('%032x', i)), printf('u%d', i), x'00', unhex(printf('%064x', i)), '', 'premium_user', \
            'studio', 'active', 0, 1, 1, 1 FROM n",
        postgres "SELECT $1::bigint";
    SHARES =
        sqlite "WITH RECURSIVE n (i) AS (SELECT $2 UNION ALL SELECT i + 1 FROM n WHERE i < $3) \
            INSERT INTO access_relation (object_id, subject_id, account_id, kind, relation, created_at, revision) \
            SELECT o.object_id, unhex(printf('%032x', i)), unhex(printf('%032x', i)), o.kind, 'shared', 1, 1 \
            FROM n JOIN access_object o ON o.kind = 'track' AND o.name = $1",
        postgres "SELECT $1::text, $2::bigint, $3::bigint";
    /// Each has an owner; one in so many is the listed one's, and the next but one is part of the album.
    OBJECTS =
        sqlite "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
            INSERT INTO access_object (object_id, kind, name, account_id, public, parent_id, created_at, revision) \
            SELECT unhex(printf('%032x', i)), 'playlist', printf('p%d', i), \
            unhex(printf('%032x', iif(i % $2 = 0, $3, $4))), 0, \
            iif(i % $2 = 2, (SELECT object_id FROM access_object WHERE name = 'album'), NULL), 1, 1 FROM n",
        postgres "SELECT $1::bigint, $2::bigint, $3::bigint, $4::bigint";
    SHARED_ONE_BY_ONE =
        sqlite "INSERT INTO access_relation (object_id, subject_id, account_id, kind, relation, created_at, revision) \
            SELECT object_id, unhex(printf('%032x', $2)), unhex(printf('%032x', $2)), kind, 'shared', 1, 1 \
            FROM access_object WHERE kind = 'playlist' AND cast(substr(name, 2) AS INTEGER) % $1 = 1",
        postgres "SELECT $1::bigint, $2::bigint";
    SHARED_WITH_TEAM =
        sqlite "INSERT INTO access_relation (object_id, subject_id, team_id, kind, relation, created_at, revision) \
            SELECT object_id, $2, $2, kind, 'shared', 1, 1 \
            FROM access_object WHERE kind = 'playlist' AND cast(substr(name, 2) AS INTEGER) % $1 = 3",
        postgres "SELECT $1::bigint, $2::uuid";
}

/// Everything that needs a database.
pub(crate) fn measure(runtime: &Runtime) {
    // Not the temporary folder, which may be in memory.
    let folder =
        |name: &str| tempfile::Builder::new().prefix(name).tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (small, large) = (folder("small"), folder("large"));
    runtime.block_on(async {
        let one = House::open(small.path()).await;
        one.people(FIRST_GUEST + 1).await;
        one.own("tune").await;
        one.run(SHARES, params!["tune", FIRST_GUEST, FIRST_GUEST]).await;
        cached(&one.relations).await;
        let house = House::open(large.path()).await;
        house.fill().await;
        // The two take turns: a machine is not as fast in one second as in the next.
        let mut ratios = Vec::new();
        for round in 1..=ROUNDS {
            let alone = one.timed("tune", |_| FIRST_GUEST).await;
            let many = house.timed("many", |_| FIRST_GUEST + MANY / 2).await;
            ratios.push(many.p50.as_secs_f64() / alone.p50.as_secs_f64());
            if round == ROUNDS {
                decided("1 share on the object", "p50 ≤ 40 µs", &alone);
                decided("1,000,000 shares on the object", "p50 ≤ 40 µs", &many);
            }
        }
        drop(one);
        ratios.sort_by(f64::total_cmp);
        let percent = (ratios[ROUNDS / 2] - 1.0) * 100.0;
        row(
            "… 1,000,000 shares against 1, median of rounds in turn",
            "within 20 %",
            &format!("{percent:+.1} %"),
        );
        // Each call another guest, all over the table, so that hardly a page is in SQLite's cache.
        let any = |at: usize| FIRST_GUEST + (at as i64).wrapping_mul(7_919) % MANY;
        decided("another of the million each time", "—", &house.timed("many", any).await);
        house.lists().await;
    });
}

fn decided(what: &str, goal: &str, times: &Times) {
    row(&format!("Check with the relation read from SQLite, {what}"), goal, &times.to_string());
}

struct House {
    db: Db,
    keys: Keys,
    /// Reads facts for each question.
    reading: Relations,
    /// Remembers them, as the gateway does.
    relations: Relations,
}

impl House {
    async fn open(folder: &Path) -> Self {
        let (clock, entropy) = (Clock::system(), Entropy::system());
        let url = format!("sqlite:{}", folder.join("bench.db").display());
        let db = Db::connect(&DbConfig::new(url.parse().unwrap())).await.unwrap();
        db.migrate().await.unwrap();
        let root = FileRoot::open_or_create(&folder.join("root.key"), None, &entropy).unwrap();
        let keys = Keys::open(&db, &RootKey::File(root), clock.clone(), entropy.clone()).await.unwrap();
        let audit = Audit::start(db.clone(), keys.clone(), clock.clone(), entropy.clone());
        let access = sixty();
        let open = |remember_ms| {
            let settings =
                RelationSettings { remember_ms, self_registration: true, ..RelationSettings::default() };
            Relations::open(RelationParts {
                db: db.clone(),
                keys: keys.clone(),
                audit: audit.clone(),
                access: access.clone(),
                clock: clock.clone(),
                entropy: entropy.clone(),
                settings,
            })
        };
        Self { reading: open(0), relations: open(RelationSettings::default().remember_ms), db, keys }
    }

    async fn run(&self, sql: store::Sql, params: &[store::Value]) {
        let mut tx = self.db.begin(Scope::System("bench")).await.unwrap();
        tx.execute(sql, params).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// So many accounts, two of which own things.
    async fn people(&self, count: i64) {
        self.run(PEOPLE, params![count]).await;
        let mut tx = self.db.begin(Scope::System("bench")).await.unwrap();
        for owner in [OWNER, OTHER] {
            self.keys.create_subject(&mut tx, keys::Subject::Account(numbered(owner))).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn own(&self, name: &str) -> Asker {
        let owner = Asker { subject: person(OWNER), request: None };
        self.relations.register(&owner, &track(name), &Registration::default()).await.unwrap();
        owner
    }

    async fn fill(&self) {
        self.people(FIRST_GUEST + MANY).await;
        let owner = self.own("many").await;
        self.run(SHARES, params!["many", FIRST_GUEST, FIRST_GUEST + MANY - 1]).await;
        let album = ResourceRef { kind: "project".into(), id: "album".into() };
        let other = Asker { subject: person(OTHER), request: None };
        self.relations.register(&other, &album, &Registration::default()).await.unwrap();
        let to = Share::Account(numbered(ALBUM_SHARED_WITH));
        self.relations.share(&other, &album, to, Relation::Collaborator, None).await.unwrap();
        self.run(OBJECTS, params![MANY, APART, OWNER, OTHER]).await;
        self.run(SHARED_ONE_BY_ONE, params![APART, SHARED_WITH]).await;
        let (team, _) = self.relations.make_team(&owner, "band").await.unwrap();
        let member = Share::Account(numbered(IN_TEAM));
        self.relations.join_team(&owner, team, member).await.unwrap();
        self.run(SHARED_WITH_TEAM, params![APART, team]).await;
    }

    /// May somebody whom it is shared with read it? The facts are read for each question.
    async fn timed(&self, name: &str, who: impl Fn(usize) -> i64) -> Times {
        let (resource, read) = (track(name), read());
        Times::of_async(20_000, async |at| {
            let decision = self.reading.check(&person(who(at)), &read, Some(&resource), None).await.unwrap();
            assert!(decision.allowed);
        })
        .await
    }

    async fn lists(&self) {
        let action: Action = "playlist:read".parse().unwrap();
        for (what, who) in [
            ("their own", OWNER),
            ("each shared with them", SHARED_WITH),
            ("parts of what is shared with them", ALBUM_SHARED_WITH),
            ("shared with a team of theirs", IN_TEAM),
        ] {
            let subject = person(who);
            let list = async || -> ObjectPage {
                self.relations.list_objects(&subject, &action, "playlist", None, VISIBLE).await.unwrap()
            };
            let page = list().await;
            assert_eq!((page.objects.len(), page.next), (VISIBLE, None), "{what}");
            let times = Times::of_async(200, async |_| {
                black_box(list().await);
            })
            .await;
            row(
                &format!("List of 50 visible among 1,000,000 objects: {what}"),
                "≤ 10 ms",
                &times.to_string(),
            );
        }
        let owner = Asker { subject: person(OWNER), request: None };
        let (many, read) = (track("many"), read());
        let times = Times::of_async(100, async |at| {
            let after = numbered(FIRST_GUEST + at as i64 * 9_000);
            let page =
                self.relations.list_subjects(&owner, &read, &many, Some(after), VISIBLE).await.unwrap();
            assert_eq!(page.subjects.len(), VISIBLE);
        })
        .await;
        row("Page of 50 of the 1,000,000 who may read one object", "—", &times.to_string());
    }
}

/// As the gateway asks: one task, the subject and the object's name at hand; the facts are read anew each second.
async fn cached(relations: &Relations) {
    let (guest, resource, read) = (person(FIRST_GUEST), track("tune"), read());
    let times = Times::of_async(200_000, async |_| {
        black_box(relations.check(&guest, &read, Some(&resource), None).await.unwrap());
    })
    .await;
    row("Cached decision as the gateway takes it", "≤ 1 µs", &times.to_string());
}

fn person(number: i64) -> Subject {
    Subject::account(numbered(number), Role::PremiumUser, Tier::Studio)
}
