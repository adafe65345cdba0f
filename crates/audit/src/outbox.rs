//! From a record to a row: what is clear, what is sealed, and how rows are inserted.

use std::net::IpAddr;

use base::{Actor, Id, Timestamp, kind as ids};
use keys::{Field, Keys, KeysError, Purpose, Subject};
use serde::Serialize;
use store::{DbError, Tx, Value, sql};

use crate::{Durability, Event, Place, Record, Threat};

/// Columns of one row, in the order of the statements below.
const COLUMNS: usize = 16;
/// Rows of one multi-row statement. On PostgreSQL each statement is a round trip.
const GROUP: usize = 16;

macro_rules! insert {
    ($($values:literal)*) => {
        concat!(
            "INSERT INTO audit_outbox (id, at, kind, class_uid, severity, durability, outcome, account_id, actor, ",
            "request_id, method, route, status, address_index, body, body_subject) VALUES ",
            $($values,)*
            // A group whose commit was not answered is written again; what is there already stays.
            " ON CONFLICT (id) DO NOTHING",
        )
    };
}

sql! {
    ADD = insert!("($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)");
    ADD_16 = insert!(
        "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16),"
        "($17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32),"
        "($33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48),"
        "($49, $50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60, $61, $62, $63, $64),"
        "($65, $66, $67, $68, $69, $70, $71, $72, $73, $74, $75, $76, $77, $78, $79, $80),"
        "($81, $82, $83, $84, $85, $86, $87, $88, $89, $90, $91, $92, $93, $94, $95, $96),"
        "($97, $98, $99, $100, $101, $102, $103, $104, $105, $106, $107, $108, $109, $110, $111, $112),"
        "($113, $114, $115, $116, $117, $118, $119, $120, $121, $122, $123, $124, $125, $126, $127, $128),"
        "($129, $130, $131, $132, $133, $134, $135, $136, $137, $138, $139, $140, $141, $142, $143, $144),"
        "($145, $146, $147, $148, $149, $150, $151, $152, $153, $154, $155, $156, $157, $158, $159, $160),"
        "($161, $162, $163, $164, $165, $166, $167, $168, $169, $170, $171, $172, $173, $174, $175, $176),"
        "($177, $178, $179, $180, $181, $182, $183, $184, $185, $186, $187, $188, $189, $190, $191, $192),"
        "($193, $194, $195, $196, $197, $198, $199, $200, $201, $202, $203, $204, $205, $206, $207, $208),"
        "($209, $210, $211, $212, $213, $214, $215, $216, $217, $218, $219, $220, $221, $222, $223, $224),"
        "($225, $226, $227, $228, $229, $230, $231, $232, $233, $234, $235, $236, $237, $238, $239, $240),"
        "($241, $242, $243, $244, $245, $246, $247, $248, $249, $250, $251, $252, $253, $254, $255, $256)"
    );
}

/// The sealed part of a row.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threat: Option<&'a Threat>,
    details: Details<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Details<'a> {
    Full(&'a Event),
    /// What is left when nobody's key can keep the rest.
    Withheld {},
}

/// Where a body lives.
pub(crate) const fn body_field(id: &Id<ids::Event>) -> Field<'static> {
    Field { table: "audit_outbox", column: "body", row: *id.as_bytes() }
}

/// The blind index of a network address. An IPv4 address is the same one when it is written as IPv6.
pub(crate) fn address_index(keys: &Keys, address: IpAddr) -> [u8; 32] {
    match address.to_canonical() {
        IpAddr::V4(v4) => keys.blind_index("audit_outbox", "address", &v4.octets()),
        IpAddr::V6(v6) => keys.blind_index("audit_outbox", "address", &v6.octets()),
    }
}

/// A sealed row that waits for its insertion.
pub(crate) struct SealedRow(Vec<Value>);

/// What to do when the person whom the event is about has no key to seal it with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyless {
    /// Give the error back: the change that goes with it is wrong.
    Refuse,
    /// Keep what is not personal. A late traffic line about an account that is gone must neither stop
    /// the writer nor keep what erasure promised to remove.
    Withhold,
}

/// Seals a record's body. The transaction is for the person's key.
pub(crate) async fn seal(
    tx: &mut Tx,
    keys: &Keys,
    record: &Record,
    id: Id<ids::Event>,
    keyless: Keyless,
) -> Result<SealedRow, KeysError> {
    let sealed = match record.about {
        None => None,
        Some(account) => {
            let body = body(record, false);
            match keys.seal(tx, Subject::Account(account), body_field(&id), &body).await {
                Ok(sealed) => Some((sealed, account)),
                Err(KeysError::Destroyed) => None,
                Err(KeysError::NoKey) if keyless == Keyless::Withhold => None,
                Err(error) => return Err(error),
            }
        }
    };
    Ok(match sealed {
        Some((sealed, account)) => row(keys, record, id, sealed, Some(account)),
        None => seal_for_nobody(keys, record, id),
    })
}

