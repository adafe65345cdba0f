//! Comparing the database's rows with the leaves that they repeat, and the sealed bodies with what was committed.
//!
//! Nothing here proves the leaves themselves: that is [`super::tree()`]'s work, over the same database.
//!
//! People may be erased while a log is verified. Then rows and keys of today are compared with a tree that does not know
//! of it. So no row is at fault at first sight: it is held back, what was erased meanwhile is read (see `later.rs`),
//! and it is compared once more.

use std::collections::{BTreeMap, HashMap};

use base::{Id, Scope, Timestamp, kind as ids};
use crypto::KeyRef;
use crypto::log::{Checkpoint, Hash};
use keys::{KeyState, Keys, KeysError};
use store::{Db, Row, Tx, params, sql};

use super::later::Later;
use super::people::{Address, Owner, Person, is_actor};
use super::{Finding, Findings, MAX_FINDINGS, Part, VerifyError};
use crate::forget::{NOBODY, SOMEBODY};
use crate::leaf::{Commitment, KeyHandle, Leaf};
use crate::opening::open_with_owner;
use crate::outbox::address_index;

sql! {
    VERIFY_ROWS = "SELECT idx, id, at, kind, severity, outcome, account_id, actor, request_id, method, route, status, bodies, leaf, body, address_index
                   FROM audit_event WHERE idx >= $1 ORDER BY idx LIMIT $2";
    VERIFY_BODIES = "SELECT slot, account_id, body, id FROM audit_body WHERE idx = $1 ORDER BY slot";
    // Bodies of events that have none beside the first, or that never were; of events that are missing, they are not to blame.
    VERIFY_STRAY = "SELECT b.idx, b.slot FROM audit_body AS b LEFT JOIN audit_event AS e ON e.idx = b.idx
                    WHERE e.bodies <= 1 OR (e.idx IS NULL AND (b.idx < 0 OR b.idx >= $1)) ORDER BY b.idx LIMIT 1000";
    VERIFY_NOW = "SELECT size, root, checkpoint FROM audit_tree WHERE only_row = 1";
}

/// Rows of one page.
const PAGE: i64 = 256;
/// Destroyed keys that are remembered: more people than any deployment erases.
pub(super) const MAX_ERASURES: usize = 1_000_000;
/// States of keys that are remembered between rows.
const REMEMBERED: usize = 65_536;
/// Rows that are held back before they are compared once more; in tests, that happens more than once.
const HELD: usize = if cfg!(test) { 64 } else { 4_096 };
/// How often a row is compared once more, as long as people are erased meanwhile.
const ROUNDS: usize = 4;
const SCOPE: Scope = Scope::System("verifying the log");

/// A key that an event of the log destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// The key.
    pub key: KeyHandle,
    /// The event that says so.
    pub index: u64,
}

/// What was found about the rows.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Rows compared.
    pub rows: u64,
    /// Bodies compared.
    pub bodies: u64,
    /// Bodies that can be read no more, by the event that erased them; it may have come after the tree was read.
    pub erased: BTreeMap<u64, u64>,
    /// What is wrong.
    pub findings: Findings,
}

/// Compares the rows of the first `size` entries; `erasures` are those of the tree (see [`super::Tree`]).
///
/// # Errors
/// If the database or the keys cannot be read; what is wrong with rows are findings.
pub async fn rows(db: &Db, keys: &Keys, size: u64, erasures: &[Erasure]) -> Result<Rows, VerifyError> {
    let mut check = Check {
        keys,
        erasures: erasures.iter().rev().map(|erasure| (erasure.key, erasure.index)).collect(),
        states: HashMap::new(),
        later: Later::than(size),
        held: Vec::new(),
        found: Rows::default(),
    };
    // From below the first index: the search would find a row there as well.
    let mut next = i64::MIN;
    loop {
        let mut tx = db.begin_read(SCOPE).await?;
        let rows = tx.query(VERIFY_ROWS, params![next, PAGE]).await?;
        // The log goes on while it is verified: only rows beyond the tree of this moment were put in by somebody.
        let grown = check.head(&mut tx).await?;
        let Some(last) = rows.last() else {
            check.stray(&mut tx, grown).await?;
            break;
        };
        next = last.get::<i64>(0)?.saturating_add(1);
        for row in &rows {
            let index = row.get::<i64>(0)?;
            match u64::try_from(index) {
                Ok(index) if index < size => {
                    let seen = check.row(&mut tx, index, row).await?;
                    check.first_sight(index, seen);
                }
                Ok(index) if index < grown => {}
                _ => check.found.findings.add(Finding::RowInserted { index }),
            }
        }
        drop(tx);
        if check.held.len() >= HELD {
            check.look_again(db).await?;
        }
        if next == i64::MAX {
            break;
        }
    }
    check.look_again(db).await?;
    Ok(check.found)
}

struct Check<'a> {
    keys: &'a Keys,
    erasures: HashMap<KeyHandle, u64>,
    states: HashMap<KeyHandle, KeyState>,
    later: Later,
    held: Vec<(u64, Seen)>,
    found: Rows,
}

