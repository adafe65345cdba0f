//! What an export says can be checked by anybody with the log's key and the text alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keys::Subject;
use serde_json::Value;
use store::testing;

use super::{House, SYSTEM, operator};
use crate::verify::{self, Trust};
use crate::{AuditError, Event, Filter, Kind, Outcome, Record, Selection};

async fn text(house: &House, selection: Selection) -> String {
    let mut export = house.audit.export(&operator(), selection).await.unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = export.next().await.unwrap() {
        assert!(chunk.ends_with(b"\n"), "chunks are whole lines");
        all.extend(chunk);
    }
    assert!(export.next().await.unwrap().is_none());
    String::from_utf8(all).unwrap()
}

fn lines(text: &str) -> (Value, Vec<Value>, Value) {
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (head, end) = (lines.remove(0), lines.pop().unwrap());
    (head, lines, end)
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// The lines, put together again.
fn joined(head: &Value, events: &[Value], end: &Value) -> String {
    let all = std::iter::once(head).chain(events).chain(std::iter::once(end));
    all.map(|line| format!("{line}\n")).collect()
}

fn trust(house: &House) -> Trust {
    Trust { origin: None, keys: house.keys.log_verifiers(), witnesses: Vec::new() }
}

/// What the verifier says: the first fault's word and index.
fn check(house: &House, text: &str) -> Result<u64, (&'static str, Option<u64>)> {
    let found = verify::export(text.as_bytes(), &trust(house)).unwrap();
    match found.faults.first() {
        Some(fault) => Err((fault.word, fault.index)),
        None => Ok(found.events),
    }
}

#[tokio::test]
async fn every_line_is_proven_against_the_first_and_what_is_altered_is_found() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        for _ in 0..300 {
            house.audit.record(house.traffic(200));
        }
        for _ in 0..5 {
            house.audit.record_durable(house.critical(ada)).await.unwrap();
        }
        house.audit.settled().await.unwrap();
        let (head, mut events, end) = lines(&text(&house, Selection::default()).await);
        assert_eq!(head["format"], "fortissimo-audit-export/1");
        assert_eq!(events.len() as u64, head["tree_size"].as_u64().unwrap());
        assert!(events.len() >= 305);
        let mut indexes: Vec<u64> = events.iter().map(|line| line["index"].as_u64().unwrap()).collect();
        indexes.sort_unstable();
        assert!(indexes.iter().copied().eq(0..events.len() as u64), "no event twice, none missing");
        let text_of = |events: &[Value]| joined(&head, events, &end);
        assert_eq!(check(&house, &text_of(&events)), Ok(events.len() as u64));

        let whole = events.clone();
        let signed =
            events.iter().position(|line| line["event"]["metadata"]["event_code"] == "session.signed_in");
        let signed = signed.unwrap();
        let at = events[signed]["index"].as_u64().unwrap();
        let body =
            events[signed]["bodies"][0]["text"].as_str().unwrap().replace("203.0.113.77", "203.0.113.78");
        assert_ne!(body, events[signed]["bodies"][0]["text"]);
        events[signed]["bodies"][0]["text"] = body.into();
        assert_eq!(check(&house, &text_of(&events)), Err(("altered", Some(at))));
        events.clone_from(&whole);
        let leaf = String::from_utf8(bytes(&events[signed]["leaf"])).unwrap().replace("success", "failure");
        events[signed]["leaf"] = STANDARD.encode(leaf).into();
        assert_eq!(check(&house, &text_of(&events)), Err(("altered", Some(at))));
        events.clone_from(&whole);
        events[signed]["event"]["severity_id"] = 5.into();
        assert_eq!(check(&house, &text_of(&events)), Err(("altered", Some(at))));
        events.clone_from(&whole);
        events[signed]["proof"][0] = STANDARD.encode([0; 32]).into();
        assert_eq!(check(&house, &text_of(&events)), Err(("altered", Some(at))));
        events.clone_from(&whole);
        events.remove(signed);
        assert_eq!(check(&house, &text_of(&events)), Err(("truncated", None)));
        events.clone_from(&whole);
        // Events of one millisecond stand in any order.
        let other = usize::from(signed == 0);
        events[signed] = events[other].clone();
        let twice = events[other]["index"].as_u64();
        assert_eq!(check(&house, &text_of(&events)), Err(("repeated", twice)));

        // What is cut, edited, signed by somebody else, or no export at all.
        let text = joined(&head, &whole, &end);
        let cut = &text[..text.len() - 5];
        assert_eq!(check(&house, cut), Err(("truncated", None)));
        let without_end = &text[..text.trim_end().rfind('\n').unwrap() + 1];
        assert_eq!(check(&house, without_end), Err(("truncated", None)));
        assert_eq!(check(&house, &(text.clone() + "{}\n")), Err(("malformed", None)));
        let size = head["tree_size"].as_u64().unwrap();
        let edited = text.replacen(&format!("\\n{size}\\n"), &format!("\\n{}\\n", size + 1), 1);
        assert_ne!(edited, text);
        assert_eq!(check(&house, &edited), Err(("edited", None)));
        let stranger = Trust { keys: Vec::new(), ..trust(&house) };
        let foreign = verify::export(text.as_bytes(), &stranger).unwrap();
        assert_eq!((foreign.faults[0].word, foreign.signed_by.len()), ("foreign", 0));
        for nothing in
            ["", "\n", "{}\n", "<html>\n", "{\"format\":\"other/1\",\"tree_size\":1,\"checkpoint\":\"\"}\n"]
        {
            assert!(check(&house, nothing).is_err(), "{nothing}");
        }
    }
}

