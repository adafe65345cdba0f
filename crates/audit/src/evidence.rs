//! What others say about the log: cosignatures of witnesses, time stamps of an authority. Who fetches it is another
//! crate's matter (this one has no network); here it is kept, and one node at a time is told to fetch.

use base::{Actor, Scope, Timestamp};
use crypto::log::{Hash, consistency_proof};
use store::{Row, Tx, params, sql};

use crate::log::reading::{integer, with_nodes};
use crate::{Audit, AuditError, Detail, Event, Outcome, Record, Short};

sql! {
    ADD_SOURCE = "INSERT INTO audit_evidence_source (source, next_at) VALUES ($1, 0) ON CONFLICT DO NOTHING";
    CLAIM = "UPDATE audit_evidence_source SET next_at = $3 WHERE source = $1 AND next_at <= $2";
    SOON = "UPDATE audit_evidence_source SET next_at = $2 WHERE source = $1 AND next_at > $2";
    STATE = "SELECT failure, failing_since, disputed, next_at FROM audit_evidence_source WHERE source = $1";
    STATES = "SELECT source, failure, failing_since, disputed FROM audit_evidence_source WHERE source <> 'witnesses' ORDER BY source LIMIT 100";
    NOTE = "INSERT INTO audit_evidence_source (source, next_at, failure, failing_since, disputed) VALUES ($1, 0, $2, $3, $4)
            ON CONFLICT (source) DO UPDATE SET failure = excluded.failure, failing_since = excluded.failing_since,
            disputed = excluded.disputed";
    // A single witness is not asked by this row (all of them are by one of their own): of one that disputes, it says from
    // when on the dispute is over if nothing but good is heard. 0: nothing good was heard yet.
    OVER_AT = "UPDATE audit_evidence_source SET next_at = $2 WHERE source = $1 AND source NOT IN ('witnesses', 'time stamps')";
    KEEP = "INSERT INTO audit_evidence (source, size, checkpoint, evidence, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    NEWEST = "SELECT source, size, checkpoint, evidence, at FROM audit_evidence WHERE source = $1 ORDER BY size DESC LIMIT 1";
    // The earliest that covers an entry says most about when it was there.
    COVERING = "SELECT source, size, checkpoint, evidence, at FROM audit_evidence WHERE source = $1 AND size > $2 ORDER BY size LIMIT 1";
    PRUNE = "DELETE FROM audit_evidence WHERE source = $1 AND size < (SELECT min(size) FROM
             (SELECT size FROM audit_evidence WHERE source = $1 ORDER BY size DESC LIMIT 64) AS newest)";
}

const SCOPE: Scope = Scope::System("evidence about the log");
/// Nothing good was heard since the dispute.
const NEVER: Timestamp = Timestamp::from_millis(0);
/// How long somebody who disputed the log is well before the dispute is over. One that goes to and fro rings once.
const WELL_MS: i64 = 3_600_000;

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EvidenceSource {
    /// The witnesses, all together: the evidence is the note with their cosignatures. The newest 64 are kept.
    Witnesses,
    /// The time stamping authority: the evidence is its token in DER. All are kept.
    TimeStamps,
}

impl EvidenceSource {
    const fn name(self) -> &'static str {
        match self {
            Self::Witnesses => "witnesses",
            Self::TimeStamps => "time stamps",
        }
    }
}

/// What somebody else said about a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The tree's size.
    pub size: u64,
    /// The signed note that was shown to them.
    pub checkpoint: String,
    /// What they said.
    pub evidence: Vec<u8>,
    /// When it was received.
    pub at: Timestamp,
}

/// How asking somebody went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// They said what they were asked for.
    Well,
    /// They did not answer, or refused.
    Failing(String),
    /// They say that this log is not the one that they have seen before.
    Disputed(String),
}

/// How somebody is who is asked about the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceState {
    /// Who: `time stamps`, or `witness` and its name.
    pub who: String,
    /// Since when not all was well; `None` if all is.
    pub failing_since: Option<Timestamp>,
    /// Whether they say that the log is another one.
    pub disputed: bool,
    /// What is wrong.
    pub failure: Option<String>,
}

