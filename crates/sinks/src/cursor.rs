//! How far a reader of the log has come, and which process reads: a row with a lease. A process whose lease was
//! taken over cannot move the cursor any more.

use base::{Id, Scope, Timestamp, kind};
use store::{Db, DbError, Dialect, Row, Tx, params};

store::sql! {
    ADD = "INSERT INTO sink_cursor (name, next_index, checkpoint_size, held_until, sent, skipped, reported) \
        VALUES ($1, 0, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING";
    /// Becomes the reader if nobody is, or if it was already.
    TAKE = "UPDATE sink_cursor SET holder = $2, held_until = $4 \
        WHERE name = $1 AND (holder IS NULL OR holder = $2 OR held_until <= $3)";
    /// There is one process only: whoever held it before is gone.
    SEIZE = "UPDATE sink_cursor SET holder = $2, held_until = $3 WHERE name = $1";
    RELEASE = "UPDATE sink_cursor SET holder = NULL, held_until = 0 WHERE name = $1 AND holder = $2";
    LOAD = "SELECT name, next_index, checkpoint_size, sent, skipped, last_sent_at, failing_since, reported, last_error, \
        state, held_until FROM sink_cursor WHERE name = $1";
    ALL = "SELECT name, next_index, checkpoint_size, sent, skipped, last_sent_at, failing_since, reported, last_error, \
        state, held_until FROM sink_cursor ORDER BY name LIMIT 1000";
    ADVANCE = "UPDATE sink_cursor SET next_index = $3, checkpoint_size = $4, sent = $5, skipped = $6, last_sent_at = $7, \
        held_until = $8, failing_since = NULL, reported = 0, last_error = NULL WHERE name = $1 AND holder = $2";
    FAIL = "UPDATE sink_cursor SET failing_since = $3, reported = $4, last_error = $5, held_until = $6 \
        WHERE name = $1 AND holder = $2";
    KEEP = "UPDATE sink_cursor SET next_index = $3, state = $4, held_until = $5 WHERE name = $1 AND holder = $2";
}

/// A node that is gone is followed by another after this.
pub(crate) const LEASE_MS: i64 = 15_000;
/// Errors are cut to this.
const MAX_ERROR: usize = 300;

/// The row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) name: String,
    /// The first index that is not settled.
    pub(crate) next: u64,
    /// The newest checkpoint that was sent.
    pub(crate) checkpoint: u64,
    pub(crate) sent: u64,
    pub(crate) skipped: u64,
    pub(crate) last_sent_at: Option<Timestamp>,
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) reported: bool,
    pub(crate) last_error: Option<String>,
    pub(crate) state: Option<Vec<u8>>,
    pub(crate) held_until: Timestamp,
}

fn cursor(row: &Row) -> Result<Cursor, DbError> {
    Ok(Cursor {
        name: row.get(0)?,
        next: row.get(1)?,
        checkpoint: row.get(2)?,
        sent: row.get(3)?,
        skipped: row.get(4)?,
        last_sent_at: row.get(5)?,
        failing_since: row.get(6)?,
        reported: row.get(7)?,
        last_error: row.get(8)?,
        state: row.get(9)?,
        held_until: row.get(10)?,
    })
}

/// All rows, by name.
pub(crate) async fn all(db: &Db) -> Result<Vec<Cursor>, DbError> {
    let mut tx = db.begin_read(Scope::System("sinks")).await?;
    tx.query(ALL, &[]).await?.iter().map(cursor).collect()
}

/// A reader by its name, in this process.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) db: Db,
    pub(crate) name: String,
    /// This process.
    pub(crate) holder: Id<kind::Key>,
}

impl Reader {
    /// Becomes the reader for a while; gives where to go on, or `None` while another process reads.
    pub(crate) async fn take(&self, now: Timestamp) -> Result<Option<Cursor>, DbError> {
        let mut tx = self.begin().await?;
        tx.execute(ADD, params![&self.name]).await?;
        let until = now.plus_ms(LEASE_MS);
        // A data folder is served by one process, which holds its lock.
        let taken = match self.db.dialect() {
            Dialect::Sqlite => tx.execute(SEIZE, params![&self.name, self.holder, until]).await?,
            Dialect::Postgres => tx.execute(TAKE, params![&self.name, self.holder, now, until]).await?,
        };
        let row = cursor(&tx.query_one(LOAD, params![&self.name]).await?)?;
        tx.commit().await?;
        Ok((taken == 1).then_some(row))
    }

    /// Stores progress, or that all is well again; `false` if another process reads meanwhile.
    pub(crate) async fn advance(&self, at: &Cursor, now: Timestamp) -> Result<bool, DbError> {
        let mut tx = self.begin().await?;
        let done = tx
            .execute(
                ADVANCE,
                params![
                    &self.name,
                    self.holder,
                    signed(at.next),
                    signed(at.checkpoint),
                    signed(at.sent),
                    signed(at.skipped),
                    at.last_sent_at,
                    now.plus_ms(LEASE_MS)
                ],
            )
            .await?;
        tx.commit().await?;
        Ok(done == 1)
    }

    /// Stores that it fails, and stays the reader; `false` if another process reads meanwhile.
    pub(crate) async fn fail(&self, at: &Cursor, now: Timestamp) -> Result<bool, DbError> {
        let mut tx = self.begin().await?;
        let error =
            at.last_error.as_deref().map(|text| text[..text.floor_char_boundary(MAX_ERROR)].to_owned());
        let until = now.plus_ms(LEASE_MS);
        let done = tx
            .execute(FAIL, params![&self.name, self.holder, at.failing_since, at.reported, error, until])
            .await?;
        tx.commit().await?;
        Ok(done == 1)
    }

    /// Stores progress and a state in the caller's transaction; `false` if another process reads meanwhile.
    pub(crate) async fn keep(
        &self,
        tx: &mut Tx,
        next: u64,
        state: Vec<u8>,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let until = now.plus_ms(LEASE_MS);
        Ok(tx.execute(KEEP, params![&self.name, self.holder, signed(next), state, until]).await? == 1)
    }

    /// Lets another process read at once.
    pub(crate) async fn release(&self) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        tx.execute(RELEASE, params![&self.name, self.holder]).await?;
        tx.commit().await
    }

    async fn begin(&self) -> Result<Tx, DbError> {
        self.db.begin(Scope::System("sinks")).await
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
