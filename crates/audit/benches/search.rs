//! What a page of the audit trail costs in a large log: `cargo xtask bench --only search [--events N]`, or
//! `cargo bench -p fortissimo-audit --bench search -- [--events N]`. Needs about 1.5 KiB of disk for each event; the goal is
//! for ten million. Lines that begin with `row|` are for `cargo xtask bench`.
//!
//! The rows are made by the database itself, as the sequencer would have written them, but beside the tree (their
//! indexes begin far behind it): the search reads rows, not the tree. Everything else is the real thing, with the
//! reading of bodies and the durable record that every search leaves.
#![expect(clippy::print_stdout, reason = "a measurement speaks on stdout")]

use std::time::{Duration, Instant};

use audit::{Audit, Cursor, Event, Filter, Kind, Outcome, Record, RequestInfo, Searcher};
use base::{Actor, Clock, Entropy, Id, Scope, Timestamp, kind};
use keys::{FileRoot, Keys, RootKey};
use store::{Db, DbConfig, params, sql};

const SCOPE: Scope = Scope::System("bench");
/// Where the made indexes begin.
const FAR: i64 = 1 << 40;
const BATCH: i64 = 250_000;
const ACCOUNTS: i64 = 100_000;
/// Somebody whose program never sleeps: every tenth event.
const BUSY: [u8; 16] = [0xbb; 16];
/// Times that each question is asked.
const ROUNDS: usize = 150;
const START: i64 = 1_700_000_000_000;
/// Milliseconds between two events: ten million are about four months.
const STEP: i64 = 1_000;

sql! {
    DROP_ACCOUNT = "DROP INDEX audit_event_by_account";
    DROP_KIND = "DROP INDEX audit_event_by_kind";
    DROP_REQUEST = "DROP INDEX audit_event_by_request";
    DROP_ADDRESS = "DROP INDEX audit_event_by_address";
    DROP_OUTCOME = "DROP INDEX audit_event_by_outcome";
    MAKE_ACCOUNT = "CREATE INDEX audit_event_by_account ON audit_event (account_id, id) WHERE account_id IS NOT NULL";
    MAKE_KIND = "CREATE INDEX audit_event_by_kind ON audit_event (kind, id)";
    MAKE_REQUEST = "CREATE INDEX audit_event_by_request ON audit_event (request_id) WHERE request_id IS NOT NULL";
    MAKE_ADDRESS = "CREATE INDEX audit_event_by_address ON audit_event (address_index, id) WHERE address_index IS NOT NULL";
    MAKE_OUTCOME = "CREATE INDEX audit_event_by_outcome ON audit_event (outcome, id) WHERE outcome <> 'success'";
    SAMPLE = "SELECT leaf, body FROM audit_event ORDER BY idx LIMIT 1";
    FILL = sqlite "WITH RECURSIVE n (i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
        INSERT INTO audit_event (idx, id, at, kind, severity, outcome, account_id, actor, request_id, method, route,
          status, address_index, bodies, leaf, body)
        SELECT $3 + i, unhex(printf('%012x7%03x8%015x', $4 + i * $5, i & 4095, i)), $4 + i * $5,
          CASE WHEN i % 1000003 = 7 THEN 'break_glass.opened' WHEN i % 20 = 0 THEN 'session.signed_in'
               WHEN i % 20 = 1 THEN 'session.refreshed' WHEN i % 50 = 2 THEN 'authz.denied'
               WHEN i % 500 = 3 THEN 'account.password_changed' ELSE 'http.request' END,
          1, CASE WHEN i % 50 = 2 THEN 'denied' WHEN i % 100 = 5 THEN 'failure' ELSE 'success' END,
          CASE WHEN i % 10 = 9 THEN $6 WHEN i % 3 = 0 THEN NULL
               ELSE unhex(printf('%032x', (i * 2654435761) % $7)) END,
          'anonymous', unhex(printf('%032x', i / 2)), 'GET', '/api/v1/tracks/{id}', 200,
          unhex(printf('%032x', (i * 40503) % 65536)), 1, $8, $9
        FROM n", postgres "SELECT 1 WHERE $1::bigint + $2::bigint + $3::bigint + $4::bigint + $5::bigint + $7::bigint = 0
        AND $6::uuid IS NULL AND $8::bytea IS NULL AND $9::bytea IS NULL";
}

