//! Rules over a real log, alerts in a real database, messages over real sockets.

use std::sync::Arc;
use std::time::Duration;

use base::{Actor, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::receiver::{Do, Receiver};
use super::{House, until};
use crate::alert::{AlertState, Alerts, AlertsConfig, Parts, builtin_rules};
use crate::{Group, HttpTarget, Mailing, OperatorMail, Rule, TlsConfig, WebhookConfig};

impl House {
    fn alerts(&self, config: AlertsConfig) -> Alerts {
        let parts = Parts {
            db: self.db.clone(),
            keys: self.keys.clone(),
            audit: self.audit.clone(),
            source: crate::Source::of(&self.audit),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        };
        Alerts::open(config, parts).unwrap()
    }

    async fn failures(&self, address: &str, count: usize) {
        for _ in 0..count {
            self.audit.record_durable(self.failed_sign_in(address)).await.unwrap();
        }
        self.audit.settled().await.unwrap();
    }
}

fn config(rules: Vec<Rule>) -> AlertsConfig {
    AlertsConfig { rules, webhook: None, mail: None, public_url: "https://studio.example".to_owned() }
}

fn sign_ins(threshold: u32) -> Rule {
    Rule {
        threshold,
        group: Group::Address,
        runbook: "Look.".to_owned(),
        ..Rule::new("sign-ins", vec!["session.sign_in_failed".parse().unwrap()])
    }
}

struct Running(watch::Sender<bool>, JoinHandle<()>);

fn run(alerts: &Alerts) -> Running {
    let (stop, stopped) = watch::channel(false);
    Running(stop, alerts.start(stopped))
}

impl Running {
    async fn stop(self) {
        self.0.send_replace(true);
        self.1.await.unwrap();
    }
}

/// Until the engine has read the whole log and stored what it counted.
async fn caught_up(house: &House) {
    let size = house.size().await;
    until(async || {
        let rows = crate::cursor::all(&house.db).await.unwrap();
        rows.into_iter().find(|row| row.name == crate::alert::CURSOR && row.next >= size)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_raises_one_alert_for_each_address_and_counts_on() {
    let house = House::new().await;
    let alerts = house.alerts(config(vec![sign_ins(3)]));
    let running = run(&alerts);
    house.failures("203.0.113.7", 2).await;
    house.failures("198.51.100.1", 3).await;
    let raised = until(async || alerts.list(None, None, 10).await.unwrap().pop()).await;
    assert_eq!(
        (raised.count, raised.group.as_str(), raised.state),
        (3, "address 198.51.100.1", AlertState::Open)
    );
    assert_eq!((raised.severity, raised.runbook.as_str()), (4, "Look."));
    house.failures("198.51.100.1", 4).await;
    let counted =
        until(async || alerts.list(None, None, 10).await.unwrap().pop().filter(|alert| alert.count == 7))
            .await;
    assert_eq!(counted.id, raised.id);
    assert_eq!(alerts.list(None, None, 10).await.unwrap().len(), 1);
    running.stop().await;
    assert_eq!(house.kinds().await.iter().filter(|kind| *kind == "alert.raised").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_neither_forgets_what_was_counted_nor_raises_twice() {
    let house = House::new().await;
    let alerts = house.alerts(config(vec![sign_ins(4)]));
    let running = run(&alerts);
    house.failures("203.0.113.7", 3).await;
    caught_up(&house).await;
    running.stop().await;
    // One more, seen by the next process only.
    house.failures("203.0.113.7", 1).await;
    let again = house.alerts(config(vec![sign_ins(4)]));
    let running = run(&again);
    let raised = until(async || again.list(None, None, 10).await.unwrap().pop()).await;
    assert_eq!(raised.count, 4);
    running.stop().await;
    house.failures("203.0.113.7", 5).await;
    let third = house.alerts(config(vec![sign_ins(4)]));
    let running = run(&third);
    until(async || third.list(None, None, 10).await.unwrap().pop().filter(|alert| alert.count == 9)).await;
    running.stop().await;
    assert_eq!(third.list(None, None, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_alert_is_over_and_the_next_event_opens_another() {
    raises_and_is_handled(&House::new().await).await;
}

pub(super) async fn raises_and_is_handled(house: &House) {
    let alerts = house.alerts(config(vec![sign_ins(1)]));
    let running = run(&alerts);
    house.failures("203.0.113.7", 1).await;
    let first = until(async || alerts.list(None, None, 10).await.unwrap().pop()).await;
    let by = Actor::System("test");
    assert!(alerts.handle(first.id, AlertState::Acknowledged, by).await.unwrap());
    assert!(!alerts.handle(first.id, AlertState::Acknowledged, by).await.unwrap());
    assert!(alerts.handle(first.id, AlertState::Closed, by).await.unwrap());
    assert!(!alerts.handle(first.id, AlertState::Acknowledged, by).await.unwrap(), "closed stays closed");
    house.failures("203.0.113.7", 1).await;
    let open = until(async || alerts.list(Some(AlertState::Open), None, 10).await.unwrap().pop()).await;
    assert_ne!(open.id, first.id);
    let closed = alerts.list(Some(AlertState::Closed), None, 10).await.unwrap();
    assert_eq!(closed[0].handled_by.as_deref(), Some("system:test"));
    running.stop().await;
    assert_eq!(house.kinds().await.iter().filter(|kind| *kind == "alert.handled").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_to_the_webhook_and_by_mail_until_they_arrive() {
    let house = House::new().await;
    let receiver =
        Receiver::start(|before, _| Do::Answer(if before == 0 { 500 } else { 200 }, String::new())).await;
    let mails: Arc<Mutex<Vec<OperatorMail>>> = Arc::default();
    let token = Some(Arc::new(Secret::new(format!("whsec_{}", STANDARD.encode([1; 32])))));
    let http = HttpTarget { url: receiver.url.clone(), token, tls: TlsConfig::default() };
    let kept = Arc::clone(&mails);
    let send: crate::SendMail = Arc::new(move |mail| {
        let kept = Arc::clone(&kept);
        async move {
            kept.lock().push(mail);
            Ok(())
        }
        .boxed()
    });
    let alerts = house.alerts(AlertsConfig {
        webhook: Some(WebhookConfig { http, source: "https://studio.example".to_owned() }),
        mail: Some(Mailing { to: vec!["ops@studio.example".parse().unwrap()], send }),
        ..config(vec![sign_ins(2)])
    });
    let running = run(&alerts);
    house.failures("203.0.113.7", 2).await;
    // The first attempt fails; the second is due once the clock has moved.
    until(async || (!receiver.calls().is_empty()).then_some(())).await;
    let all = until(async || {
        house.clock.advance_ms(500);
        let alert = alerts.list(None, None, 10).await.unwrap().pop()?;
        alert.deliveries.iter().all(|one| one.state == "delivered").then_some(alert)
    })
    .await;
    running.stop().await;
    assert_eq!(all.deliveries.len(), 2);
    let calls = receiver.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].headers["webhook-id"], all.id.to_string().as_str());
    let event: Value = serde_json::from_slice(&calls[1].body).unwrap();
    assert_eq!(
        (event["type"].as_str(), event["data"]["count"].as_u64()),
        (Some("fortissimo.alert.raised"), Some(2))
    );
    let mails = mails.lock();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].subject.contains("[high] sign-ins") && mails[0].text.contains("Look."));
    assert!(!mails[0].text.contains("203.0.113.7"), "mail names no address");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_addresses_stays_few_alerts() {
    let house = House::new().await;
    let alerts = house.alerts(config(vec![sign_ins(1)]));
    let running = run(&alerts);
    for number in 0..60 {
        house.audit.record_durable(house.failed_sign_in(&format!("198.51.100.{number}"))).await.unwrap();
    }
    caught_up(&house).await;
    running.stop().await;
    let all = alerts.list(None, None, 100).await.unwrap();
    assert_eq!(all.len(), 26);
    let others = all.iter().find(|alert| alert.group == "many others").unwrap();
    assert_eq!(others.count, 35);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_long_ago_raises_nothing() {
    let house = House::new().await;
    house.failures("203.0.113.7", 5).await;
    house.clock.advance_ms(25 * 3_600_000);
    let alerts = house.alerts(config(vec![sign_ins(1)]));
    let running = run(&alerts);
    caught_up(&house).await;
    running.stop().await;
    assert!(alerts.list(None, None, 10).await.unwrap().is_empty());
}

#[test]
fn the_built_in_rules_are_usable_and_name_kinds_that_exist() {
    let rules = builtin_rules();
    for rule in &rules {
        rule.check().unwrap();
        assert!(!rule.runbook.is_empty());
        for kind in &rule.kinds {
            assert!(kind.to_string().parse::<crate::Pattern>().is_ok(), "{}: {kind}", rule.name);
        }
    }
    let names: std::collections::BTreeSet<_> = rules.iter().map(|rule| &rule.name).collect();
    assert_eq!(names.len(), rules.len());
}

/// Critical kinds alert within five seconds: the engine is woken by the log, not by a clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_critical_event_alerts_at_once() {
    let house = House::new().await;
    let alerts = house.alerts(config(builtin_rules()));
    let running = run(&alerts);
    caught_up(&house).await;
    let error =
        audit::Event::AuthzFailed { action: "x".into(), error: "y".into(), policy_version: "1".into() };
    house.audit.record_durable(audit::Record::new(house.clock.now(), error)).await.unwrap();
    let waited = tokio::time::timeout(
        Duration::from_secs(5),
        until(async || alerts.list(None, None, 10).await.unwrap().pop()),
    );
    assert_eq!(waited.await.unwrap().rule, "access-errors");
    running.stop().await;
}

/// One event is enough: it says itself that many names were tried.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_tries_many_names_is_an_alert_of_its_own() {
    let house = House::new().await;
    let alerts = house.alerts(config(builtin_rules()));
    let running = run(&alerts);
    let mut record = house.failed_sign_in("203.0.113.7");
    record.event = audit::Event::SignInSprayed { names: 10, failures: 10, delay_s: 2 };
    house.audit.record_durable(record).await.unwrap();
    house.audit.settled().await.unwrap();
    caught_up(&house).await;
    let raised = alerts.list(None, None, 10).await.unwrap();
    let found: Vec<_> =
        raised.iter().map(|one| (one.rule.as_str(), one.group.as_str(), one.severity)).collect();
    assert_eq!(found, [("password-spraying", "address 203.0.113.7", 4)]);
    running.stop().await;
}
