//! From a record to a sealed event, and the outbox that keeps it until it is in the log.

use std::net::IpAddr;

use base::{Actor, Entropy, Id, Scope, Timestamp, kind as ids};
use keys::{Keys, KeysError, Purpose, Subject};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use store::{DbError, Tx, params, sql};
use zeroize::Zeroizing;

use crate::leaf::{Commitment, KeyHandle, Leaf, SALT, VERSION};
use crate::log::Next;
use crate::opening::body_field;
use crate::packed::{SealedBody, SealedEvent};
use crate::{Durability, Event, Place, Record, Threat, Whose};

sql! {
    ADD = "INSERT INTO audit_outbox (account_id, later, events) VALUES ($1, $2, $3)";
}

/// What a body says; the parts of the request belong to whoever sent it.
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
    /// Those fields that belong to one of several people.
    Part(Map<String, Json>),
    /// What is left when nobody's key can keep the rest.
    Withheld {},
}

/// The blind index of a network address, as long as it need be to tell addresses apart. An IPv4 address is the same
/// one when it is written as IPv6.
pub(crate) fn address_index(keys: &Keys, address: IpAddr) -> [u8; 16] {
    let index = match address.to_canonical() {
        IpAddr::V4(v4) => keys.blind_index("audit_event", "address", &v4.octets()),
        IpAddr::V6(v6) => keys.blind_index("audit_event", "address", &v6.octets()),
    };
    *index.first_chunk().expect("32 bytes begin with 16")
}

/// What to do when a person whom the event is about has no key to seal it with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyless {
    /// Give the error back: the change that goes with it is wrong.
    Refuse,
    /// Keep what is not personal. A late traffic line about an account that is gone must neither stop
    /// the writer nor keep what erasure promised to remove.
    Withhold,
}

/// Who is a subject of a record: the person whom it is about, then the one who did it, then a third.
struct Subjects {
    /// `None`: the first body belongs to nobody.
    about: Option<Id<ids::Account>>,
    actor: Option<Id<ids::Account>>,
    other: Option<Id<ids::Account>>,
}

impl Subjects {
    /// Nobody is a subject twice: what belongs to the same person lies in the same body.
    fn of(record: &Record) -> Self {
        let actor = match record.actor {
            Actor::Account(id) => Some(id).filter(|id| record.about != Some(*id)),
            Actor::Anonymous | Actor::System(_) => None,
        };
        let other = record.other.filter(|id| record.about != Some(*id) && actor != Some(*id));
        Self { about: record.about, actor, other }
    }

    /// Whose account a field's owner is, as the slot of its body.
    fn slot(&self, record: &Record, whose: Whose) -> Slot {
        match whose {
            Whose::Actor if self.actor.is_some() => Slot::Actor,
            Whose::Other if self.other.is_some() => Slot::Other,
            Whose::Other if self.actor.is_some() && record.other == self.actor => Slot::Actor,
            Whose::About | Whose::Actor | Whose::Other => Slot::About,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    About,
    Actor,
    Other,
}

/// The texts of a record's bodies, each with the account whose it is; the first one always exists.
fn bodies(record: &Record, subjects: &Subjects) -> Vec<(Option<Id<ids::Account>>, Slot)> {
    let mut slots = vec![(subjects.about, Slot::About)];
    slots.extend(subjects.actor.map(|id| (Some(id), Slot::Actor)));
    let has_fields = || record.event.kind().spec().personal.iter().any(|field| field.whose == Whose::Other);
    slots.extend(subjects.other.filter(|_| has_fields()).map(|id| (Some(id), Slot::Other)));
    slots
}

/// Salt and text of one body.
fn plain(
    record: &Record,
    subjects: &Subjects,
    slot: Slot,
    withhold: bool,
    entropy: &Entropy,
) -> Zeroizing<Vec<u8>> {
    let sender = if subjects.actor.is_some() { Slot::Actor } else { Slot::About };
    let request = record.request.as_ref().filter(|_| !withhold && slot == sender);
    let has_personal = !record.event.kind().spec().personal.is_empty();
    let body = Body {
        address: request.and_then(|r| r.address),
        agent: request.and_then(|r| r.agent.as_deref()),
        path: request.and_then(|r| r.path.as_deref()),
        tier: request.and_then(|r| r.tier),
        place: request.and_then(|r| r.place),
        threat: request.and_then(|r| r.threat.as_ref()),
        details: if withhold && has_personal {
            Details::Withheld {}
        } else {
            details(record, subjects, slot)
        },
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(SALT + 320));
    bytes.resize(SALT, 0);
    entropy.fill(&mut bytes);
    serde_json::to_writer(&mut *bytes, &body).expect("the catalogue's types have string keys and serialise");
    bytes
}

/// The fields that belong into this body. What is nobody's in particular stays with the person whom the event is about.
fn details<'a>(record: &'a Record, subjects: &Subjects, slot: Slot) -> Details<'a> {
    let personal = record.event.kind().spec().personal;
    let of_others = personal.iter().any(|field| subjects.slot(record, field.whose) != Slot::About);
    if slot == Slot::About && !of_others {
        return Details::Full(&record.event);
    }
    if !of_others {
        return Details::Withheld {};
    }
    let Ok(Json::Object(all)) = serde_json::to_value(&record.event) else { return Details::Withheld {} };
    let owner = |name: &str| {
        let field = personal.iter().find(|field| field.field == name);
        field.map_or(Slot::About, |field| subjects.slot(record, field.whose))
    };
    Details::Part(all.into_iter().filter(|(name, _)| owner(name) == slot).collect())
}

