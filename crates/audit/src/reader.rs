//! From a row back to an entry, and the questions that find rows.

use std::net::IpAddr;

use base::{Actor, Id, Scope, kind as ids};
use keys::{Keys, KeysError, Purpose, Subject};
use serde::Deserialize;
use store::{Row, Sql, Tx, params, sql};
use zeroize::Zeroizing;

use crate::outbox::{address_index, body_field, first_id};
use crate::{AuditError, Entry, Filter, Place, Threat};

const LAST_ID: Id<ids::Event> = Id::from_bytes([0xff; 16]);

macro_rules! select {
    ($($condition:literal)*) => {
        concat!(
            "SELECT id, at, kind, severity, outcome, account_id, actor, request_id, method, route, status, body, ",
            "body_subject FROM audit_outbox WHERE id < $6 AND id >= $7",
            $(" AND ", $condition,)*
            " ORDER BY id DESC LIMIT $8",
        )
    };
}

// One statement for each filter that can drive the search, with the others as conditions on what it finds:
// a single statement in which every filter is optional would use no index at all.
sql! {
    BY_REQUEST = select!("request_id = $3" "(account_id = $1 OR $1 IS NULL)" "(kind = $2 OR $2 IS NULL)"
        "(address_index = $4 OR $4 IS NULL)" "(outcome = $5 OR $5 IS NULL)");
    BY_ADDRESS = select!("address_index = $4" "(account_id = $1 OR $1 IS NULL)" "(kind = $2 OR $2 IS NULL)"
        "(request_id = $3 OR $3 IS NULL)" "(outcome = $5 OR $5 IS NULL)");
    BY_ACCOUNT = select!("account_id = $1" "(kind = $2 OR $2 IS NULL)" "(request_id = $3 OR $3 IS NULL)"
        "(address_index = $4 OR $4 IS NULL)" "(outcome = $5 OR $5 IS NULL)");
    BY_KIND = select!("kind = $2" "(account_id = $1 OR $1 IS NULL)" "(request_id = $3 OR $3 IS NULL)"
        "(address_index = $4 OR $4 IS NULL)" "(outcome = $5 OR $5 IS NULL)");
    BY_TIME = select!("(account_id = $1 OR $1 IS NULL)" "(kind = $2 OR $2 IS NULL)" "(request_id = $3 OR $3 IS NULL)"
        "(address_index = $4 OR $4 IS NULL)" "(outcome = $5 OR $5 IS NULL)");
}

/// The rows that match, newest first, before `before` if given.
pub(crate) async fn find(
    tx: &mut Tx,
    keys: &Keys,
    filter: &Filter,
    before: Option<Id<ids::Event>>,
    limit: usize,
) -> Result<Vec<Row>, AuditError> {
    let until = filter.to.map_or(LAST_ID, first_id);
    let until = before.map_or(until, |cursor| cursor.min(until));
    let from = filter.from.map_or(Id::from_bytes([0; 16]), first_id);
    let params = params![
        filter.account,
        filter.kind.map(crate::Kind::name),
        filter.request,
        filter.address.map(|address| address_index(keys, address)),
        filter.outcome.map(crate::Outcome::name),
        until,
        from,
        i64::try_from(limit).unwrap_or(i64::MAX),
    ];
    Ok(tx.query_long(statement(filter), params).await?)
}

/// The most selective filter drives.
const fn statement(filter: &Filter) -> Sql {
    match filter {
        Filter { request: Some(_), .. } => BY_REQUEST,
        Filter { address: Some(_), .. } => BY_ADDRESS,
        Filter { account: Some(_), .. } => BY_ACCOUNT,
        Filter { kind: Some(_), .. } => BY_KIND,
        _ => BY_TIME,
    }
}

/// The names of the filters that are set; their values may be personal.
pub(crate) fn filters_used(filter: &Filter) -> Vec<&'static str> {
    let used = [
        ("account", filter.account.is_some()),
        ("kind", filter.kind.is_some()),
        ("from", filter.from.is_some()),
        ("to", filter.to.is_some()),
        ("address", filter.address.is_some()),
        ("request", filter.request.is_some()),
        ("outcome", filter.outcome.is_some()),
    ];
    used.into_iter().filter_map(|(name, set)| set.then_some(name)).collect()
}

#[derive(Deserialize)]
struct Body {
    address: Option<IpAddr>,
    agent: Option<String>,
    path: Option<String>,
    tier: Option<String>,
    place: Option<Place>,
    threat: Option<Threat>,
    details: serde_json::Value,
}

/// Opens one row for a reader of this scope.
pub(crate) async fn entry(tx: &mut Tx, keys: &Keys, row: &Row, scope: Scope) -> Result<Entry, AuditError> {
    let mut entry = clear(row)?;
    let subject: Option<Id<ids::Account>> = row.get(12)?;
    let record: Vec<u8> = row.get(11)?;
    match open(tx, keys, &entry.id, subject, &record).await {
        Ok(body) => match serde_json::from_slice::<Body>(&body) {
            Ok(body) => fill(&mut entry, body, scope),
            Err(_) => entry.damaged = true,
        },
        Err(KeysError::Destroyed) => entry.erased = true,
        // One altered row must not hide the others; it is shown as what it is.
        Err(KeysError::Unreadable | KeysError::UnknownKey | KeysError::NoKey) => entry.damaged = true,
        Err(error) => return Err(error.into()),
    }
    Ok(entry)
}

async fn open(
    tx: &mut Tx,
    keys: &Keys,
    id: &Id<ids::Event>,
    subject: Option<Id<ids::Account>>,
    record: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    match subject {
        Some(account) => keys.open_field(tx, Subject::Account(account), body_field(id), record).await,
        None => keys.open_system(Purpose::Audit, body_field(id), record),
    }
}

fn clear(row: &Row) -> Result<Entry, AuditError> {
    Ok(Entry {
        id: row.get(0)?,
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
        details: serde_json::Value::Object(serde_json::Map::new()),
        erased: false,
        damaged: false,
    })
}

fn fill(entry: &mut Entry, body: Body, scope: Scope) {
    entry.details = body.details;
    // What an operator did to an account is that account's data, but the operator's address is not.
    let own = match scope {
        Scope::System(_) => true,
        Scope::Account(id) => entry.actor == format!("account:{id}") || entry.actor == "anonymous",
    };
    if own {
        (entry.address, entry.agent, entry.path) = (body.address, body.agent, body.path);
        (entry.tier, entry.place, entry.threat) = (body.tier, body.place, body.threat);
    }
}

/// Whose data a search by this actor is.
pub(crate) const fn searcher(actor: Actor) -> Option<Id<ids::Account>> {
    match actor {
        Actor::Account(id) => Some(id),
        Actor::Anonymous | Actor::System(_) => None,
    }
}
