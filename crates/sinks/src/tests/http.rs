//! Sinks over HTTP against a receiver that misbehaves.

use std::collections::BTreeSet;
use std::sync::Arc;

use base::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::receiver::{Call, Do, Receiver};
use super::{House, quick, until};
use crate::{HttpTarget, SinkConfig, Target, TlsConfig, WebhookConfig};

fn http(url: &str, token: &str) -> HttpTarget {
    let token = Some(Arc::new(Secret::new(token.to_owned())));
    HttpTarget { url: url.to_owned(), token, tls: TlsConfig::default() }
}

fn elastic(url: &str) -> Target {
    Target::Elastic { http: http(url, "key"), index: "audit".to_owned() }
}

fn splunk(url: &str, acknowledge: bool) -> Target {
    Target::Splunk { http: http(url, "token"), index: None, acknowledge }
}

/// The documents of a bulk request: key and text.
fn documents(call: &Call) -> Vec<(String, Value)> {
    let lines: Vec<Value> =
        String::from_utf8_lossy(&call.body).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines
        .chunks(2)
        .map(|pair| (pair[0]["create"]["_id"].as_str().unwrap().to_owned(), pair[1].clone()))
        .collect()
}

fn items(statuses: impl IntoIterator<Item = u16>) -> String {
    let item = |status: u16| match status {
        200..300 => json!({ "create": { "status": status } }),
        _ => {
            json!({ "create": { "status": status, "error": { "type": "some_exception", "reason": "secret <b>text</b>" } } })
        }
    };
    json!({ "errors": true, "items": statuses.into_iter().map(item).collect::<Vec<_>>() }).to_string()
}

