//! What others say about the log: cosignatures of witnesses, time stamps of an authority. Who fetches it is another
//! crate's matter (this one has no network); here it is kept, and one node at a time is told to fetch.

use base::{Scope, Timestamp};
use crypto::log::{Hash, consistency_proof};
use store::{Row, Tx, params, sql};

use crate::log::reading::{integer, with_nodes};
use crate::{Audit, AuditError};

sql! {
    ADD_SOURCE = "INSERT INTO audit_evidence_source (source, next_at) VALUES ($1, 0) ON CONFLICT DO NOTHING";
    CLAIM = "UPDATE audit_evidence_source SET next_at = $3 WHERE source = $1 AND next_at <= $2";
    FAILED = "UPDATE audit_evidence_source SET failure = $2 WHERE source = $1";
    FAILURE = "SELECT failure FROM audit_evidence_source WHERE source = $1";
    KEEP = "INSERT INTO audit_evidence (source, size, checkpoint, evidence, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    NEWEST = "SELECT source, size, checkpoint, evidence, at FROM audit_evidence WHERE source = $1 ORDER BY size DESC LIMIT 1";
    // The earliest that covers an entry says most about when it was there.
    COVERING = "SELECT source, size, checkpoint, evidence, at FROM audit_evidence WHERE source = $1 AND size > $2 ORDER BY size LIMIT 1";
    PRUNE = "DELETE FROM audit_evidence WHERE source = $1 AND size < (SELECT min(size) FROM
             (SELECT size FROM audit_evidence WHERE source = $1 ORDER BY size DESC LIMIT 64) AS newest)";
}

const SCOPE: Scope = Scope::System("evidence about the log");

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

    /// Keeps what was said, and that asking went well.
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
        tx.execute(FAILED, params![source.name(), None::<String>]).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Remembers why asking did not go well; `true` if it is not what is remembered already.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn evidence_failed(&self, source: EvidenceSource, why: &str) -> Result<bool, AuditError> {
        let mut tx = self.core().db.begin(SCOPE).await?;
        let known = tx.query_opt(FAILURE, params![source.name()]).await?;
        let known: Option<String> = known.map(|row| row.get(0)).transpose()?.flatten();
        tx.execute(FAILED, params![source.name(), why]).await?;
        tx.commit().await?;
        Ok(known.as_deref() != Some(why))
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