struct House {
    db: Db,
    audit: Audit,
    clock: Clock,
    entropy: Entropy,
    events: i64,
    _folder: tempfile::TempDir,
}

impl House {
    async fn new(events: i64) -> Self {
        let folder = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let (clock, entropy) = (Clock::system(), Entropy::system());
        let url = format!("sqlite:{}", folder.path().join("bench.db").display());
        let db = Db::connect(&DbConfig::new(url.parse().expect("an address"))).await.expect("a database");
        db.migrate().await.expect("migrations");
        let root =
            FileRoot::open_or_create(&folder.path().join("root.key"), None, &entropy).expect("a root key");
        let keys = Keys::open(&db, &RootKey::File(root), clock.clone(), entropy.clone()).await.expect("keys");
        let audit = Audit::start(db.clone(), keys, clock.clone(), entropy.clone());
        let house = Self { db, audit, clock, entropy, events, _folder: folder };
        house.fill().await;
        house
    }

    async fn fill(&self) {
        let request = RequestInfo {
            address: Some("203.0.113.77".parse().expect("an address")),
            agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".into()),
            method: Some("GET".into()),
            path: Some("/api/v1/tracks/0198c0de-0000-7000-8000-000000000000".into()),
            ..RequestInfo::new(Id::new(&self.clock, &self.entropy))
        };
        let event = Event::TokenRefused { reason: "expired", credential: "bearer" };
        let record = Record::new(self.clock.now(), event).during(request);
        self.audit.record_durable(record).await.expect("recorded");
        self.audit.settled().await.expect("in the log");
        self.execute(&[DROP_ACCOUNT, DROP_KIND, DROP_REQUEST, DROP_ADDRESS, DROP_OUTCOME]).await;
        let mut tx = self.db.begin_read(SCOPE).await.expect("a transaction");
        let sample = tx.query_one(SAMPLE, params![]).await.expect("the first event");
        let (leaf, body): (Vec<u8>, Vec<u8>) =
            (sample.get(0).expect("a leaf"), sample.get(1).expect("a body"));
        drop(tx);
        println!("note leaf {} bytes, body {} bytes", leaf.len(), body.len());
        let begun = Instant::now();
        let mut from = 0;
        while from < self.events {
            let last = (from + BATCH).min(self.events) - 1;
            let mut tx = self.db.begin(SCOPE).await.expect("a transaction");
            let values = params![from, last, FAR, START, STEP, BUSY, ACCOUNTS, leaf.clone(), body.clone()];
            tx.execute(FILL, values).await.expect("filled");
            tx.commit().await.expect("stored");
            from = last + 1;
        }
        self.execute(&[MAKE_ACCOUNT, MAKE_KIND, MAKE_REQUEST, MAKE_ADDRESS, MAKE_OUTCOME]).await;
        println!("note {} events made in {:.0} s", self.events, begun.elapsed().as_secs_f64());
    }

    async fn execute(&self, statements: &[store::Sql]) {
        for statement in statements {
            let mut tx = self.db.begin(SCOPE).await.expect("a transaction");
            tx.execute(*statement, &[]).await.expect("done");
            tx.commit().await.expect("stored");
        }
    }

