//! Comparing the database's rows with the leaves that they repeat, and the sealed bodies with what was committed.
//!
//! Nothing here proves the leaves themselves: that is [`super::tree()`]'s work, over the same database.

use std::collections::{BTreeMap, HashMap};

use base::{Id, Scope, Timestamp, kind as ids};
use crypto::KeyRef;
use keys::{KeyState, Keys, KeysError};
use store::{Db, Row, Tx, params, sql};

use super::{Finding, Findings, Part, VerifyError};
use crate::leaf::{Commitment, KeyHandle, Leaf};
use crate::opening::open_body;

sql! {
    VERIFY_ROWS = "SELECT idx, id, at, kind, severity, outcome, account_id, actor, request_id, method, route, status, bodies, leaf, body
                   FROM audit_event WHERE idx >= $1 ORDER BY idx LIMIT $2";
    VERIFY_BODIES = "SELECT slot, account_id, body FROM audit_body WHERE idx = $1 ORDER BY slot";
    VERIFY_SIZE = "SELECT size FROM audit_tree WHERE only_row = 1";
}

/// Rows of one page.
const PAGE: i64 = 256;
/// Destroyed keys that are remembered: more people than any deployment erases.
pub(super) const MAX_ERASURES: usize = 1_000_000;
/// States of keys that are remembered between rows.
const REMEMBERED: usize = 65_536;
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
    /// Bodies that can be read no more, by the event that erased them.
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
        found: Rows::default(),
    };
    let mut next = 0_i64;
    loop {
        let mut tx = db.begin_read(SCOPE).await?;
        let rows = tx.query(VERIFY_ROWS, params![next, PAGE]).await?;
        let Some(last) = rows.last() else { break };
        next = last.get::<i64>(0)?.saturating_add(1);
        // The log goes on while it is verified: only rows beyond the tree of this moment were put in by somebody.
        let grown: i64 = tx.query_one(VERIFY_SIZE, params![]).await?.get(0)?;
        for row in &rows {
            let index = u64::try_from(row.get::<i64>(0)?).unwrap_or(u64::MAX);
            if index < size {
                check.row(&mut tx, index, row).await?;
            } else if index >= u64::try_from(grown).unwrap_or(0) {
                check.found.findings.add(Finding::RowInserted { index });
            }
        }
    }
    Ok(check.found)
}

struct Check<'a> {
    keys: &'a Keys,
    erasures: HashMap<KeyHandle, u64>,
    states: HashMap<KeyHandle, KeyState>,
    found: Rows,
}

impl Check<'_> {
    async fn row(&mut self, tx: &mut Tx, index: u64, row: &Row) -> Result<(), VerifyError> {
        self.found.rows += 1;
        let leaf: Vec<u8> = row.get(13)?;
        // Altered leaves are found by their hash; of a newer version's the columns are not known here.
        let Ok(leaf) = Leaf::decode(&leaf) else { return Ok(()) };
        for column in different_columns(row, &leaf)? {
            self.found.findings.add(Finding::Altered { index, part: Part::Column(column.into()) });
        }
        let account: Option<Id<ids::Account>> = row.get(6)?;
        let mut bodies: Vec<(u32, Option<Id<ids::Account>>, Vec<u8>)> = vec![(0, account, row.get(14)?)];
        if leaf.bodies.len() > 1 {
            for row in tx.query(VERIFY_BODIES, params![row.get::<i64>(0)?]).await? {
                bodies.push((row.get(0)?, row.get(1)?, row.get(2)?));
            }
        }
        for (slot, commitment) in (0_u32..).zip(&leaf.bodies) {
            self.found.bodies += 1;
            let stored = bodies.iter().find(|(of, ..)| *of == slot);
            let finding = match stored.filter(|(_, _, record)| !record.is_empty()) {
                None => self.without_body(index, slot, commitment),
                Some((_, account, record)) => {
                    self.body(tx, &leaf.id, (index, slot), commitment, *account, record).await?
                }
            };
            if let Some(finding) = finding {
                self.found.findings.add(finding);
            }
        }
        Ok(())
    }

    fn without_body(&mut self, index: u64, slot: u32, commitment: &Commitment) -> Option<Finding> {
        if self.erased(commitment) { None } else { Some(Finding::BodyMissing { index, slot }) }
    }

    async fn body(
        &mut self,
        tx: &mut Tx,
        id: &Id<ids::Event>,
        (index, slot): (u64, u32),
        commitment: &Commitment,
        account: Option<Id<ids::Account>>,
        record: &[u8],
    ) -> Result<Option<Finding>, VerifyError> {
        let altered = Ok(Some(Finding::Altered { index, part: Part::Body(slot) }));
        if !commitment.is_of_record(record) {
            return altered;
        }
        let key = commitment.key;
        if self.state(tx, key).await? != KeyState::Live {
            return Ok(if self.erased(commitment) {
                None
            } else {
                Some(Finding::ErasedWithoutAuthority { index, slot, key: key.to_hex() })
            });
        }
        if self.erasures.contains_key(&key) {
            return Ok(Some(Finding::NotErased { index, slot, key: key.to_hex() }));
        }
        match open_body(tx, self.keys, id, account, record).await {
            Ok(plain) if commitment.is_of_body(&plain) => Ok(None),
            Ok(_) => altered,
            // The record is the signed one and its key is there: then the owner's column is another.
            Err(KeysError::Unreadable | KeysError::UnknownKey | KeysError::NoKey | KeysError::Destroyed) => {
                Ok(Some(Finding::Altered { index, part: Part::Column("account_id".into()) }))
            }
            // The key's own row was spoilt: as good as destroyed.
            Err(KeysError::Damaged(_)) => {
                Ok(Some(Finding::ErasedWithoutAuthority { index, slot, key: key.to_hex() }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether an event of the log destroyed the body's key; counts it.
    fn erased(&mut self, commitment: &Commitment) -> bool {
        let by = self.erasures.get(&commitment.key).copied();
        if let Some(by) = by {
            *self.found.erased.entry(by).or_default() += 1;
        }
        by.is_some()
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
    let actor: String = row.get(7)?;
    // The leaf does not say which account; the column does.
    let actor = if actor.starts_with("account:") { "account" } else { &actor };
    let bodies: u32 = row.get(12)?;
    let same = [
        ("id", row.get::<Id<ids::Event>>(1)? == leaf.id),
        ("at", row.get::<Timestamp>(2)? == leaf.at),
        ("kind", row.get::<String>(3)? == leaf.kind),
        ("severity", row.get::<u8>(4)? == leaf.severity),
        ("outcome", row.get::<String>(5)? == leaf.outcome),
        ("actor", actor == leaf.actor),
        ("request_id", row.get::<Option<Id<ids::Request>>>(8)? == leaf.request),
        ("method", row.get::<Option<String>>(9)? == leaf.method),
        ("route", row.get::<Option<String>>(10)? == leaf.route),
        ("status", row.get::<Option<u16>>(11)? == leaf.status),
        ("bodies", bodies as usize == leaf.bodies.len()),
    ];
    Ok(same.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect())
}
