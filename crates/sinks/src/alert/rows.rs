//! Alerts in the database: opened, counted on, handled, delivered.

use audit::{Event, Record, Short};
use base::{Actor, Id, Scope, Timestamp, kind};
use keys::{Field, Keys, Purpose};
use serde::{Deserialize, Serialize};
use store::{Db, DbError, Row, Tx, params};

use super::rule::{Rule, Who, severity_name};
use super::window::{Firing, More};
use crate::SinksError;

store::sql! {
    OPEN = "INSERT INTO alert (alert_id, rule, group_index, account_id, severity, state, opened_at, last_seen_at, seen, \
        first_index, last_index, body) VALUES ($1, $2, $3, $4, $5, 'open', $6, $7, $8, $9, $10, $11)";
    GO_ON = "UPDATE alert SET last_seen_at = $2, seen = seen + $3, last_index = $4 WHERE alert_id = $1 AND state <> 'closed'";
    DELIVERY = "INSERT INTO alert_delivery (alert_id, channel, state, attempts, due_at) VALUES ($1, $2, $3, 0, $4)";
    /// Alerts that may go on.
    ALIVE = "SELECT alert_id, rule, body, last_seen_at, last_index FROM alert WHERE state <> 'closed' AND last_seen_at >= $1 \
        ORDER BY last_seen_at DESC LIMIT 5000";
    LIST = "SELECT alert_id, rule, account_id, severity, state, opened_at, last_seen_at, seen, first_index, last_index, body, \
        handled_by, handled_at FROM alert WHERE (state = $1 OR $1 IS NULL) AND (alert_id < $2 OR $2 IS NULL) \
        ORDER BY alert_id DESC LIMIT $3";
    ONE = "SELECT alert_id, rule, account_id, severity, state, opened_at, last_seen_at, seen, first_index, last_index, body, \
        handled_by, handled_at FROM alert WHERE alert_id = $1";
    DELIVERIES = "SELECT channel, state, attempts, delivered_at, last_error FROM alert_delivery WHERE alert_id = $1 ORDER BY channel";
    HANDLE = "UPDATE alert SET state = $2, handled_by = $3, handled_at = $4 WHERE alert_id = $1 AND state <> $2 \
        AND state <> 'closed' RETURNING rule";
    DUE = "SELECT d.alert_id, d.channel, d.attempts FROM alert_delivery d \
        WHERE d.state = 'waiting' AND d.due_at <= $1 ORDER BY d.due_at LIMIT 32";
    DELIVERED = "UPDATE alert_delivery SET state = 'delivered', attempts = attempts + 1, delivered_at = $3, last_error = NULL \
        WHERE alert_id = $1 AND channel = $2 AND state = 'waiting'";
    NOT_DELIVERED = "UPDATE alert_delivery SET state = $3, attempts = attempts + 1, due_at = $4, last_error = $5 \
        WHERE alert_id = $1 AND channel = $2 AND state = 'waiting'";
    /// Closed alerts have had their time.
    SWEEP = "DELETE FROM alert WHERE last_seen_at < $1 AND state = 'closed'";
}

/// What is done about an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Nobody has looked yet.
    Open,
    /// Somebody looks into it; further events are still counted on it.
    Acknowledged,
    /// It is over; further events open another one.
    Closed,
}

impl AlertState {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
        }
    }

    /// The one with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Acknowledged, Self::Closed].into_iter().find(|state| state.name() == name)
    }
}

/// An alert as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct Alert {
    /// Its id.
    pub id: Id<kind::Alert>,
    /// The rule's name.
    pub rule: String,
    /// The account that it is about, if it is about one.
    pub account: Option<Id<kind::Account>>,
    /// OCSF severity: 2 low to 5 critical.
    pub severity: u8,
    /// What is done about it.
    pub state: AlertState,
    /// When it was raised.
    pub opened_at: Timestamp,
    /// The latest event that counts.
    pub last_seen_at: Timestamp,
    /// How many events.
    pub count: u64,
    /// The event that raised it, and the latest: indexes of the log.
    pub first_index: u64,
    /// See `first_index`.
    pub last_index: u64,
    /// Who it is about, in words; may name an account or an address.
    pub group: String,
    /// What happened, in words without personal data.
    pub summary: String,
    /// What to do.
    pub runbook: String,
    /// Who acknowledged or closed it.
    pub handled_by: Option<String>,
    /// When.
    pub handled_at: Option<Timestamp>,
    /// Where it was sent.
    pub deliveries: Vec<Delivery>,
}