    /// Asks many times, each time from another place in time, and prints the times of single pages.
    async fn ask(&self, name: &str, filter: impl Fn(i64) -> Filter) {
        let by = Searcher { actor: Actor::System("bench"), scope: SCOPE, request: None };
        let (mut times, mut most, mut found) = (Vec::with_capacity(ROUNDS), 0, 0);
        for round in 0..ROUNDS {
            let at = i64::try_from(round).unwrap_or(0) * 7_919_993 % self.events;
            // Every other question begins at the newest event, the others somewhere in the past.
            let mut ms = [0; 16];
            ms[..6].copy_from_slice(&(START + at * STEP).to_be_bytes()[2..]);
            let past = Cursor { at: Timestamp::from_millis(START + at * STEP), id: Id::from_bytes(ms) };
            let cursor = (round % 2 == 1).then_some(past);
            let begun = Instant::now();
            let page = self.audit.search(&by, &filter(at), cursor, 50).await.expect("an answer");
            times.push(begun.elapsed());
            most = most.max(usize::from(page.searched_to.is_some()));
            found += page.entries.len();
        }
        times.sort_unstable();
        let ms = |at: usize| times[at.min(times.len() - 1)].as_secs_f64() * 1e3;
        let cut = if most > 0 { "some cut" } else { "whole" };
        println!(
            "row|Search in {} million events: {name}|≤ 50 ms|p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms; {} rows a page, {cut}",
            self.events as f64 / 1e6,
            ms(ROUNDS / 2),
            ms(ROUNDS * 99 / 100),
            ms(ROUNDS),
            found / ROUNDS
        );
    }
}

fn account(at: i64) -> Id<kind::Account> {
    let number = (at * 2_654_435_761) % ACCOUNTS;
    Id::from_bytes(i128::from(number).to_be_bytes())
}

fn main() {
    // `cargo test --all-targets` runs this too, without saying so; then it only has to compile.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let argument = |name: &str, default: i64| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
        arguments.next().and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let events = argument("--events", 1_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let house = House::new(events).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let none = Filter::default;
        let busy = Id::from_bytes(BUSY);
        house.ask("no filter", |_| none()).await;
        house.ask("by person", |at| Filter { account: Some(account(at)), ..none() }).await;
        house.ask("by a person with a million events", |_| Filter { account: Some(busy), ..none() }).await;
        house.ask("by kind", |_| Filter { kind: Some(Kind::SignedIn), ..none() }).await;
        let three = vec![Kind::SignedIn, Kind::AuthzDenied, Kind::PasswordChanged];
        house.ask("by three kinds", |_| Filter { kinds: three.clone(), ..none() }).await;
        house.ask("by outcome", |_| Filter { outcome: Some(Outcome::Denied), ..none() }).await;
        house
            .ask("by request", |at| Filter {
                request: Some(Id::from_bytes(i128::from(at / 2).to_be_bytes())),
                ..none()
            })
            .await;
        house.ask("by address", |_| Filter { address: "203.0.113.77".parse().ok(), ..none() }).await;
        house
            .ask("by time", |at| {
                let from = START + at * STEP;
                let to = Some(Timestamp::from_millis(from + 3_600_000));
                Filter { from: Some(Timestamp::from_millis(from)), to, ..none() }
            })
            .await;
        house
            .ask("by person and kind", |at| Filter {
                account: Some(account(at)),
                kind: Some(Kind::HttpRequest),
                ..none()
            })
            .await;
        house
            .ask("by a busy person and a rare kind", |_| Filter {
                account: Some(busy),
                kind: Some(Kind::BreakGlassOpened),
                ..none()
            })
            .await;
        house
            .ask("by a busy person, a frequent kind and no match", |_| Filter {
                account: Some(busy),
                kind: Some(Kind::SignedIn),
                outcome: Some(Outcome::Denied),
                ..none()
            })
            .await;
        house
            .ask("by person, kind, outcome and time", |at| {
                let from = Some(Timestamp::from_millis(START));
                let outcome = Some(Outcome::Success);
                Filter {
                    account: Some(account(at)),
                    kind: Some(Kind::SessionRefreshed),
                    outcome,
                    from,
                    ..none()
                }
            })
            .await;
        house.audit.shutdown().await;
    });
}