/// Seals a record that is about nobody, or about somebody without a key, for which no transaction is needed.
pub(crate) fn seal_for_nobody(keys: &Keys, record: &Record, id: Id<ids::Event>) -> SealedRow {
    let sealed = keys.seal_system(Purpose::Audit, body_field(&id), &body(record, record.about.is_some()));
    row(keys, record, id, sealed, None)
}

fn body(record: &Record, withhold: bool) -> Vec<u8> {
    let request = record.request.as_ref().filter(|_| !withhold);
    let body = Body {
        address: request.and_then(|r| r.address),
        agent: request.and_then(|r| r.agent.as_deref()),
        path: request.and_then(|r| r.path.as_deref()),
        tier: request.and_then(|r| r.tier),
        place: request.and_then(|r| r.place),
        threat: request.and_then(|r| r.threat.as_ref()),
        details: if withhold { Details::Withheld {} } else { Details::Full(&record.event) },
    };
    serde_json::to_vec(&body).expect("the catalogue's types have string keys and serialise")
}

fn row(
    keys: &Keys,
    record: &Record,
    id: Id<ids::Event>,
    body: Vec<u8>,
    subject: Option<Id<ids::Account>>,
) -> SealedRow {
    let spec = record.event.kind().spec();
    let request = record.request.as_ref();
    // An address of a person without a key is not searchable either.
    let indexed = request.and_then(|r| r.address).filter(|_| record.about.is_none() || subject.is_some());
    let values: [Value; COLUMNS] = [
        id.into(),
        record.at.into(),
        spec.name.into(),
        spec.class_uid.into(),
        spec.severity_id.into(),
        durability(spec.durability).into(),
        record.outcome.name().into(),
        record.about.into(),
        actor(record.actor).into(),
        request.map(|r| r.id).into(),
        request.and_then(|r| r.method.as_deref()).into(),
        request.and_then(|r| r.route.as_deref()).into(),
        record.event.status().into(),
        indexed.map(|address| address_index(keys, address)).into(),
        body.into(),
        subject.into(),
    ];
    SealedRow(values.into())
}

const fn durability(class: Durability) -> &'static str {
    match class {
        Durability::Critical => "critical",
        Durability::Traffic => "traffic",
    }
}

fn actor(actor: Actor) -> String {
    match actor {
        Actor::Anonymous => "anonymous".into(),
        Actor::Account(id) => format!("account:{id}"),
        Actor::System(part) => format!("system:{part}"),
    }
}

/// The smallest id that an event of this time can have.
pub(crate) fn first_id(at: Timestamp) -> Id<ids::Event> {
    let ms = u64::try_from(at.as_millis()).unwrap_or(0).min((1 << 48) - 1);
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
    Id::from_bytes(bytes)
}

/// Inserts one row.
pub(crate) async fn insert(tx: &mut Tx, row: &SealedRow) -> Result<(), DbError> {
    tx.execute(ADD, &row.0).await.map(drop)
}

/// Inserts many rows in few statements.
pub(crate) async fn insert_all(tx: &mut Tx, rows: Vec<SealedRow>) -> Result<(), DbError> {
    let mut rows = rows.into_iter();
    while rows.len() >= GROUP {
        let mut values = Vec::with_capacity(GROUP * COLUMNS);
        rows.by_ref().take(GROUP).for_each(|row| values.extend(row.0));
        tx.execute(ADD_16, &values).await?;
    }
    for row in rows {
        insert(tx, &row).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base::{Clock, Entropy};

    use super::*;

    #[test]
    fn first_ids_bound_the_ids_of_their_time() {
        let entropy = Entropy::seeded(1);
        let clock = Clock::controlled(1_700_000_000_123);
        for _ in 0..200 {
            let id: Id<ids::Event> = Id::new(&clock, &entropy);
            assert!(first_id(clock.now()) <= id && id < first_id(clock.now().plus_ms(1)));
        }
        assert_eq!(first_id(Timestamp::from_millis(-5)).as_bytes(), &[0; 16]);
        assert!(first_id(Timestamp::from_millis(i64::MAX)) > first_id(clock.now()));
    }
}
