//! Who reads: leases on both databases.

use base::{Clock, Entropy, Id};
use store::{Dialect, testing};

use super::{House, START};
use crate::cursor::{LEASE_MS, Reader};

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_prepares_on_both_databases() {
    for db in testing::databases().await {
        assert_eq!(testing::prepare_all(&db).await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_nodes_one_reads_and_the_other_follows_when_it_is_gone() {
    for db in testing::databases().await {
        let (clock, entropy) = (Clock::controlled(START), Entropy::seeded(1));
        let reader =
            |name: &str| Reader { db: db.clone(), name: name.to_owned(), holder: Id::new(&clock, &entropy) };
        let (first, second) = (reader("siem"), reader("siem"));
        let mut at = first.take(clock.now()).await.unwrap().unwrap();
        assert_eq!((at.next, at.sent, at.failing_since), (0, 0, None));
        (at.next, at.sent, at.last_sent_at) = (7, 7, Some(clock.now()));
        assert!(first.advance(&at, clock.now()).await.unwrap());
        if db.dialect() == Dialect::Postgres {
            assert_eq!(second.take(clock.now()).await.unwrap(), None, "somebody reads already");
        }
        assert!(reader("other").take(clock.now()).await.unwrap().is_some(), "another sink is not concerned");
        clock.advance_ms(LEASE_MS + 1);
        let taken = second.take(clock.now()).await.unwrap().unwrap();
        assert_eq!((taken.next, taken.sent), (7, 7));
        at.next = 3;
        assert!(!first.advance(&at, clock.now()).await.unwrap(), "who lost the lease moves nothing");
        at.last_error = Some("é".repeat(1_000));
        assert!(!first.fail(&at, clock.now()).await.unwrap());
        assert!(second.fail(&at, clock.now()).await.unwrap(), "a long reason is cut, not refused");
        second.release().await.unwrap();
        assert_eq!(first.take(clock.now()).await.unwrap().unwrap().next, 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_sinks_work_on_both_databases() {
    for db in testing::databases().await {
        let house = House::on(db).await;
        super::alerts::raises_and_is_handled(&house).await;
        let folder = tempfile::tempdir().unwrap();
        let target = crate::Target::Files(crate::FilesConfig::new(folder.path().to_owned()));
        let running = house.start(vec![super::quick(target)]);
        let size = house.size().await;
        running.until(size).await;
        running.stop().await;
    }
}
