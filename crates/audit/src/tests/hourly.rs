use base::Timestamp;
use store::{params, sql, testing};

use super::{House, START, SYSTEM};
use crate::{Count, DAY_MS, Grouping, HOUR_MS, Place, Record};

sql! {
    HOLE = "UPDATE audit_event SET idx = idx + 2500 WHERE idx >= 3";
}

async fn counts(house: &House, by: Grouping, span_ms: i64) -> Vec<(i64, String, u64)> {
    let (from, to) = (Timestamp::from_millis(START), Timestamp::from_millis(START + 10 * DAY_MS));
    let counted = house.audit.hourly(from, to, span_ms, by).await.unwrap();
    assert!(!counted.cut);
    let plain = |Count { from, key, events }: Count| (from.as_millis(), key, events);
    counted.counts.into_iter().map(plain).collect()
}

#[tokio::test]
async fn events_are_counted_once_by_hour_kind_outcome_severity_and_country() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        for hour in 0..3 {
            for _ in 0..=hour {
                let mut request = house.request();
                request.place = Place::new(if hour == 0 { "SE" } else { "GB" }, None);
                let record = Record { request: Some(request), ..house.critical(ada) };
                house.audit.record_durable(record).await.unwrap();
            }
            house.audit.record_durable(house.traffic(200)).await.unwrap();
            house.clock.advance_ms(HOUR_MS);
        }
        house.audit.settled().await.unwrap();
        // Counting again and again, also by several at once, changes nothing.
        let other = house.audit.clone();
        for _ in 0..3 {
            let (one, two) = tokio::join!(house.audit.count_step(true), other.count_step(true));
            let _ = (one, two);
        }
        while house.audit.count_step(true).await.unwrap() > 0 {}

        let hour = |n: i64| (START / HOUR_MS + n) * HOUR_MS;
        let (signed, request) = ("session.signed_in".to_owned(), "http.request".to_owned());
        let mut expected = Vec::new();
        for n in 0..3 {
            expected.push((hour(n), request.clone(), 1));
            expected.push((hour(n), signed.clone(), n as u64 + 1));
        }
        assert_eq!(counts(&house, Grouping::Kind, HOUR_MS).await, expected);
        let day = START / DAY_MS * DAY_MS;
        // It is after ten in the evening, so that the third hour is of the next day.
        let line = |day: i64, country: &str, events: u64| (day, country.to_owned(), events);
        let (today, tomorrow) = (day, day + DAY_MS);
        let of_today = [line(today, "", 2), line(today, "GB", 2), line(today, "SE", 1)];
        let of_tomorrow = [line(tomorrow, "", 1), line(tomorrow, "GB", 3)];
        assert_eq!(
            counts(&house, Grouping::Country, DAY_MS).await,
            of_today.into_iter().chain(of_tomorrow).collect::<Vec<_>>()
        );
        let by_outcome: u64 = counts(&house, Grouping::Outcome, DAY_MS).await.iter().map(|c| c.2).sum();
        let by_severity: u64 = counts(&house, Grouping::Severity, DAY_MS).await.iter().map(|c| c.2).sum();
        assert_eq!((by_outcome, by_severity), (9, 9));
        let told = house
            .audit
            .hourly(Timestamp::from_millis(0), house.clock.now(), 0, Grouping::Kind)
            .await
            .unwrap();
        assert_eq!(told.counted_to, house.audit.tree().borrow().size);
    }
}

#[tokio::test]
async fn a_late_event_is_counted_in_the_hour_in_which_it_happened() {
    let house = House::new(store::Db::memory()).await;
    house.clock.advance_ms(5 * HOUR_MS);
    let mut late = house.traffic(200);
    late.at = Timestamp::from_millis(START);
    house.audit.record_durable(late).await.unwrap();
    house.audit.settled().await.unwrap();
    while house.audit.count_step(true).await.unwrap() > 0 {}
    let counted = counts(&house, Grouping::Kind, HOUR_MS).await;
    assert_eq!(counted, [(START / HOUR_MS * HOUR_MS, "http.request".to_owned(), 1)]);
}

#[tokio::test]
async fn counts_are_removed_when_their_time_is_over() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        for _ in 0..3 {
            house.audit.record_durable(house.traffic(200)).await.unwrap();
            house.clock.advance_ms(HOUR_MS);
        }
        house.audit.settled().await.unwrap();
        while house.audit.count_step(true).await.unwrap() > 0 {}
        assert_eq!(house.audit.sweep_hours(5 * HOUR_MS).await.unwrap(), 0);
        // The clock stands within the fourth hour: of the third and later ones everything stays.
        assert_eq!(house.audit.sweep_hours(HOUR_MS).await.unwrap(), 2);
        let left = counts(&house, Grouping::Kind, HOUR_MS).await;
        assert_eq!(left, [((START / HOUR_MS + 2) * HOUR_MS, "http.request".to_owned(), 1)]);
        assert_eq!(house.audit.sweep_hours(i64::MAX).await.unwrap(), 0);
    }
}

/// Where no country is known, the database counts; what somebody's hands took out of the log stops nothing.
#[tokio::test]
async fn clear_columns_are_counted_also_behind_a_hole() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        for _ in 0..6 {
            house.audit.record_durable(house.critical(ada)).await.unwrap();
            house.audit.record_durable(house.traffic(200)).await.unwrap();
        }
        house.audit.settled().await.unwrap();
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        tx.execute(HOLE, params![]).await.unwrap();
        tx.commit().await.unwrap();
        while house.audit.count_step(false).await.unwrap() > 0 {}
        let hour = START / HOUR_MS * HOUR_MS;
        let expected = [(hour, "http.request".to_owned(), 6), (hour, "session.signed_in".to_owned(), 6)];
        assert_eq!(counts(&house, Grouping::Kind, HOUR_MS).await, expected);
    }
}
