use base::{Actor, Clock, Entropy, Id, Scope, kind as ids};
use store::{Db, Sql, params, sql, testing};

use super::SCAN;
use super::statements::{
    BY_ABOUT, BY_ADDRESS, BY_FURTHER, BY_KIND, BY_OUTCOME, BY_REQUEST, BY_TIME, EDGE_ABOUT, EDGE_ADDRESS,
    EDGE_FURTHER, EDGE_KIND, EDGE_OUTCOME, EDGE_REQUEST, EDGE_TIME, ONE,
};
use crate::{Audit, Cursor, Event, Filter, Kind, Outcome, Record, Searcher};

sql! {
    /// Rows as the sequencer writes them, without bodies that open: only finding them is of interest.
    FILL = sqlite "WITH RECURSIVE n (i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
        INSERT INTO audit_event (idx, id, at, kind, severity, outcome, account_id, actor, bodies, leaf, body)
        SELECT i, CAST(unhex(printf('%012x%020x', $3 + i, i)) AS BLOB), $3 + i, $4, 1, $5, $6, 'anonymous', 1, x'', x''
        FROM n",
        postgres "INSERT INTO audit_event (idx, id, at, kind, severity, outcome, account_id, actor, bodies, leaf, body)
        SELECT i, CAST(lpad(to_hex($3 + i), 12, '0') || lpad(to_hex(i), 20, '0') AS uuid), $3 + i, $4, 1, $5, $6,
        'anonymous', 1, '', '' FROM generate_series($1::bigint, $2::bigint) AS n(i)";
}

const SYSTEM: Scope = Scope::System("test");
const START: i64 = 1_700_000_000_000;

/// Each statement of the search, the index that it must use, and whether it may sort what it found (what has the same
/// request id or lies in one page's candidates is little).
const STATEMENTS: &[(Sql, &str, bool)] = &[
    (BY_REQUEST, "audit_event_by_request", true),
    (BY_ADDRESS, "audit_event_by_address", false),
    (BY_ABOUT, "audit_event_by_account", false),
    (BY_FURTHER, "audit_body_by_account", true),
    (BY_KIND, "audit_event_by_kind", false),
    (BY_OUTCOME, "audit_event_by_outcome", false),
    (BY_TIME, "audit_event_by_id", false),
    (EDGE_REQUEST, "audit_event_by_request", true),
    (EDGE_ADDRESS, "audit_event_by_address", false),
    (EDGE_ABOUT, "audit_event_by_account", false),
    (EDGE_FURTHER, "audit_body_by_account", false),
    (EDGE_KIND, "audit_event_by_kind", false),
    (EDGE_OUTCOME, "audit_event_by_outcome", false),
    (EDGE_TIME, "audit_event_by_id", false),
    (ONE, "audit_event_by_id", false),
];

#[tokio::test]
async fn every_statement_uses_its_index_on_sqlite() {
    let db = Db::memory();
    for (sql, index, sorts) in STATEMENTS {
        let plan = testing::sqlite_plan(&db, sql).await.unwrap();
        let text = plan.join("\n");
        assert!(text.contains(index), "{}:\n{text}", sql.name());
        for step in &plan {
            let reads_all = step.starts_with("SCAN") && !step.contains("candidate");
            assert!(!reads_all, "{} reads everything:\n{text}", sql.name());
            assert!(*sorts || !step.contains("TEMP B-TREE"), "{} sorts:\n{text}", sql.name());
        }
    }
}

#[tokio::test]
async fn every_statement_uses_its_index_on_postgres() {
    let Some(server) = testing::postgres().await else { return };
    for (sql, index, sorts) in STATEMENTS {
        let plan = server.plan(sql).await;
        let text = plan.join("\n");
        assert!(text.contains(index), "{}:\n{text}", sql.name());
        assert!(!text.contains("Seq Scan"), "{} reads everything:\n{text}", sql.name());
        assert!(*sorts || !text.contains("Sort"), "{} sorts:\n{text}", sql.name());
    }
}

struct Library {
    db: Db,
    audit: Audit,
    clock: Clock,
    keys: keys::Keys,
    _folder: tempfile::TempDir,
}