/// One way over which an alert goes.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    /// `webhook`, or `mail:` and a number.
    pub channel: String,
    /// `waiting`, `delivered`, `failed`, or `held back` by the rate limit.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it arrived.
    pub delivered_at: Option<Timestamp>,
    /// Why it did not.
    pub last_error: Option<String>,
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Body {
    who: Who,
    summary: String,
    runbook: String,
}

const fn field(id: &Id<kind::Alert>) -> Field<'static> {
    Field { table: "alert", column: "body", row: *id.as_bytes() }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What happened, in words.
fn summary(rule: &Rule, count: u64) -> String {
    let kinds: Vec<String> = rule.kinds.iter().map(ToString::to_string).collect();
    let what = if kinds.is_empty() { "critical events".to_owned() } else { kinds.join(", ") };
    match count {
        1 => format!("{}: 1 × {what}", rule.name),
        _ => format!("{}: {count} × {what} within {} min", rule.name, (rule.window_ms / 60_000).max(1)),
    }
}

/// Opens an alert: its row, its deliveries and its event.
pub(super) async fn open(
    tx: &mut Tx,
    keys: &Keys,
    audit: &audit::Audit,
    rule: &Rule,
    firing: &Firing,
    channels: &[(String, bool)],
    now: Timestamp,
) -> Result<(), SinksError> {
    let id = firing.alert;
    let body =
        Body { who: firing.who.clone(), summary: summary(rule, firing.count), runbook: rule.runbook.clone() };
    let text = serde_json::to_vec(&body).expect("an alert is plain data");
    let sealed = keys.seal_system(Purpose::Audit, field(&id), &text);
    let group = keys.blind_index(
        "alert",
        "group_index",
        format!("{}\0{}", rule.name, firing.who.describe()).as_bytes(),
    );
    tx.execute(
        OPEN,
        params![
            id,
            &rule.name,
            group,
            firing.who.account(),
            rule.severity,
            now,
            Timestamp::from_millis(firing.last_at),
            signed(firing.count),
            signed(firing.index),
            signed(firing.index),
            sealed
        ],
    )
    .await?;
    for (channel, send) in channels {
        tx.execute(DELIVERY, params![id, channel, if *send { "waiting" } else { "held back" }, now]).await?;
    }
    let event = Event::AlertRaised {
        alert: Short::new(&rule.name),
        level: Short::new(severity_name(rule.severity)),
        count: u32::try_from(firing.count).unwrap_or(u32::MAX),
        window_s: u32::try_from(rule.window_ms / 1_000).unwrap_or(u32::MAX),
        runbook: (!rule.runbook.is_empty()).then(|| audit::Detail::new(&rule.runbook)),
    };
    audit.append(tx, &Record::new(now, event).by(Actor::System("alerts"))).await?;
    Ok(())
}

/// Counts further events; `false` if a person has closed the alert.
pub(super) async fn go_on(tx: &mut Tx, more: &More) -> Result<bool, DbError> {
    let at = Timestamp::from_millis(more.last_at);
    Ok(tx.execute(GO_ON, params![more.alert, at, signed(more.count), signed(more.index)]).await? == 1)
}

/// An alert that may go on after a restart.
pub(super) struct Alive {
    pub(super) id: Id<kind::Alert>,
    pub(super) rule: String,
    pub(super) who: Who,
    pub(super) last_seen: Timestamp,
    pub(super) last_index: u64,
}

pub(super) async fn alive(tx: &mut Tx, keys: &Keys, since: Timestamp) -> Result<Vec<Alive>, SinksError> {
    let mut found = Vec::new();
    for row in tx.query(ALIVE, params![since]).await? {
        let id: Id<kind::Alert> = row.get(0)?;
        let Some(body) = opened(keys, &id, &row.get::<Vec<u8>>(2)?) else { continue };
        found.push(Alive {
            id,
            rule: row.get(1)?,
            who: body.who,
            last_seen: row.get(3)?,
            last_index: row.get(4)?,
        });
    }
    Ok(found)
}

fn opened(keys: &Keys, id: &Id<kind::Alert>, sealed: &[u8]) -> Option<Body> {
    serde_json::from_slice(&keys.open_system(Purpose::Audit, field(id), sealed).ok()?).ok()
}

