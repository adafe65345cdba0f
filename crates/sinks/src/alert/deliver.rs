//! Messages to people: a signed webhook, mail. Each delivery has its own attempts.

use std::time::Duration;

use audit::{Event, Record, Short};
use base::{Actor, Id, Scope, kind};
use serde_json::json;

use super::rows::{self, Due};
use super::{Alert, Alerts, OperatorMail, severity_name};
use crate::SinksError;
use crate::destination::cloud_event;

/// Limit of one delivery.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// How often the queue is looked at without being woken.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Attempts, spread over about a day.
const MAX_ATTEMPTS: u32 = 32;
const FIRST_WAIT_MS: i64 = 1_000;
const LONGEST_WAIT_MS: i64 = 3_600_000;

/// Delivers what is due, for ever. Ends only if the database fails.
pub(super) async fn run(alerts: &Alerts) -> Result<(), SinksError> {
    loop {
        let mut tx = alerts.parts.db.begin_read(Scope::System("alerts")).await?;
        let due = rows::due(&mut tx, alerts.parts.clock.now()).await?;
        let mut work = Vec::new();
        for one in due {
            let alert = rows::one(&mut tx, &alerts.parts.keys, one.alert).await?;
            work.push((one, alert));
        }
        drop(tx);
        if work.is_empty() {
            tokio::select! {
                () = alerts.woken.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            continue;
        }
        // At the same time: a mail server that hangs must not keep a webhook waiting.
        let all = work.into_iter().map(|(due, alert)| attempt(alerts, due, alert));
        for done in futures_util::future::join_all(all).await {
            done?;
        }
    }
}

async fn attempt(alerts: &Alerts, due: Due, alert: Option<Alert>) -> Result<(), SinksError> {
    let Some(alert) = alert else { return Ok(()) };
    let sent = match tokio::time::timeout(TIMEOUT, send(alerts, &due.channel, &alert)).await {
        Ok(sent) => sent,
        Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
    };
    let parts = &alerts.parts;
    let now = parts.clock.now();
    let mut tx = parts.db.begin(Scope::System("alerts")).await?;
    match sent {
        Ok(()) => rows::delivered(&mut tx, &due, now).await?,
        Err(error) => {
            let attempts = due.attempts + 1;
            tracing::warn!(alert = %due.alert, channel = due.channel, attempts, error, "an alert could not be delivered");
            let wait = FIRST_WAIT_MS.saturating_mul(1 << attempts.min(20)).min(LONGEST_WAIT_MS);
            let again = (attempts < MAX_ATTEMPTS).then(|| now.plus_ms(wait));
            rows::not_delivered(&mut tx, &due, again, &error).await?;
            if again.is_none() {
                let channel = Short::new(&due.channel);
                let (alert, number) = (Short::new(&alert.rule), Short::new(&due.alert.to_string()));
                let event = Event::AlertUndelivered { alert, number, channel, attempts };
                parts.audit.append(&mut tx, &Record::new(now, event).by(Actor::System("alerts"))).await?;
            }
        }
    }
    tx.commit().await?;
    Ok(())
}

async fn send(alerts: &Alerts, channel: &str, alert: &Alert) -> Result<(), String> {
    if channel == "webhook" {
        let Some(webhook) = &alerts.webhook else {
            return Err("the webhook is not configured any more".to_owned());
        };
        let mut event = cloud_event(&alert.id.to_string(), &webhook.source, "alert.raised", alert.opened_at);
        event.insert("datacontenttype".into(), json!("application/json"));
        event.insert(
            "data".into(),
            json!({
                "id": alert.id,
                "rule": alert.rule,
                "severity": severity_name(alert.severity),
                "severity_id": alert.severity,
                "summary": alert.summary,
                "group": alert.group,
                "count": alert.count,
                "opened_at": alert.opened_at.to_rfc3339(),
                "last_seen_at": alert.last_seen_at.to_rfc3339(),
                "first_index": alert.first_index,
                "last_index": alert.last_index,
                "runbook": alert.runbook,
            }),
        );
        let body = serde_json::Value::Object(event).to_string();
        let sent = webhook.post(&alert.id.to_string(), "application/cloudevents+json", body).await;
        return sent.map_err(|trouble| trouble.reason);
    }
    let number = channel.strip_prefix("mail:").and_then(|number| number.parse::<usize>().ok());
    let mailing = alerts.config.mail.as_ref();
    let Some((mailing, to)) = mailing.zip(number).and_then(|(all, number)| Some((all, all.to.get(number)?)))
    else {
        return Err("the channel is not configured any more".to_owned());
    };
    let message = OperatorMail {
        id: message_id(alert.id, channel),
        to: to.clone(),
        subject: format!("[{}] {}", severity_name(alert.severity), alert.rule),
        text: text(alert, &alerts.config.public_url),
    };
    (mailing.send)(message).await
}

/// The same for the same message, so that one which was sent twice is recognised.
fn message_id(alert: Id<kind::Alert>, channel: &str) -> Id<kind::Mail> {
    let mut bytes = *alert.as_bytes();
    let digest = crypto::mac::sha256(channel.as_bytes());
    // The time and the version stay.
    for (byte, other) in bytes[9..].iter_mut().zip(digest) {
        *byte ^= other;
    }
    Id::from_bytes(bytes)
}

/// Mail travels and stays in many places: it names neither address nor account.
fn text(alert: &Alert, public_url: &str) -> String {
    let held = alert.deliveries.iter().any(|delivery| delivery.state == "held back");
    let more = if held { "\nFurther messages were held back by the rate limit.\n" } else { "" };
    format!(
        "{}\n\nDeployment: {public_url}\nRaised: {}\nEvents: {} (log index {} to {})\n\nWhat to do:\n{}\n{more}\n\
         `fortissimo alert list` shows whom it is about; `fortissimo alert acknowledge {}` says that you look into it.\n",
        alert.summary,
        alert.opened_at,
        alert.count,
        alert.first_index,
        alert.last_index,
        alert.runbook,
        alert.id
    )
}
