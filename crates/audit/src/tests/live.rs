use std::time::Duration;

use store::testing;

use super::{House, SYSTEM};
use crate::Audit;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn listeners_hear_what_is_durable_from_every_node_once_and_in_order() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        house.audit.record_durable(house.traffic(200)).await.unwrap();
        house.clock.advance_ms(1);
        let (mut first, mut second) = (house.audit.subscribe(), house.audit.subscribe());
        let other =
            Audit::start(house.db.clone(), house.keys.clone(), house.clock.clone(), house.entropy.clone());

        let mut open = house.db.begin(SYSTEM).await.unwrap();
        house.audit.append(&mut open, &house.critical(ada)).await.unwrap();
        open.commit().await.unwrap();
        house.clock.advance_ms(1);
        other.record(house.traffic(201));
        for listener in [&mut first, &mut second] {
            let heard = tokio::time::timeout(SOON, listener.next()).await.unwrap().unwrap();
            assert_eq!(heard.kind, "session.signed_in");
            assert!(heard.agent.is_some(), "an operator's view");
            let heard = tokio::time::timeout(SOON, listener.next()).await.unwrap().unwrap();
            assert_eq!((heard.kind.as_str(), heard.status), ("http.request", Some(201)));
        }
        house.clock.advance_ms(1);
        house.audit.record_durable(house.traffic(202)).await.unwrap();
        let heard = tokio::time::timeout(SOON, first.next()).await.unwrap().unwrap();
        assert_eq!(heard.status, Some(202), "nothing is told twice");
    }
}

#[tokio::test]
async fn the_stream_ends_with_the_trail_and_begins_again_for_new_listeners() {
    let house = House::new(store::Db::memory()).await;
    drop(house.audit.subscribe());
    super::eventually("the abandoned stream ends", async || house.audit.0.live.is_idle()).await;
    let mut listener = house.audit.subscribe();
    house.audit.record_durable(house.traffic(200)).await.unwrap();
    assert!(tokio::time::timeout(SOON, listener.next()).await.unwrap().is_some());
    house.audit.shutdown().await;
    assert!(tokio::time::timeout(SOON, listener.next()).await.unwrap().is_none());
}
