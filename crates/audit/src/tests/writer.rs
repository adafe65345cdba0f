use std::time::Duration;

use store::{params, sql, testing};

use super::{House, SYSTEM, eventually};
use crate::{AuditError, Filter, Kind, TRAFFIC_QUEUE};

sql! {
    // The true way to a full disk needs a full disk; a page limit gives the same error.
    PAGES = sqlite "PRAGMA page_count", postgres "SELECT 1";
    LIMIT_PAGES = sqlite "PRAGMA max_page_count = 1", postgres "SELECT 1";
    UNLIMIT_PAGES = sqlite "PRAGMA max_page_count = 1000000", postgres "SELECT 1";
    REFUSE_599 = sqlite "CREATE TRIGGER refuse_599 BEFORE INSERT ON audit_outbox WHEN instr(new.events, CAST(':599,' AS BLOB)) > 0
                         BEGIN SELECT raise(ABORT, 'CHECK constraint failed: test'); END", postgres "SELECT 1";
}

#[tokio::test]
async fn a_durable_record_is_there_when_the_answer_is() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let account = house.account().await;
        for n in 1..=5 {
            house.audit.record_durable(house.critical(account)).await.unwrap();
            assert_eq!(house.count("session.signed_in").await, n);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_durable_records_at_once_are_all_there() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let account = house.account().await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..300 {
            let (audit, record) = (house.audit.clone(), house.critical(account));
            tasks.spawn(async move { audit.record_durable(record).await });
        }
        assert!(tasks.join_all().await.iter().all(Result::is_ok));
        assert_eq!(house.count("session.signed_in").await, 300);
    }
}

#[tokio::test]
async fn traffic_is_written_and_shutdown_flushes_it() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        for _ in 0..1_500 {
            house.audit.record(house.traffic(200));
        }
        house.audit.shutdown().await;
        assert_eq!(house.count("http.request").await, 1_500);
        assert_eq!(house.count("audit.gap").await, 0);
        let late = house.audit.record_durable(house.traffic(200)).await;
        assert!(matches!(late, Err(AuditError::Stopped)));
        assert!(!house.audit.health().writable);
        house.audit.shutdown().await;
    }
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_writer_after_the_flush() {
    let House { db, audit, clock, keys, entropy, _folder } = House::new(store::Db::memory()).await;
    let tasks = std::mem::take(&mut *audit.0.tasks.lock().await);
    audit.record(crate::Record::new(clock.now(), super::request_event(200)));
    drop(audit);
    for task in tasks {
        task.await.unwrap();
    }
    let house = House {
        audit: crate::Audit::start(db.clone(), keys.clone(), clock.clone(), entropy.clone()),
        db,
        clock,
        keys,
        entropy,
        _folder,
    };
    assert_eq!(house.count("http.request").await, 1);
}

/// One thread, and no await while recording: the writer cannot empty the queue meanwhile.
#[tokio::test]
async fn an_overflow_is_counted_exactly_and_told_with_its_span() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        for n in 0..TRAFFIC_QUEUE + 100 {
            if n >= TRAFFIC_QUEUE {
                house.clock.advance_ms(1);
            }
            house.audit.record(house.traffic(200));
        }
        assert_eq!(house.audit.health().dropped, 100);
        eventually("the gap is written", async || house.count("audit.gap").await == 1).await;
        eventually("the rest is written", async || house.count("http.request").await == TRAFFIC_QUEUE as i64)
            .await;
        let gap = house.find(&Filter { kind: Some(Kind::AuditGap), ..Filter::default() }).await.remove(0);
        assert_eq!(gap.details["dropped"], 100);
        assert_eq!(gap.details["refused"], 0);
        assert_eq!(gap.details["from"], super::START + 1);
        assert_eq!(gap.details["to"], super::START + 100);
        assert_eq!(gap.details["reason"], "overflow");
        assert_eq!(gap.severity, 4);
    }
}

#[tokio::test]
async fn a_full_database_refuses_what_must_be_durable_and_recovers_with_a_gap() {
    let house = House::new(store::Db::memory()).await;
    let limit = async |statement| {
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        tx.query(statement, params![]).await.unwrap();
        tx.commit().await.unwrap();
    };
    limit(PAGES).await;
    limit(LIMIT_PAGES).await;
    let mut accepted = 0;
    let refused = loop {
        match house.audit.record_durable(house.traffic(200)).await {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 1_000, "the last page fills up");
    };
    assert!(matches!(refused, AuditError::Refused(_)), "{refused:?}");
    let health = house.audit.health();
    assert!(!health.writable && health.failure.is_some());
    for _ in 0..20 {
        house.audit.record(house.traffic(200));
    }
    eventually("the traffic is given up", async || house.audit.health().dropped == 20).await;
    limit(UNLIMIT_PAGES).await;
    assert_eq!(house.count("http.request").await, accepted, "nothing half-written");
    // No further traffic: the writer tries by itself.
    eventually("the trail is writable again", async || house.audit.health().writable).await;
    let gap = house.find(&Filter { kind: Some(Kind::AuditGap), ..Filter::default() }).await.remove(0);
    assert_eq!(
        (gap.details["dropped"].clone(), gap.details["reason"].clone()),
        (20.into(), "database".into())
    );
    assert_eq!(gap.details["refused"], 1);
    house.audit.record_durable(house.traffic(200)).await.unwrap();
}

#[tokio::test]
async fn one_row_that_is_refused_does_not_take_the_others_with_it() {
    let house = House::new(store::Db::memory()).await;
    let mut tx = house.db.begin(SYSTEM).await.unwrap();
    tx.execute(REFUSE_599, params![]).await.unwrap();
    tx.commit().await.unwrap();
    house.audit.record(house.traffic(599));
    house.audit.record(house.traffic(200));
    let (good, bad) = tokio::join!(
        house.audit.record_durable(house.traffic(201)),
        house.audit.record_durable(house.traffic(599)),
    );
    assert!(good.is_ok(), "{good:?}");
    assert!(matches!(bad, Err(AuditError::Refused(_))), "{bad:?}");
    eventually("both good rows are there", async || house.count("http.request").await == 2).await;
    eventually("the gap tells of both bad ones", async || house.count("audit.gap").await >= 1).await;
    tokio::time::timeout(Duration::from_secs(20), async {
        while !house.audit.health().writable {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the trail is well again");
}