impl Library {
    async fn new(db: Db) -> Self {
        let (clock, entropy) = (Clock::controlled(START + 1_000_000_000), Entropy::system());
        let folder = tempfile::tempdir().unwrap();
        let file = keys::FileRoot::open_or_create(&folder.path().join("root.key"), None, &entropy).unwrap();
        let keys =
            keys::Keys::open(&db, &keys::RootKey::File(file), clock.clone(), entropy.clone()).await.unwrap();
        let audit = Audit::start(db.clone(), keys.clone(), clock.clone(), entropy);
        Self { db, audit, clock, keys, _folder: folder }
    }

    /// `count` events with indexes (and milliseconds since [`START`]) from `from` on.
    async fn fill(
        &self,
        from: i64,
        count: i64,
        kind: Kind,
        outcome: Outcome,
        account: Option<Id<ids::Account>>,
    ) {
        let mut tx = self.db.begin(SYSTEM).await.unwrap();
        let last = from + count - 1;
        let params = params![from, last, START, kind.name(), outcome.name(), account];
        assert_eq!(tx.execute(FILL, params).await.unwrap(), count as u64);
        tx.commit().await.unwrap();
    }

    /// All pages of a search: the indexes found, and how many pages it took.
    async fn all(&self, filter: &Filter, limit: usize) -> (Vec<i64>, usize) {
        let (mut found, mut pages, mut cursor): (Vec<i64>, usize, Option<Cursor>) = (Vec::new(), 0, None);
        loop {
            let mut tx = self.db.begin_read(SYSTEM).await.unwrap();
            let page = super::find(&mut tx, &self.keys, filter, cursor.map(|c| c.id), limit).await.unwrap();
            drop(tx);
            pages += 1;
            assert!(page.rows.len() <= limit);
            assert!(!page.stopped || page.rows.len() < limit || page.next.is_some());
            found.extend(page.rows.iter().map(|row| row.get::<i64>(11).unwrap()));
            let Some(next) = page.next else { return (found, pages) };
            assert!(cursor.is_none_or(|before| next < before.id), "the search must come forward");
            cursor = Some(Cursor { at: super::time_of(next), id: next });
            assert!(pages < 500, "the search must end");
        }
    }
}

#[tokio::test]
async fn filters_that_rarely_match_together_are_answered_in_bounded_pages() {
    for db in testing::databases().await {
        let house = Library::new(db).await;
        let busy = Id::from_bytes([7; 16]);
        // Two large sets that do not meet, but for one event at their far end.
        house.fill(0, 1, Kind::AuthzDenied, Outcome::Denied, Some(busy)).await;
        for block in 0..50 {
            house.fill(1 + block * 200, 100, Kind::HttpRequest, Outcome::Success, Some(busy)).await;
            house.fill(101 + block * 200, 100, Kind::AuthzDenied, Outcome::Denied, None).await;
        }
        let filter = Filter { account: Some(busy), kind: Some(Kind::AuthzDenied), ..Filter::default() };
        let (found, pages) = house.all(&filter, 50).await;
        assert_eq!(found, [0]);
        assert!((3..=8).contains(&pages), "{pages} pages");

        // Bounded, and says how far it came.
        let by = Searcher { actor: Actor::System("test"), scope: SYSTEM, request: None };
        let page = house.audit.search(&by, &filter, None, 50).await.unwrap();
        assert!(page.entries.is_empty());
        assert_eq!(page.searched_to, page.next.map(|cursor| cursor.at));
        assert!(page.searched_to.is_some());
    }
}

#[tokio::test]
async fn the_filter_with_few_candidates_drives_whichever_it_is() {
    for db in testing::databases().await {
        let house = Library::new(db).await;
        let (busy, rare) = (Id::from_bytes([7; 16]), Id::from_bytes([8; 16]));
        let many = (SCAN * 2) as i64;
        house.fill(0, 3, Kind::KeyRevoked, Outcome::Success, Some(busy)).await;
        house.fill(3, many, Kind::HttpRequest, Outcome::Success, Some(busy)).await;
        house.fill(3 + many, 2, Kind::HttpRequest, Outcome::Denied, Some(rare)).await;
        house.fill(5 + many, many, Kind::HttpRequest, Outcome::Success, Some(busy)).await;
        let one_page = async |filter: Filter| {
            let (found, pages) = house.all(&filter, 50).await;
            assert_eq!(pages, 1, "{filter:?}");
            found
        };
        let busy_rare_kind =
            Filter { account: Some(busy), kind: Some(Kind::KeyRevoked), ..Filter::default() };
        assert_eq!(one_page(busy_rare_kind).await, [2, 1, 0]);
        let rare_busy_kind =
            Filter { account: Some(rare), kind: Some(Kind::HttpRequest), ..Filter::default() };
        assert_eq!(one_page(rare_busy_kind).await, [many + 4, many + 3]);
        let rare_outcome =
            Filter { kind: Some(Kind::HttpRequest), outcome: Some(Outcome::Denied), ..Filter::default() };
        assert_eq!(one_page(rare_outcome).await, [many + 4, many + 3]);
    }
}