impl Audit {
    /// Whether this node is to ask this source now; the next time will be `every_ms` later. Of all nodes, one is told so.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn claim_evidence(&self, source: EvidenceSource, every_ms: i64) -> Result<bool, AuditError> {
        let now = self.core().clock.now();
        let mut tx = self.core().db.begin(SCOPE).await?;
        tx.execute(ADD_SOURCE, params![source.name()]).await?;
        let claimed = tx.execute(CLAIM, params![source.name(), now, now.plus_ms(every_ms)]).await? == 1;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Has a source asked again after `within_ms` at the latest, because something failed.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn ask_again(&self, source: EvidenceSource, within_ms: i64) -> Result<(), AuditError> {
        let soon = self.core().clock.now().plus_ms(within_ms);
        let mut tx = self.core().db.begin(SCOPE).await?;
        tx.execute(SOON, params![source.name(), soon]).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps what was said.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn keep_evidence(&self, source: EvidenceSource, said: &Evidence) -> Result<(), AuditError> {
        let mut tx = self.core().db.begin(SCOPE).await?;
        let row = params![
            source.name(),
            integer(said.size),
            said.checkpoint.as_str(),
            said.evidence.as_slice(),
            said.at
        ];
        tx.execute(KEEP, row).await?;
        if source == EvidenceSource::Witnesses {
            tx.execute(PRUNE, params![source.name()]).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Notes how asking `who` about the tree of `size` entries went. That they begin to fail, that they are well again, and
    /// that they dispute the log are events, each said once; `true` if there was one. A dispute is over once nothing but
    /// good was heard for an hour.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn heard(&self, who: &str, size: u64, heard: &Heard) -> Result<bool, AuditError> {
        let now = self.core().clock.now();
        let mut tx = self.core().db.begin(SCOPE).await?;
        let known = tx.query_opt(STATE, params![who]).await?;
        let before = match &known {
            Some(row) => state(who.to_owned(), row, 0)?,
            None => {
                EvidenceState { who: who.to_owned(), failing_since: None, disputed: false, failure: None }
            }
        };
        let over_at: Timestamp = match &known {
            Some(row) if before.disputed => row.get(3)?,
            _ => NEVER,
        };
        let source = Short::new(who);
        let mut over = NEVER;
        let (after, event) = match heard {
            Heard::Well if before.disputed && (over_at == NEVER || now < over_at) => {
                over = if over_at == NEVER { now.plus_ms(WELL_MS) } else { over_at };
                (before.clone(), None)
            }
            Heard::Well => {
                let after =
                    EvidenceState { failing_since: None, disputed: false, failure: None, ..before.clone() };
                let since = before.failing_since;
                (after, since.map(|since| Event::EvidenceRecovered { source, since }))
            }
            Heard::Failing(why) => {
                let reason = Detail::new(why);
                // A dispute is not over because the witness is away now.
                let text =
                    if before.disputed { before.failure.clone() } else { Some(reason.as_str().to_owned()) };
                let since = Some(before.failing_since.unwrap_or(now));
                let after = EvidenceState { failing_since: since, failure: text, ..before.clone() };
                let begins = before.failing_since.is_none();
                (after, begins.then_some(Event::EvidenceFailing { source, reason }))
            }
            Heard::Disputed(why) => {
                let reason = Detail::new(why);
                let failure = Some(reason.as_str().to_owned());
                let since = Some(before.failing_since.unwrap_or(now));
                let after = EvidenceState { failing_since: since, disputed: true, failure, ..before.clone() };
                (after, (!before.disputed).then_some(Event::LogDisputed { source, size, reason }))
            }
        };
        if known.is_some() && after == before && over == over_at {
            return Ok(false);
        }
        let EvidenceState { who, failing_since, disputed, failure } = after;
        tx.execute(NOTE, params![who.as_str(), failure, failing_since, disputed]).await?;
        if over != over_at {
            tx.execute(OVER_AT, params![who, over]).await?;
        }
        let told = event.is_some();
        if let Some(event) = event {
            let well = matches!(event, Event::EvidenceRecovered { .. });
            let outcome = if well { Outcome::Success } else { Outcome::Failure };
            self.append(&mut tx, &Record::new(now, event).by(Actor::System("evidence")).ended(outcome))
                .await?;
        }
        tx.commit().await?;
        Ok(told)
    }

    /// How everybody is who was asked about the log.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn evidence_states(&self) -> Result<Vec<EvidenceState>, AuditError> {
        let mut tx = self.core().db.begin_read(SCOPE).await?;
        let rows = tx.query(STATES, params![]).await?;
        rows.iter().map(|row| Ok(state(row.get(0)?, row, 1)?)).collect()
    }

    /// The newest that was said; `None` if there is nothing yet.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn evidence(&self, source: EvidenceSource) -> Result<Option<Evidence>, AuditError> {
        let mut tx = self.core().db.begin_read(SCOPE).await?;
        let row = tx.query_opt(NEWEST, params![source.name()]).await?;
        row.as_ref().map(read).transpose()
    }

    /// The earliest that is kept and says something about the tree with the entry at `index`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn evidence_for(
        &self,
        source: EvidenceSource,
        index: u64,
    ) -> Result<Option<Evidence>, AuditError> {
        let mut tx = self.core().db.begin_read(SCOPE).await?;
        let row = tx.query_opt(COVERING, params![source.name(), integer(index)]).await?;
        row.as_ref().map(read).transpose()
    }

    /// The proof that the tree of `new` entries continues the one of `old`; `None` if it is smaller.
    ///
    /// # Errors
    /// If the database fails or its tiles do not fit together.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Option<Vec<Hash>>, AuditError> {
        let mut tx = self.core().db.begin_read(SCOPE).await?;
        with_nodes(&mut tx, new, |read| consistency_proof(old, new, read)).await
    }
}

/// The earliest note that witnesses have cosigned over a tree with the entry at `index`, and its size.
pub(crate) async fn cosigned(tx: &mut Tx, index: u64) -> Result<Option<(u64, String)>, AuditError> {
    let row = tx.query_opt(COVERING, params![EvidenceSource::Witnesses.name(), integer(index)]).await?;
    let Some(said) = row.as_ref().map(read).transpose()? else { return Ok(None) };
    Ok(String::from_utf8(said.evidence).ok().map(|note| (said.size, note)))
}

fn read(row: &Row) -> Result<Evidence, AuditError> {
    Ok(Evidence { size: row.get(1)?, checkpoint: row.get(2)?, evidence: row.get(3)?, at: row.get(4)? })
}

/// The columns `failure`, `failing_since` and `disputed`, from column `at` on.
fn state(who: String, row: &Row, at: usize) -> Result<EvidenceState, store::DbError> {
    Ok(EvidenceState {
        who,
        failure: row.get(at)?,
        failing_since: row.get(at + 1)?,
        disputed: row.get(at + 2)?,
    })
}