/// Seals a record; the transaction is for the keys of its people.
pub(crate) async fn seal_in(
    tx: &mut Tx,
    keys: &Keys,
    entropy: &Entropy,
    record: &Record,
    id: Id<ids::Event>,
    keyless: Keyless,
) -> Result<Next, KeysError> {
    let sealed = seal(Some(tx), keys, entropy, record, id, keyless).await?;
    Ok(sealed.expect("with a transaction every key is found or an error"))
}

/// As [`seal_in`] with the keys that are remembered; `None` if one of them is not.
pub(crate) async fn seal_remembered(
    keys: &Keys,
    entropy: &Entropy,
    record: &Record,
    id: Id<ids::Event>,
) -> Result<Option<Next>, KeysError> {
    seal(None, keys, entropy, record, id, Keyless::Withhold).await
}

async fn seal(
    tx: Option<&mut Tx>,
    keys: &Keys,
    entropy: &Entropy,
    record: &Record,
    id: Id<ids::Event>,
    keyless: Keyless,
) -> Result<Option<Next>, KeysError> {
    let subjects = Subjects::of(record);
    let mut tx = tx;
    let mut sealed = Vec::with_capacity(1);
    let mut first_withheld = false;
    for (account, slot) in bodies(record, &subjects) {
        let mut text = plain(record, &subjects, slot, false, entropy);
        // The key of whoever is erased goes with this very transaction, but may still be remembered.
        let gone = slot == Slot::About && matches!(record.event, Event::SubjectErased { .. });
        let under_key = match account {
            None => None,
            Some(_) if gone => None,
            Some(account) => {
                let subject = Subject::Account(account);
                let field = body_field(&id);
                let attempt = match keys.seal_cached(scope(tx.as_deref()), subject, field, &text) {
                    Some(attempt) => attempt,
                    None => match tx.as_deref_mut() {
                        Some(tx) => keys.seal(tx, subject, field, &text).await,
                        None => return Ok(None),
                    },
                };
                match attempt {
                    Ok(record) => Some(record),
                    Err(KeysError::Destroyed) => None,
                    Err(KeysError::NoKey) if keyless == Keyless::Withhold || slot != Slot::About => None,
                    Err(error) => return Err(error),
                }
            }
        };
        let body = under_key.unwrap_or_else(|| {
            if account.is_some() {
                text = plain(record, &subjects, slot, true, entropy);
                first_withheld |= slot == Slot::About;
            }
            keys.seal_system(Purpose::Audit, body_field(&id), &text)
        });
        let commitment = Commitment::of(&text, &body);
        sealed.push((SealedBody { account, record: body }, commitment));
    }
    Ok(Some(event(keys, record, id, &subjects, sealed, first_withheld)))
}

fn scope(tx: Option<&Tx>) -> Scope {
    tx.map_or(Scope::System("sealing audit bodies"), Tx::scope)
}

fn event(
    keys: &Keys,
    record: &Record,
    id: Id<ids::Event>,
    subjects: &Subjects,
    sealed: Vec<(SealedBody, Commitment)>,
    withheld: bool,
) -> Next {
    let spec = record.event.kind().spec();
    let request = record.request.as_ref();
    // An address of a person without a key is not searchable either.
    let indexed = request.and_then(|r| r.address).filter(|_| !withheld || subjects.actor.is_some());
    let (bodies, commitments): (Vec<_>, Vec<_>) = sealed.into_iter().unzip();
    let leaf = Leaf {
        v: VERSION,
        id,
        at: record.at,
        kind: spec.name.into(),
        class: spec.class_uid,
        severity: spec.severity_id,
        outcome: record.outcome.name().into(),
        durability: durability(spec.durability).into(),
        actor: match record.actor {
            Actor::Anonymous => "anonymous".into(),
            Actor::Account(_) => "account".into(),
            Actor::System(part) => format!("system:{part}"),
        },
        request: request.map(|r| r.id),
        method: request.and_then(|r| r.method.as_deref()).map(Into::into),
        route: request.and_then(|r| r.route.as_deref()).map(Into::into),
        status: record.event.status(),
        bodies: commitments,
        erases: erases(&record.event),
    };
    let event = SealedEvent {
        leaf: leaf.encode(),
        account: record.about,
        actor: match record.actor {
            Actor::Account(id) => Some(id),
            Actor::Anonymous | Actor::System(_) => None,
        },
        address_index: indexed.map(|address| address_index(keys, address)),
        bodies,
    };
    Next { leaf, event }
}

/// The keys that an erasure destroyed, as leaves name them.
fn erases(event: &Event) -> Vec<KeyHandle> {
    match event {
        Event::SubjectErased { keys, .. } => keys.iter().filter_map(|key| KeyHandle::from_hex(key)).collect(),
        _ => Vec::new(),
    }
}

const fn durability(class: Durability) -> &'static str {
    match class {
        Durability::Critical => "critical",
        Durability::Traffic => "traffic",
    }
}

/// The smallest id that an event of this time can have.
pub(crate) fn first_id(at: Timestamp) -> Id<ids::Event> {
    let ms = u64::try_from(at.as_millis()).unwrap_or(0).min((1 << 48) - 1);
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
    Id::from_bytes(bytes)
}

/// When the sequencer takes what is in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// As soon as it can.
    Next,
    /// When there is time (see `log/pressure.rs`).
    Later,
}

/// Inserts one row with what `Packer` packed. Its owner is whose transaction it is.
pub(crate) async fn insert(tx: &mut Tx, packed: Vec<u8>, when: When) -> Result<(), DbError> {
    let owner = match tx.scope() {
        Scope::Account(id) => Some(id),
        Scope::System(_) => None,
    };
    tx.execute(ADD, params![owner, when == When::Later, packed]).await.map(drop)
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
