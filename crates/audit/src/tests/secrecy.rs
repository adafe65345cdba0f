use std::path::Path;

use base::{Actor, Id};
use store::{Db, DbConfig};

use super::House;
use crate::{Event, Record, RequestInfo};

/// Whether any file of the folder contains the bytes.
fn contains(folder: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

#[tokio::test]
async fn nothing_personal_is_in_the_database_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("audit.db").display());
    let db = Db::connect(&DbConfig::new(url.parse().unwrap())).await.unwrap();
    db.migrate().await.unwrap();
    let house = House::new(db.clone()).await;
    let ada = house.account().await;
    let events = [
        Event::AccountDisabled { reason: Some("CanaryReason".into()) },
        Event::MailFailed {
            mail: Id::new(&house.clock, &house.entropy),
            template: "verify".into(),
            attempt: 1,
            error: "550 no such user canary@example.com".into(),
        },
    ];
    for event in events {
        for about in [Some(ada), None] {
            let request = RequestInfo { route: Some("/route-in-clear/{id}".into()), ..house.request() };
            let mut record =
                Record::new(house.clock.now(), event.clone()).by(Actor::Anonymous).during(request);
            record.about = about;
            house.audit.record_durable(record).await.unwrap();
        }
    }
    let checks = |when: &str| {
        assert!(contains(folder.path(), b"/route-in-clear/{id}"), "{when}: the rows are in these files");
        for canary in ["203.0.113.77", "CanaryAgent", "canary-path", "CanaryReason", "canary@example.com"] {
            assert!(!contains(folder.path(), canary.as_bytes()), "{when}: {canary}");
        }
        assert!(!contains(folder.path(), &[0, 203, 0, 113, 77]), "{when}: the address as bytes");
    };
    checks("while open");
    house.audit.shutdown().await;
    db.close().await.unwrap();
    checks("after closing");
}

#[test]
fn debug_prints_nothing_personal() {
    let request = RequestInfo {
        agent: Some("CanaryAgent".into()),
        path: Some("/canary-path".into()),
        ..RequestInfo::new(Id::from_bytes([0; 16]))
    };
    let printed = format!("{request:?}");
    assert!(!printed.contains("Canary") && !printed.contains("canary"), "{printed}");
}