#[tokio::test]
async fn several_kinds_are_merged_by_time_and_paged_without_holes() {
    for db in testing::databases().await {
        let house = Library::new(db).await;
        let kinds = [Kind::SignedIn, Kind::SignedOut, Kind::HttpRequest];
        for i in 0..60 {
            house.fill(i, 1, kinds[(i % 3) as usize], Outcome::Success, None).await;
        }
        let filter =
            Filter { kinds: vec![Kind::SignedIn, Kind::SignedOut, Kind::SignedIn], ..Filter::default() };
        let expected: Vec<i64> = (0..60).rev().filter(|i| i % 3 != 2).collect();
        for limit in [1, 7, 40, 200] {
            assert_eq!(house.all(&filter, limit).await.0, expected, "{limit}");
        }
        // More kinds than have a range of their own each.
        let all: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| *kind != Kind::HttpRequest).collect();
        assert_eq!(house.all(&Filter { kinds: all, ..Filter::default() }, 7).await.0, expected);
        let one = Filter { kind: Some(Kind::SignedIn), kinds: vec![Kind::HttpRequest], ..Filter::default() };
        assert_eq!(house.all(&one, 200).await.0.len(), 40);
    }
}

#[tokio::test]
async fn people_are_found_in_events_that_are_about_somebody_else() {
    for db in testing::databases().await {
        let house = Library::new(db).await;
        let entropy = Entropy::system();
        let (owner, operator) = (Id::new(&house.clock, &entropy), Id::new(&house.clock, &entropy));
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        for account in [owner, operator] {
            house.keys.create_subject(&mut tx, keys::Subject::Account(account)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let disabled = Event::AccountDisabled { reason: Some("payment".into()) };
        let record = Record::new(house.clock.now(), disabled).by(Actor::Account(operator)).about(owner);
        house.audit.record_durable(record).await.unwrap();
        house.clock.advance_ms(1);
        let signed = Event::SignedIn { session: Id::new(&house.clock, &entropy), method: "password" };
        house
            .audit
            .record_durable(Record::new(house.clock.now(), signed).by_account(operator))
            .await
            .unwrap();
        house.clock.advance_ms(60_000);

        let by = Searcher { actor: Actor::System("test"), scope: SYSTEM, request: None };
        let find = async |filter: Filter| {
            let page = house.audit.search(&by, &filter, None, 50).await.unwrap();
            page.entries.into_iter().map(|entry| entry.kind).collect::<Vec<_>>()
        };
        let of_operator = Filter { account: Some(operator), ..Filter::default() };
        assert_eq!(find(of_operator.clone()).await, ["session.signed_in", "account.disabled"]);
        let both = Filter { kinds: vec![Kind::AccountDisabled], ..of_operator };
        assert_eq!(find(both).await, ["account.disabled"]);
        let of_owner = Filter { account: Some(owner), ..Filter::default() };
        assert_eq!(find(of_owner).await, ["account.disabled"]);

        // The one whom it is about and the one who did it may read it alone; a third may not even know of it.
        let page =
            house.audit.search(&by, &Filter { account: Some(owner), ..Filter::default() }, None, 1).await;
        let id = page.unwrap().entries[0].id;
        for (account, sees) in [(owner, true), (operator, true), (Id::new(&house.clock, &entropy), false)] {
            let who =
                Searcher { actor: Actor::Account(account), scope: Scope::Account(account), request: None };
            if !sees {
                let mut tx = house.db.begin(SYSTEM).await.unwrap();
                house.keys.create_subject(&mut tx, keys::Subject::Account(account)).await.unwrap();
                tx.commit().await.unwrap();
            }
            let read = house.audit.read(&who, id).await.unwrap();
            assert_eq!(read.is_some(), sees);
            if let Some(found) = read {
                assert_eq!(found.entry.details.get("reason").is_some(), account == owner);
            }
        }
    }
}