async fn alert(tx: &mut Tx, keys: &Keys, row: &Row) -> Result<Alert, SinksError> {
    let id: Id<kind::Alert> = row.get(0)?;
    let body = opened(keys, &id, &row.get::<Vec<u8>>(10)?);
    let unreadable =
        || Body { who: Who::Everybody, summary: "cannot be read".to_owned(), runbook: String::new() };
    let body = body.unwrap_or_else(unreadable);
    let delivery = |row: &Row| {
        Ok(Delivery {
            channel: row.get(0)?,
            state: row.get(1)?,
            attempts: row.get(2)?,
            delivered_at: row.get(3)?,
            last_error: row.get(4)?,
        })
    };
    let deliveries = tx.query(DELIVERIES, params![id]).await?;
    Ok(Alert {
        id,
        rule: row.get(1)?,
        account: row.get(2)?,
        severity: row.get(3)?,
        state: AlertState::from_name(&row.get::<String>(4)?).unwrap_or(AlertState::Open),
        opened_at: row.get(5)?,
        last_seen_at: row.get(6)?,
        count: row.get(7)?,
        first_index: row.get(8)?,
        last_index: row.get(9)?,
        group: body.who.describe(),
        summary: body.summary,
        runbook: body.runbook,
        handled_by: row.get(11)?,
        handled_at: row.get(12)?,
        deliveries: deliveries.iter().map(delivery).collect::<Result<_, DbError>>()?,
    })
}

pub(super) async fn list(
    db: &Db,
    keys: &Keys,
    state: Option<AlertState>,
    before: Option<Id<kind::Alert>>,
    limit: usize,
) -> Result<Vec<Alert>, SinksError> {
    let mut tx = db.begin_read(Scope::System("alerts")).await?;
    let rows = tx.query(LIST, params![state.map(AlertState::name), before, signed(limit as u64)]).await?;
    let mut alerts = Vec::with_capacity(rows.len());
    for row in &rows {
        alerts.push(alert(&mut tx, keys, row).await?);
    }
    Ok(alerts)
}

pub(super) async fn one(tx: &mut Tx, keys: &Keys, id: Id<kind::Alert>) -> Result<Option<Alert>, SinksError> {
    match tx.query_opt(ONE, params![id]).await? {
        Some(row) => alert(tx, keys, &row).await.map(Some),
        None => Ok(None),
    }
}

/// Changes the state; `None` if there is no such alert, or if it is in that state or closed already.
pub(super) async fn handle(
    tx: &mut Tx,
    id: Id<kind::Alert>,
    state: AlertState,
    by: Actor,
    now: Timestamp,
) -> Result<Option<String>, DbError> {
    let who = match by {
        Actor::Account(id) => format!("account:{id}"),
        Actor::System(part) => format!("system:{part}"),
        Actor::Anonymous => "anonymous".to_owned(),
    };
    tx.query_opt(HANDLE, params![id, state.name(), who, now]).await?.map(|row| row.get(0)).transpose()
}

/// A delivery that is due.
pub(super) struct Due {
    pub(super) alert: Id<kind::Alert>,
    pub(super) channel: String,
    pub(super) attempts: u32,
}

pub(super) async fn due(tx: &mut Tx, now: Timestamp) -> Result<Vec<Due>, DbError> {
    let due = |row: &Row| Ok(Due { alert: row.get(0)?, channel: row.get(1)?, attempts: row.get(2)? });
    tx.query(DUE, params![now]).await?.iter().map(due).collect()
}

pub(super) async fn delivered(tx: &mut Tx, due: &Due, now: Timestamp) -> Result<(), DbError> {
    tx.execute(DELIVERED, params![due.alert, &due.channel, now]).await.map(drop)
}

/// Tries again at `again`, or never if that is `None`.
pub(super) async fn not_delivered(
    tx: &mut Tx,
    due: &Due,
    again: Option<Timestamp>,
    error: &str,
) -> Result<(), DbError> {
    let state = if again.is_some() { "waiting" } else { "failed" };
    let error = &error[..error.floor_char_boundary(300)];
    let at = again.unwrap_or(Timestamp::from_millis(0));
    tx.execute(NOT_DELIVERED, params![due.alert, &due.channel, state, at, error]).await.map(drop)
}

pub(super) async fn sweep(tx: &mut Tx, before: Timestamp) -> Result<u64, DbError> {
    tx.execute(SWEEP, params![before]).await
}