/// An index that creates what it does not have, and says 409 to what it has.
fn index(kept: &Mutex<BTreeSet<String>>, call: &Call) -> String {
    let mut kept = kept.lock();
    items(documents(call).into_iter().map(|(id, _)| if kept.insert(id) { 201 } else { 409 }))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_arrives_once_with_its_key_and_the_checkpoint_follows() {
    let house = House::new().await;
    let kept: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let receiver = {
        let kept = Arc::clone(&kept);
        Receiver::start(move |_, call| Do::Answer(200, index(&kept, call))).await
    };
    house.events(7).await;
    let running = house.start(vec![SinkConfig { batch: 3, ..quick(elastic(&receiver.url)) }]);
    let status = running.until(7).await;
    assert!(status.is_well() && status.lag == 0, "{status:?}");
    let name = house.deployment();
    until(async || kept.lock().contains(&format!("{name}:checkpoint:7")).then_some(())).await;
    let events: BTreeSet<String> = (0..7).map(|index| format!("{name}:{index}")).collect();
    assert!(kept.lock().is_superset(&events));
    running.stop().await;
    let calls = receiver.calls();
    assert_eq!(calls[0].headers["authorization"], "ApiKey key");
    assert_eq!(calls[0].path, "/_bulk");
    let (id, first) = documents(&calls[0]).remove(0);
    assert_eq!(id, format!("{name}:0"));
    assert_eq!((&first["metadata"]["sequence"], &first["unmapped"]["dedup"]), (&json!(0), &json!(id)));
    let checkpoint = calls.iter().flat_map(documents).find(|(id, _)| id.contains("checkpoint")).unwrap().1;
    let text = checkpoint["unmapped"]["checkpoint"].as_str().unwrap();
    assert!(text.contains("\n7\n") && text.contains("\u{2014} "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_the_other_side_was() {
    let house = House::new().await;
    let kept: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let receiver = {
        let kept = Arc::clone(&kept);
        Receiver::start(move |_, call| Do::Answer(200, index(&kept, call))).await
    };
    let config = || vec![quick(elastic(&receiver.url))];
    house.events(3).await;
    let running = house.start(config());
    running.until(3).await;
    running.stop().await;
    let before = receiver.calls().len();
    house.events(2).await;
    let running = house.start(config());
    running.until(5).await;
    running.stop().await;
    let again: Vec<String> =
        receiver.calls()[before..].iter().flat_map(documents).map(|(id, _)| id).collect();
    let name = house.deployment();
    assert!(!again.contains(&format!("{name}:2")), "{again:?}");
    assert!(again.contains(&format!("{name}:3")) && again.contains(&format!("{name}:4")));
}

/// Refuses in every way first, then takes everything: nothing may be missing, and the status must have said why.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_in_trouble_loses_nothing() {
    let house = House::new().await;
    let kept: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let receiver = {
        let kept = Arc::clone(&kept);
        Receiver::start(move |before, call| match before {
            0 => Do::Answer(500, "<html>oops</html>".into()),
            1 => Do::Wait(429, "0"),
            2 => Do::BreakOff,
            3 => Do::Hang,
            4 => Do::TalkALot,
            5 => Do::Answer(200, "not json".into()),
            6 => Do::Answer(200, items([201])),
            7 => Do::Answer(401, String::new()),
            // Busy with the second document only.
            8 => {
                let all = documents(call);
                kept.lock()
                    .extend(all.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, (id, _))| id.clone()));
                Do::Answer(200, items((0..all.len()).map(|at| if at == 1 { 429 } else { 201 })))
            }
            _ => Do::Answer(200, index(&kept, call)),
        })
        .await
    };
    house.events(4).await;
    let running = house.start(vec![quick(elastic(&receiver.url))]);
    let reason = until(async || running.status().await.last_error).await;
    assert!(reason.contains("500") || reason.contains("429"), "{reason}");
    let status = until(async || Some(running.status().await).filter(|status| status.lag == 0)).await;
    assert_eq!(status.skipped, 0);
    let name = house.deployment();
    assert!((0..4).all(|index| kept.lock().contains(&format!("{name}:{index}"))));
    // After the partial answer only the one that was missing came again.
    let retry = documents(&receiver.calls()[9]);
    assert_eq!(retry.len(), 1);
    running.stop().await;
    let kinds = house.kinds().await;
    assert!(kinds.contains(&"sink.failing".into()) && kinds.contains(&"sink.recovered".into()), "{kinds:?}");
}

/// One document that the index will never take does not hold up the others, and the trail says which it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_poisonous_record_is_skipped_with_an_event() {
    let house = House::new().await;
    let name = house.deployment();
    let poison = format!("{name}:2");
    let receiver = {
        let poison = poison.clone();
        Receiver::start(move |_, call| {
            Do::Answer(
                200,
                items(documents(call).into_iter().map(|(id, _)| if id == poison { 400 } else { 201 })),
            )
        })
        .await
    };
    house.events(5).await;
    let running = house.start(vec![quick(elastic(&receiver.url))]);
    let status = running.until(5).await;
    assert_eq!(status.skipped, 1);
    running.stop().await;
    let tries = receiver.calls().iter().flat_map(documents).filter(|(id, _)| *id == poison).count();
    assert_eq!(tries, 3);
    house.audit.settled().await.unwrap();
    let log = house.audit.read_log(0, 100).await.unwrap();
    let skipped = log.iter().find(|one| one.entry.kind == "sink.record_skipped").unwrap();
    assert_eq!(skipped.entry.details, json!({ "sink": "siem", "index": 2, "reason": "400 some_exception" }));
}

