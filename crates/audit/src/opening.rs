//! From a row of the log back to an entry, with its bodies opened as far as their keys exist.

use std::net::IpAddr;

use base::{Id, Scope, kind as ids};
use crypto::envelope;
use keys::{Field, KeyState, Keys, KeysError, Purpose, Subject};
use serde::Deserialize;
use serde_json::{Map, Value};
use store::{Row, Tx, params, sql};
use zeroize::Zeroizing;

use crate::leaf::SALT;
use crate::{AuditError, Entry, LogEntry, Place, Threat};

/// The columns that [`entry`] reads, in their order; for statements whose table is `audit_event`.
macro_rules! entry_columns {
    () => {
        "id, at, kind, severity, outcome, account_id, actor, request_id, method, route, status, idx, bodies, body"
    };
}
pub(crate) use entry_columns;

sql! {
    FURTHER = "SELECT account_id, body FROM audit_body WHERE idx = $1 ORDER BY slot";
    FURTHER_OWN = "SELECT account_id, body FROM audit_body WHERE idx = $1 AND account_id = $2 ORDER BY slot";
}

/// Where a body lives. An event's bodies differ by whose they are, which is part of the seal.
pub(crate) const fn body_field(id: &Id<ids::Event>) -> Field<'static> {
    Field { table: "audit_event", column: "body", row: *id.as_bytes() }
}

/// What a body says. Every part may lie in the body of another person.
#[derive(Default, Deserialize)]
struct Body {
    address: Option<IpAddr>,
    agent: Option<String>,
    path: Option<String>,
    tier: Option<String>,
    place: Option<Place>,
    threat: Option<Threat>,
    #[serde(default)]
    details: Map<String, Value>,
}

/// Opens one row for a reader of this scope: an account sees what its own bodies say and nothing of others'.
pub(crate) async fn entry(tx: &mut Tx, keys: &Keys, row: &Row, scope: Scope) -> Result<Entry, AuditError> {
    let mut entry = clear(row)?;
    let (index, bodies): (i64, u32) = (row.get(11)?, row.get(12)?);
    let reader = match scope {
        Scope::System(_) => None,
        Scope::Account(id) => Some(id),
    };
    if reader.is_none() || entry.account == reader {
        let record: Vec<u8> = row.get(13)?;
        let opened = open_body(tx, keys, &entry.id, entry.account, &record).await;
        add(&mut entry, read(opened)?);
    }
    if bodies > 1 {
        let further = match reader {
            None => tx.query(FURTHER, params![index]).await?,
            Some(own) => tx.query(FURTHER_OWN, params![index, own]).await?,
        };
        for row in &further {
            let (account, record): (Option<Id<ids::Account>>, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let opened = open_body(tx, keys, &entry.id, account, &record).await;
            add(&mut entry, read(opened)?);
        }
        // The bodies of those who were erased are gone (see `forget.rs`).
        entry.erased |= reader.is_none() && further.len() + 1 < bodies as usize;
    }
    Ok(entry)
}

/// Opens one row with its place in the log, for a reader who sees everything.
pub(crate) async fn log_entry(tx: &mut Tx, keys: &Keys, row: &Row) -> Result<LogEntry, AuditError> {
    let entry = entry(tx, keys, row, Scope::System("reading the log")).await?;
    let index = row.get(11)?;
    Ok(LogEntry { index, entry })
}

/// One row with its place in the log, as its clear columns tell: its bodies stay sealed.
pub(crate) fn sealed_log_entry(row: &Row) -> Result<LogEntry, AuditError> {
    Ok(LogEntry { index: row.get(11)?, entry: clear(row)? })
}

/// What became of one body.
enum Opened {
    Body(Box<Body>),
    Erased,
    Damaged,
}

fn read(opened: Result<Zeroizing<Vec<u8>>, KeysError>) -> Result<Opened, AuditError> {
    Ok(match opened {
        Ok(plain) => match plain.get(SALT..).map(serde_json::from_slice) {
            Some(Ok(body)) => Opened::Body(Box::new(body)),
            _ => Opened::Damaged,
        },
        Err(KeysError::Destroyed) => Opened::Erased,
        // One altered row must not hide the others; it is shown as what it is.
        Err(KeysError::Unreadable | KeysError::UnknownKey | KeysError::NoKey) => Opened::Damaged,
        Err(error) => return Err(error.into()),
    })
}

/// Opens a body. Whose key it needs is written in the record itself: what belongs to nobody, or to somebody whose key
/// was gone already, is under the audit epoch key.
pub(crate) async fn open_body(
    tx: &mut Tx,
    keys: &Keys,
    id: &Id<ids::Event>,
    account: Option<Id<ids::Account>>,
    record: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    open_with_owner(tx, keys, id, account, record).await.map(|(plain, _)| plain)
}

/// As [`open_body`]; says, too, whether it was under the key of the account, and thus surely theirs.
pub(crate) async fn open_with_owner(
    tx: &mut Tx,
    keys: &Keys,
    id: &Id<ids::Event>,
    account: Option<Id<ids::Account>>,
    record: &[u8],
) -> Result<(Zeroizing<Vec<u8>>, bool), KeysError> {
    if record.is_empty() {
        // Removed when its key was destroyed; whether with authority is for the verification to say.
        return Err(KeysError::Destroyed);
    }
    match (keys.open_system(Purpose::Audit, body_field(id), record), account) {
        (Err(KeysError::UnknownKey), Some(account)) => {
            let opened = keys.open_field(tx, Subject::Account(account), body_field(id), record).await;
            opened.map(|plain| (plain, true))
        }
        // Whose it was is forgotten already, the body not yet.
        (Err(KeysError::UnknownKey), None) => Err(gone(tx, keys, record).await?),
        (opened, _) => opened.map(|plain| (plain, false)),
    }
}

/// Why a body that is nobody's does not open.
async fn gone(tx: &mut Tx, keys: &Keys, record: &[u8]) -> Result<KeysError, KeysError> {
    let Ok(key) = envelope::key_ref(record) else { return Ok(KeysError::Unreadable) };
    let destroyed = keys.key_state(tx, key).await? == KeyState::Destroyed;
    Ok(if destroyed { KeysError::Destroyed } else { KeysError::UnknownKey })
}

fn add(entry: &mut Entry, opened: Opened) {
    match opened {
        Opened::Erased => entry.erased = true,
        Opened::Damaged => entry.damaged = true,
        Opened::Body(body) => {
            let Body { address, agent, path, tier, place, threat, details } = *body;
            entry.address = entry.address.or(address);
            entry.agent = entry.agent.take().or(agent);
            entry.path = entry.path.take().or(path);
            entry.tier = entry.tier.take().or(tier);
            entry.place = entry.place.take().or(place);
            entry.threat = entry.threat.take().or(threat);
            if let Value::Object(all) = &mut entry.details {
                all.extend(details);
            }
        }
    }
}

fn clear(row: &Row) -> Result<Entry, AuditError> {
    Ok(Entry {
        id: row.get(0)?,
        index: Some(row.get(11)?),
        at: row.get(1)?,
        kind: row.get(2)?,
        severity: row.get(3)?,
        outcome: row.get(4)?,
        account: row.get(5)?,
        actor: row.get(6)?,
        request: row.get(7)?,
        method: row.get(8)?,
        route: row.get(9)?,
        status: row.get(10)?,
        address: None,
        agent: None,
        path: None,
        tier: None,
        place: None,
        threat: None,
        details: Value::Object(Map::new()),
        erased: false,
        damaged: false,
    })
}
