use base::{Actor, Id, Timestamp};
use keys::Subject;
use store::{params, sql, testing};

use super::{House, START, SYSTEM, operator, owner};
use crate::{AuditError, Cursor, Event, Filter, Kind, MAX_PAGE, Outcome, Record};

sql! {
    SET_BODY = "UPDATE audit_event SET body = $2 WHERE id = $1";
    BODY = "SELECT body FROM audit_event WHERE id = $1";
    ALL_VISIBLE = "SELECT count(*) FROM audit_event";
}

#[tokio::test]
async fn each_filter_finds_its_events_and_only_those() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let (ada, bob) = (house.account().await, house.account().await);
        let mut request = house.request();
        request.address = Some("2001:db8::1".parse().unwrap());
        let request_id = request.id;
        let denied = Event::AuthzDenied {
            action: "track:delete".into(),
            code: "no_permit",
            rule: None,
            resource: None,
            policy_version: "v1".into(),
        };
        house.audit.record_durable(house.critical(ada)).await.unwrap();
        house.clock.advance_ms(1_000);
        house
            .audit
            .record_durable(
                Record::new(house.clock.now(), denied).by_account(bob).during(request).ended(Outcome::Denied),
            )
            .await
            .unwrap();
        house.clock.advance_ms(1_000);
        house.audit.record_durable(house.traffic(200)).await.unwrap();

        let at = |ms: i64| Some(Timestamp::from_millis(START + ms));
        let (signed_in, denied, traffic) = ("session.signed_in", "authz.denied", "http.request");
        let none = Filter::default;
        let cases: &[(Filter, &[&str])] = &[
            (Filter { account: Some(ada), ..none() }, &[signed_in]),
            (Filter { account: Some(bob), ..none() }, &[denied]),
            (Filter { kind: Some(Kind::HttpRequest), ..none() }, &[traffic]),
            (Filter { request: Some(request_id), ..none() }, &[denied]),
            (Filter { address: Some("2001:db8::1".parse().unwrap()), ..none() }, &[denied]),
            (Filter { address: Some("203.0.113.77".parse().unwrap()), ..none() }, &[traffic, signed_in]),
            (
                Filter { address: Some("::ffff:203.0.113.77".parse().unwrap()), ..none() },
                &[traffic, signed_in],
            ),
            (Filter { address: Some("203.0.113.78".parse().unwrap()), ..none() }, &[]),
            (Filter { outcome: Some(Outcome::Denied), to: at(1_500), ..none() }, &[denied]),
            (Filter { from: at(0), to: at(1_000), ..none() }, &[signed_in]),
            (Filter { from: at(1_000), to: at(2_000), ..none() }, &[denied]),
            (Filter { from: at(1_000), to: at(2_001), kind: Some(Kind::HttpRequest), ..none() }, &[traffic]),
            (Filter { from: at(2_000), to: at(1_000), ..none() }, &[]),
            (Filter { account: Some(ada), kind: Some(Kind::AuthzDenied), ..none() }, &[]),
            (
                Filter {
                    account: Some(bob),
                    kind: Some(Kind::AuthzDenied),
                    outcome: Some(Outcome::Denied),
                    ..none()
                },
                &[denied],
            ),
            (Filter { request: Some(request_id), account: Some(ada), ..none() }, &[]),
        ];
        // Searches are events themselves; they happen later, so that ranges above do not meet them.
        house.clock.advance_ms(60_000);
        for (filter, expected) in cases {
            let found = house.find(filter).await;
            assert_eq!(found.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>(), *expected, "{filter:?}");
        }
    }
}

#[tokio::test]
async fn an_entry_gives_back_what_was_recorded() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        let record = house.critical(ada);
        house.audit.record_durable(record.clone()).await.unwrap();
        let entry = house.find(&Filter { account: Some(ada), ..Filter::default() }).await.remove(0);
        let request = record.request.unwrap();
        assert_eq!(entry.at, record.at);
        assert_eq!(
            (entry.kind.as_str(), entry.severity, entry.outcome.as_str()),
            ("session.signed_in", 1, "success")
        );
        assert_eq!((entry.account, entry.actor), (Some(ada), format!("account:{ada}")));
        assert_eq!((entry.request, entry.method.as_deref()), (Some(request.id), Some("GET")));
        assert_eq!((entry.route.as_deref(), entry.status), (Some("/api/v1/tracks/{id}"), None));
        assert_eq!((entry.address, entry.agent.as_deref()), (request.address, Some("CanaryAgent/1.0")));
        assert_eq!(entry.path.as_deref(), Some("/api/v1/tracks/canary-path"));
        assert_eq!(entry.details["method"], "password");
        assert!(!entry.erased && !entry.damaged);
    }
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_while_new_events_arrive() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        let mut expected = Vec::new();
        for _ in 0..25 {
            let mut tx = house.db.begin(SYSTEM).await.unwrap();
            expected.push(house.audit.append(&mut tx, &house.critical(ada)).await.unwrap());
            tx.commit().await.unwrap();
            // Several events share a millisecond.
            house.clock.advance_ms(i64::from(expected.len() % 3 == 0));
        }
        expected.sort();
        expected.reverse();
        let filter = Filter { kind: Some(Kind::SignedIn), ..Filter::default() };
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = house.audit.search(&operator(), &filter, cursor, 10).await.unwrap();
            assert!(page.entries.len() <= 10);
            found.extend(page.entries.iter().map(|e| e.id));
            house.clock.advance_ms(5);
            house.audit.record_durable(house.critical(ada)).await.unwrap();
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_page_has_its_limit() {
    let house = House::new(store::Db::memory()).await;
    for _ in 0..MAX_PAGE + 1 {
        house.audit.record(house.traffic(200));
    }
    house.audit.settled().await.unwrap();
    let filter = Filter { kind: Some(Kind::HttpRequest), ..Filter::default() };
    let page = house.audit.search(&operator(), &filter, None, usize::MAX).await.unwrap();
    assert_eq!(page.entries.len(), MAX_PAGE);
    let rest = house.audit.search(&operator(), &filter, page.next, 0).await.unwrap();
    assert_eq!(rest.entries.len(), 1);
}