/// A receiver that answers 400 to everything is broken; then nothing may be skipped.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_refuses_everything_makes_nothing_poisonous() {
    let house = House::new().await;
    let receiver = Receiver::start(|_, _| Do::Answer(400, "no".into())).await;
    house.events(3).await;
    let running = house.start(vec![quick(splunk(&receiver.url, false))]);
    until(async || (receiver.calls().len() > 20).then_some(())).await;
    let status = running.status().await;
    assert_eq!((status.next_index, status.skipped), (0, 0));
    assert!(status.last_error.unwrap().contains("takes nothing at all"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn splunk_names_the_bad_event_and_acknowledges_the_others() {
    let house = House::new().await;
    let name = house.deployment();
    let bad = format!("\"dedup\":\"{name}:1\"");
    let asked: Arc<Mutex<u32>> = Arc::default();
    let receiver = {
        let asked = Arc::clone(&asked);
        Receiver::start(move |_, call| {
            if call.path.ends_with("/ack") {
                let mut asked = asked.lock();
                *asked += 1;
                // Not yet the first time.
                return Do::Answer(200, json!({ "acks": { "7": *asked > 1 } }).to_string());
            }
            let text = String::from_utf8_lossy(&call.body);
            let events: Vec<&str> = text.split_inclusive("}{").collect();
            match events.iter().position(|event| event.contains(&bad)) {
                Some(at) => Do::Answer(
                    400,
                    json!({ "text": "Invalid data format", "code": 6, "invalid-event-number": at })
                        .to_string(),
                ),
                None => Do::Answer(200, json!({ "text": "Success", "code": 0, "ackId": 7 }).to_string()),
            }
        })
        .await
    };
    house.events(4).await;
    let running = house.start(vec![quick(splunk(&receiver.url, true))]);
    let status = running.until(4).await;
    assert_eq!(status.skipped, 1, "{status:?}");
    running.stop().await;
    let calls = receiver.calls();
    assert_eq!(calls[0].path, "/services/collector/event");
    assert_eq!(calls[0].headers["authorization"], "Splunk token");
    assert_eq!(calls[0].headers["x-splunk-request-channel"].to_str().unwrap().len(), 36);
    assert!(*asked.lock() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_a_signed_batch_of_cloud_events() {
    let house = House::new().await;
    let receiver =
        Receiver::start(|before, _| Do::Answer(if before == 0 { 503 } else { 204 }, String::new())).await;
    house.events(3).await;
    let key = format!("whsec_{}", STANDARD.encode([7; 32]));
    let config =
        WebhookConfig { http: http(&receiver.url, &key), source: "https://studio.example".to_owned() };
    let running = house.start(vec![quick(Target::Webhook(config))]);
    running.until(3).await;
    running.stop().await;
    let calls = receiver.calls();
    let (first, again) = (&calls[0], &calls[1]);
    assert_eq!(first.headers["webhook-id"], again.headers["webhook-id"], "the same message has the same id");
    let text = |name: &str| again.headers[name].to_str().unwrap().to_owned();
    let signed = format!(
        "{}.{}.{}",
        text("webhook-id"),
        text("webhook-timestamp"),
        String::from_utf8_lossy(&again.body)
    );
    let mac = crypto::mac::hmac_sha256(&[7; 32], signed.as_bytes());
    assert_eq!(text("webhook-signature"), format!("v1,{}", STANDARD.encode(mac)));
    assert_eq!(text("content-type"), "application/cloudevents-batch+json");
    let events: Vec<Value> = serde_json::from_slice(&again.body).unwrap();
    assert_eq!(events[0]["type"], "fortissimo.session.sign_in_failed");
    assert_eq!(events[2]["id"], json!(format!("{}:2", house.deployment())));
    assert_eq!(events[0]["data"]["src_endpoint"]["ip"], "203.0.113.7");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused_at_the_start_and_names_the_field() {
    let house = House::new().await;
    let bad = |target| crate::Sinks::open(vec![quick(target)], house.parts()).err().unwrap().to_string();
    assert!(bad(elastic("ftp://x")).contains("url:"));
    assert!(bad(elastic("https://user:pass@x")).contains("url:"));
    let short = WebhookConfig { http: http("https://x.example", "whsec_AAAA"), source: String::new() };
    assert!(bad(Target::Webhook(short)).contains("token:"));
    let ca = TlsConfig { ca_pem: Some(b"no certificate".to_vec()), client: None };
    let target = HttpTarget { url: "https://x.example".into(), token: None, tls: ca };
    assert!(bad(Target::Otlp(target)).contains("ca_file:"));
    let cef = SinkConfig { form: crate::Form::Cef, ..quick(elastic("https://x.example")) };
    assert!(crate::Sinks::open(vec![cef], house.parts()).err().unwrap().to_string().contains("form:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_says_what_the_other_side_said() {
    let house = House::new().await;
    let receiver = Receiver::start(|_, _| Do::Answer(403, "token expired".into())).await;
    let sinks = house.sinks(vec![quick(splunk(&receiver.url, false))]);
    assert!(sinks.test("nobody").await.is_none());
    let said = sinks.test("siem").await.unwrap().unwrap_err();
    assert!(said.contains("403") && said.contains("token expired"), "{said}");
    assert_eq!(house.size().await, 0);
}