#[tokio::test]
async fn time_and_kinds_select_and_the_export_is_on_record_before_its_first_line() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let ada = house.account().await;
        for _ in 0..3 {
            house.audit.record_durable(house.critical(ada)).await.unwrap();
            house.audit.record_durable(house.traffic(200)).await.unwrap();
            house.clock.advance_ms(1_000);
        }
        let (start, now) = (super::START, house.clock.now());
        let second = base::Timestamp::from_millis(start + 1_000);
        let count = async |selection: Selection| lines(&text(&house, selection).await).1.len();
        assert_eq!(count(Selection { from: Some(second), to: Some(now), kinds: vec![] }).await, 4);
        let kinds = vec![Kind::SignedIn];
        assert_eq!(count(Selection { from: Some(second), to: Some(now), kinds: kinds.clone() }).await, 2);
        let both = vec![Kind::SignedIn, Kind::HttpRequest, Kind::SignedIn];
        assert_eq!(count(Selection { to: Some(second), kinds: both, ..Selection::default() }).await, 2);
        let none = Selection { from: Some(now), to: Some(second), kinds };
        assert_eq!(count(none).await, 0);

        let before = house.count("audit.exported").await;
        let export = house.audit.export(&operator(), Selection::default()).await.unwrap();
        assert_eq!(house.count("audit.exported").await, before + 1);
        let filter = Filter { kind: Some(Kind::AuditExported), ..Filter::default() };
        let wanted = serde_json::json!({ "by": [], "tree_size": export.tree_size() });
        assert!(house.find(&filter).await.iter().any(|said| said.details == wanted));
    }
}

#[tokio::test]
async fn an_erased_body_is_null_and_everything_else_is_still_proven() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        let (ada, operator) = (house.account().await, house.account().await);
        let event = Event::AccountDisabled { reason: Some("payment".into()) };
        let record = Record::new(house.clock.now(), event)
            .by(base::Actor::Account(operator))
            .about(ada)
            .during(house.request())
            .ended(Outcome::Success);
        house.audit.record_durable(record).await.unwrap();
        house.audit.settled().await.unwrap();
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        house.keys.destroy_subject(&mut tx, Subject::Account(ada)).await.unwrap();
        tx.commit().await.unwrap();
        let selection = Selection { kinds: vec![Kind::AccountDisabled], ..Selection::default() };
        let (head, events, end) = lines(&text(&house, selection).await);
        assert_eq!(check(&house, &joined(&head, &events, &end)), Ok(1));
        let bodies = events[0]["bodies"].as_array().unwrap();
        assert_eq!(bodies.len(), 2);
        assert!(bodies[0].is_null(), "the person's body is gone");
        assert!(bodies[1]["text"].as_str().unwrap().contains("203.0.113.77"), "the operator's is not");
        assert!(!events[0].to_string().contains("payment"));
    }
}

/// What is recorded and not in the log yet would be missing without a word.
#[tokio::test]
async fn an_export_that_reaches_what_waits_for_the_log_is_refused() {
    for db in testing::databases().await {
        let house = House::new(db).await;
        house.audit.shutdown().await;
        let at = house.clock.now();
        let mut tx = house.db.begin(SYSTEM).await.unwrap();
        house.audit.append(&mut tx, &house.traffic(200)).await.unwrap();
        tx.commit().await.unwrap();
        for to in [None, Some(at.plus_ms(1))] {
            let refused = house.audit.export(&operator(), Selection { to, ..Selection::default() }).await;
            assert!(matches!(refused.err(), Some(AuditError::Behind { since }) if since == at));
        }
        // What was before is complete; that it cannot be recorded is another matter.
        let before = Selection { to: Some(at), ..Selection::default() };
        assert!(matches!(house.audit.export(&operator(), before).await.err(), Some(AuditError::Stopped)));
    }
}

#[tokio::test]
async fn an_export_that_cannot_be_recorded_gives_nothing() {
    let house = House::new(store::Db::memory()).await;
    house.audit.record_durable(house.traffic(200)).await.unwrap();
    house.audit.shutdown().await;
    let refused = house.audit.export(&operator(), Selection::default()).await;
    assert!(matches!(refused.err(), Some(AuditError::Stopped | AuditError::Refused(_))));
}