/// What comparing one row came to.
#[derive(Default)]
struct Seen {
    bodies: u64,
    /// The events that erased bodies of it.
    erased: Vec<u64>,
    /// Somebody of it was erased with authority, so that it may look otherwise than a moment ago.
    of_erased: bool,
    findings: Vec<Finding>,
}

/// What is stored of one body.
struct Stored {
    account: Option<Id<ids::Account>>,
    record: Vec<u8>,
}

impl Check<'_> {
    /// The size of the tree now. What the row of the tree repeats of its checkpoint must be the same.
    async fn head(&mut self, tx: &mut Tx) -> Result<u64, VerifyError> {
        let row = tx.query_one(VERIFY_NOW, params![]).await?;
        let (size, root, note): (i64, Hash, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let signed = Checkpoint::read_unverified(&note).ok();
        let same = match &signed {
            None => size == 0 && note.is_empty(),
            Some(head) => u64::try_from(size) == Ok(head.size) && root == head.root,
        };
        let finding = Finding::HeadAltered;
        // A checkpoint that is none is found where its signature is checked.
        if !same && (signed.is_some() || note.is_empty()) && !self.found.findings.listed.contains(&finding) {
            self.found.findings.add(finding);
        }
        Ok(signed.map_or(0, |head| head.size))
    }

    async fn stray(&mut self, tx: &mut Tx, size: u64) -> Result<(), VerifyError> {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        for row in tx.query_long(VERIFY_STRAY, params![size]).await? {
            self.found.findings.add(Finding::BodyInserted { index: row.get(0)?, slot: row.get(1)? });
        }
        Ok(())
    }

    /// Whether a row is at fault may need a second look.
    fn first_sight(&mut self, index: u64, seen: Seen) {
        self.found.rows += 1;
        self.found.bodies += seen.bodies;
        // Where faults are only counted, none need be looked at twice.
        if seen.findings.is_empty() || self.found.findings.listed.len() >= MAX_FINDINGS {
            self.conclude(seen);
        } else {
            self.held.push((index, seen));
        }
    }

    fn conclude(&mut self, seen: Seen) {
        for by in seen.erased {
            *self.found.erased.entry(by).or_default() += 1;
        }
        seen.findings.into_iter().for_each(|finding| self.found.findings.add(finding));
    }

    /// Compares what was held back with what was erased since, and forgets what that explains.
    async fn look_again(&mut self, db: &Db) -> Result<(), VerifyError> {
        for round in 0..ROUNDS {
            if self.held.is_empty() {
                break;
            }
            let new = self.later.erasures(db, self.keys).await?;
            if round > 0 && new.is_empty() {
                break;
            }
            for erasure in new {
                if self.erasures.len() < MAX_ERASURES {
                    self.erasures.entry(erasure.key).or_insert(erasure.index);
                }
            }
            self.states.clear();
            let mut held = std::mem::take(&mut self.held).into_iter().peekable();
            while held.peek().is_some() {
                let mut tx = db.begin_read(SCOPE).await?;
                for (index, before) in held.by_ref().take(PAGE as usize) {
                    let now = self.again(&mut tx, index).await?;
                    match now {
                        Some(now) if !now.findings.is_empty() => self.held.push((index, now)),
                        Some(now) if now.of_erased => self.conclude(now),
                        // Nobody was erased here: what was seen was there, even if somebody has mended it.
                        _ => self.held.push((index, before)),
                    }
                }
            }
        }
        for (_, seen) in std::mem::take(&mut self.held) {
            self.conclude(seen);
        }
        Ok(())
    }

    /// Compares one row as it is now; `None` if it is gone.
    async fn again(&mut self, tx: &mut Tx, index: u64) -> Result<Option<Seen>, VerifyError> {
        let at = i64::try_from(index).unwrap_or(i64::MAX);
        let rows = tx.query(VERIFY_ROWS, params![at, 1]).await?;
        match rows.first() {
            Some(row) if row.get::<i64>(0)? == at => Ok(Some(self.row(tx, index, row).await?)),
            _ => Ok(None),
        }
    }

    async fn row(&mut self, tx: &mut Tx, index: u64, row: &Row) -> Result<Seen, VerifyError> {
        let mut seen = Seen::default();
        let leaf: Vec<u8> = row.get(13)?;
        // Altered leaves are found by their hash; of a newer version's the columns are not known here.
        let Ok(leaf) = Leaf::decode(&leaf) else { return Ok(seen) };
        let mut stored: HashMap<i64, Stored> = HashMap::with_capacity(leaf.bodies.len());
        stored.insert(0, Stored { account: row.get(6)?, record: row.get(14)? });
        let mut columns = different_columns(row, &leaf)?;
        if leaf.bodies.len() > 1 {
            for body in tx.query(VERIFY_BODIES, params![row.get::<i64>(0)?]).await? {
                let slot: i64 = body.get(0)?;
                if !(1..leaf.bodies.len() as i64).contains(&slot) {
                    seen.findings.push(Finding::BodyInserted { index: row.get(0)?, slot });
                    continue;
                }
                if body.get::<Id<ids::Event>>(3)? != leaf.id {
                    columns.push("body id");
                }
                stored.insert(slot, Stored { account: body.get(1)?, record: body.get(2)? });
            }
        }
        let mut people = Vec::with_capacity(leaf.bodies.len());
        let mut address = Address::default();
        let mut findings = Vec::new();
        for (slot, commitment) in (0_u32..).zip(&leaf.bodies) {
            seen.bodies += 1;
            let erased = self.erasures.get(&commitment.key).copied();
            seen.of_erased |= erased.is_some();
            let body = stored.get(&i64::from(slot)).filter(|body| !body.record.is_empty());
            let account = stored.get(&i64::from(slot)).and_then(|body| body.account);
            let (owner, finding) = match body {
                None if erased.is_some() => (Owner::Gone, None),
                None => (Owner::Unclear, Some(Finding::BodyMissing { index, slot })),
                Some(body) => self.body(tx, &leaf.id, (index, slot), commitment, body, &mut address).await?,
            };
            seen.erased.extend(erased.filter(|_| owner == Owner::Gone));
            findings.extend(finding);
            people.push(Person { account: account.filter(|id| *id != NOBODY), owner });
            address.see(people.last());
        }
        let actor: String = row.get(7)?;
        // It named somebody a moment ago, perhaps.
        seen.of_erased |= actor == SOMEBODY;
        if !is_actor(&actor, &leaf, &people) {
            columns.push("actor");
        }
        let address_column: Option<Vec<u8>> = row.get(15)?;
        if !address.is(address_column.as_deref()) {
            columns.push("address_index");
        }
        for column in columns {
            seen.findings.push(Finding::Altered { index, part: Part::Column(column.into()) });
        }
        seen.findings.extend(findings);
        Ok(seen)
    }

    async fn body(
        &mut self,
        tx: &mut Tx,
        id: &Id<ids::Event>,
        (index, slot): (u64, u32),
        commitment: &Commitment,
        stored: &Stored,
        address: &mut Address,
    ) -> Result<(Owner, Option<Finding>), VerifyError> {
        let record = &stored.record;
        let altered = Ok((Owner::Unclear, Some(Finding::Altered { index, part: Part::Body(slot) })));
        if !commitment.is_of_record(record) {
            return altered;
        }
        let key = commitment.key;
        if self.state(tx, key).await? != KeyState::Live {
            return Ok(if self.erasures.contains_key(&key) {
                (Owner::Gone, None)
            } else {
                let finding = Finding::ErasedWithoutAuthority { index, slot, key: key.to_hex() };
                (Owner::Unclear, Some(finding))
            });
        }
        if self.erasures.contains_key(&key) {
            return Ok((Owner::Unclear, Some(Finding::NotErased { index, slot, key: key.to_hex() })));
        }
        match open_with_owner(tx, self.keys, id, stored.account, record).await {
            Ok((plain, of_person)) if commitment.is_of_body(&plain) => {
                address.read(|address| address_index(self.keys, address), &plain);
                Ok((if of_person { Owner::Person } else { Owner::Nobody }, None))
            }
            Ok(_) => altered,
            // The record is the signed one and its key is there: then the owner's column is another.
            Err(KeysError::Unreadable | KeysError::UnknownKey | KeysError::NoKey | KeysError::Destroyed) => {
                let column = Part::Column("account_id".into());
                Ok((Owner::Unclear, Some(Finding::Altered { index, part: column })))
            }
            // The key's own row was spoilt: as good as destroyed.
            Err(KeysError::Damaged(_)) => {
                let finding = Finding::ErasedWithoutAuthority { index, slot, key: key.to_hex() };
                Ok((Owner::Unclear, Some(finding)))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn state(&mut self, tx: &mut Tx, key: KeyHandle) -> Result<KeyState, VerifyError> {
        if let Some(state) = self.states.get(&key) {
            return Ok(*state);
        }
        let state = self.keys.key_state(tx, KeyRef(key.0)).await?;
        if self.states.len() >= REMEMBERED {
            self.states.clear();
        }
        self.states.insert(key, state);
        Ok(state)
    }
}

/// The columns that do not say what the leaf says.
fn different_columns(row: &Row, leaf: &Leaf) -> Result<Vec<&'static str>, store::DbError> {
    let bodies: u32 = row.get(12)?;
    let same = [
        ("id", row.get::<Id<ids::Event>>(1)? == leaf.id),
        ("at", row.get::<Timestamp>(2)? == leaf.at),
        ("kind", row.get::<String>(3)? == leaf.kind),
        ("severity", row.get::<u8>(4)? == leaf.severity),
        ("outcome", row.get::<String>(5)? == leaf.outcome),
        ("request_id", row.get::<Option<Id<ids::Request>>>(8)? == leaf.request),
        ("method", row.get::<Option<String>>(9)? == leaf.method),
        ("route", row.get::<Option<String>>(10)? == leaf.route),
        ("status", row.get::<Option<u16>>(11)? == leaf.status),
        ("bodies", bodies as usize == leaf.bodies.len()),
    ];
    Ok(same.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect())
}