#[tokio::test]
async fn an_exhausted_page_has_no_next() {
    let house = House::new(store::Db::memory()).await;
    house.audit.record_durable(house.traffic(200)).await.unwrap();
    let filter = Filter { kind: Some(Kind::HttpRequest), ..Filter::default() };
    let page = house.audit.search(&operator(), &filter, None, 1).await.unwrap();
    assert_eq!(page.next, None);
    let end = Cursor { at: page.entries[0].at, id: page.entries[0].id };
    assert!(house.audit.search(&operator(), &filter, Some(end), 1).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn every_search_is_an_event() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        let filter =
            Filter { account: Some(ada), address: Some("192.0.2.1".parse().unwrap()), ..Filter::default() };
        house.audit.search(&owner(ada), &filter, None, 10).await.unwrap();
        let searches = house.find(&Filter { kind: Some(Kind::AuditSearched), ..Filter::default() }).await;
        assert_eq!(searches.len(), 1);
        assert_eq!(searches[0].actor, format!("account:{ada}"));
        assert_eq!(searches[0].details, serde_json::json!({ "by": ["account", "address"], "results": 0 }));
        assert_eq!(house.count("audit.searched").await, 2);
    }
}

#[tokio::test]
async fn a_search_that_cannot_be_recorded_gives_nothing() {
    let house = House::new(store::Db::memory()).await;
    house.audit.shutdown().await;
    let refused = house.audit.search(&operator(), &Filter::default(), None, 10).await;
    assert!(matches!(refused, Err(AuditError::Stopped)));
}

#[tokio::test]
async fn an_account_sees_its_own_events_only() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let (ada, bob) = (house.account().await, house.account().await);
        for account in [ada, bob] {
            house.audit.record_durable(house.critical(account)).await.unwrap();
        }
        house.audit.record_durable(house.traffic(200)).await.unwrap();
        let seen = house.audit.search(&owner(ada), &Filter::default(), None, 200).await.unwrap();
        assert_eq!(seen.entries.iter().map(|e| e.account).collect::<Vec<_>>(), [Some(ada)]);
        let other = Filter { account: Some(bob), ..Filter::default() };
        assert!(house.audit.search(&owner(ada), &other, None, 200).await.unwrap().entries.is_empty());

        if house.db.dialect() == store::Dialect::Postgres {
            let mut tx = house.db.begin_read(base::Scope::Account(bob)).await.unwrap();
            let visible: i64 = tx.query_one(ALL_VISIBLE, params![]).await.unwrap().get(0).unwrap();
            assert_eq!(visible, 1, "a forgotten predicate gives nothing of others or of nobody");
        }
    }
}

#[tokio::test]
async fn what_an_operator_did_is_seen_without_the_operators_address() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let (ada, operator) = (house.account().await, house.account().await);
        let event = Event::AccountDisabled { reason: Some("payment".into()) };
        let record = Record::new(house.clock.now(), event)
            .by(Actor::Account(operator))
            .about(ada)
            .during(house.request());
        house.audit.record_durable(record).await.unwrap();
        let own =
            house.audit.search(&owner(ada), &Filter::default(), None, 10).await.unwrap().entries.remove(0);
        assert_eq!(own.details["reason"], "payment");
        assert_eq!((own.address, own.agent, own.path), (None, None, None));
        let all = house
            .find(&Filter { account: Some(ada), kind: Some(Kind::AccountDisabled), ..Filter::default() })
            .await;
        assert!(all[0].address.is_some());
    }
}

#[tokio::test]
async fn erased_and_altered_bodies_are_told_apart_and_hide_nothing_else() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let (ada, bob) = (house.account().await, house.account().await);
        let mut ids = Vec::new();
        for account in [ada, bob, bob] {
            let mut tx = house.db.begin(SYSTEM).await.unwrap();
            ids.push(house.audit.append(&mut tx, &house.critical(account)).await.unwrap());
            tx.commit().await.unwrap();
        }
        house.audit.settled().await.unwrap();
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        house.keys.destroy_subject(&mut tx, Subject::Account(ada)).await.unwrap();
        // A body that was moved from another row is as good as altered.
        let moved: Vec<u8> = tx.query_one(BODY, params![ids[2]]).await.unwrap().get(0).unwrap();
        tx.execute(SET_BODY, params![ids[1], moved]).await.unwrap();
        tx.commit().await.unwrap();

        let found = house.find(&Filter { kind: Some(Kind::SignedIn), ..Filter::default() }).await;
        let state =
            |id| found.iter().find(|e| e.id == id).map(|e| (e.erased, e.damaged, e.agent.is_some())).unwrap();
        assert_eq!(state(ids[0]), (true, false, false));
        assert_eq!(state(ids[1]), (false, true, false));
        assert_eq!(state(ids[2]), (false, false, true));

        // A late line about somebody erased keeps nothing personal, and does not stop the writer.
        house.audit.record_durable(house.critical(ada)).await.unwrap();
        house.audit.record_durable(house.critical(Id::new(&house.clock, &house.entropy))).await.unwrap();
        let found = house.find(&Filter { kind: Some(Kind::SignedIn), ..Filter::default() }).await;
        assert_eq!(found.len(), 5);
        assert_eq!(found.iter().filter(|e| e.agent.is_some() || e.address.is_some()).count(), 1);
    }
}
