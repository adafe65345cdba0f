//! The tokens of one session: the one that is unused, and the last ones that were used.

use base::{Id, Timestamp, constant_time_eq, kind};
use store::{Row, Tx, params};

use crate::Error;

/// Parts of the time of grace: uses within one are remembered as one.
const PARTS: i64 = 16;
/// Bytes of one run: rotation, milliseconds, number of the epoch key.
const RUN: usize = 4 + 8 + 4;
/// How far the clocks of two nodes, or of one before and after it was set, may be apart.
const SKEW_MS: i64 = 60_000;

store::sql! {
    INSERT = "INSERT INTO refresh_family (session_id, account_id, token_hash, rotation, expires_at, uses) \
        VALUES ($1, $2, $3, 0, $4, $5)";
    LOAD = "SELECT f.account_id, f.token_hash, f.expires_at, f.uses, s.expires_at, s.last_seen_at, s.audience, \
        s.revoked_at IS NULL AND s.epoch = a.epoch AND a.status = 'active', f.rotation \
        FROM refresh_family f JOIN session s ON s.session_id = f.session_id JOIN account a ON a.account_id = f.account_id \
        WHERE f.session_id = $1";
    /// Of many at once exactly one changes the row.
    ROTATE = "UPDATE refresh_family SET token_hash = $4, rotation = $5, expires_at = $6, uses = $7 \
        WHERE session_id = $1 AND account_id = $2 AND token_hash = $3";
}

/// What is stored of a session's tokens, with what of the session matters for them.
pub(super) struct Family {
    pub(super) account: Id<kind::Account>,
    /// Of the unused token.
    hash: [u8; 32],
    /// How many came before it.
    pub(super) rotation: u32,
    pub(super) expires_at: Timestamp,
    /// The uses within the time of grace, in their order.
    uses: Vec<Run>,
    pub(super) session_end: Timestamp,
    pub(super) last_seen_at: Timestamp,
    pub(super) audience: Option<String>,
    /// Whether session and account are in force, but for time.
    pub(super) in_force: bool,
}

/// When a token was used, and the number of the epoch key that derived its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) at: Timestamp,
    pub(super) epoch: u32,
}

/// Uses one after the other, told by the last of them: however fast a client is, there are at most 17 in the time of grace,
/// and each is remembered for that time, and less than its sixteenth more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// How many tokens came before the first one that was used.
    first: u32,
    last: Use,
}

/// A token that takes the place of the one that was used.
pub(super) struct Successor {
    pub(super) hash: [u8; 32],
    pub(super) rotation: u32,
    pub(super) expires_at: Timestamp,
}

impl Family {
    /// Stores a session's first token.
    pub(super) async fn found(
        tx: &mut Tx,
        session: Id<kind::Session>,
        account: Id<kind::Account>,
        hash: [u8; 32],
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        tx.execute(INSERT, params![session, account, hash, expires_at, [0_u8; 0]]).await?;
        Ok(())
    }

    /// `None` if there is no such session, or it keeps no tokens.
    pub(super) async fn load(tx: &mut Tx, session: Id<kind::Session>) -> Result<Option<Self>, Error> {
        let row = tx.query_opt(LOAD, params![session]).await?;
        Ok(row.as_ref().map(Self::read).transpose()?)
    }

    fn read(row: &Row) -> Result<Self, store::DbError> {
        let uses: Vec<u8> = row.get(3)?;
        Ok(Self {
            account: row.get(0)?,
            hash: row.get(1)?,
            expires_at: row.get(2)?,
            uses: uses.as_chunks().0.iter().map(Run::read).collect(),
            session_end: row.get(4)?,
            last_seen_at: row.get(5)?,
            audience: row.get(6)?,
            in_force: row.get(7)?,
            rotation: row.get(8)?,
        })
    }

    /// Whether this is the hash of the unused token.
    pub(super) fn is_unused(&self, hash: &[u8; 32]) -> bool {
        constant_time_eq(&self.hash, hash)
    }

    /// The use of the token that so many came before, if it was within the time of grace.
    pub(super) fn use_of(&self, rotation: u32, now: Timestamp, grace_ms: i64) -> Option<Use> {
        let run = self.uses.iter().rfind(|run| run.first <= rotation)?;
        (rotation < self.rotation && run.last.is_recent(now, grace_ms)).then_some(run.last)
    }

    /// Puts the successor in the place of the unused token; `false` if somebody else was faster.
    pub(super) async fn rotate(
        &self,
        tx: &mut Tx,
        session: Id<kind::Session>,
        used: Use,
        next: &Successor,
        grace_ms: i64,
    ) -> Result<bool, Error> {
        let mut uses: Vec<Run> = Vec::with_capacity(self.uses.len() + 1);
        uses.extend(self.uses.iter().filter(|run| run.last.is_recent(used.at, grace_ms)));
        match uses.last_mut() {
            Some(run) if used.is_close_to(run.last, grace_ms) => run.last.at = run.last.at.max(used.at),
            _ => uses.push(Run { first: self.rotation, last: used }),
        }
        let kept: Vec<u8> = uses.iter().flat_map(|run| run.write()).collect();
        let values =
            params![session, self.account, self.hash, next.hash, next.rotation, next.expires_at, kept];
        Ok(tx.execute(ROTATE, values).await? == 1)
    }
}

impl Use {
    pub(super) fn is_recent(self, now: Timestamp, grace_ms: i64) -> bool {
        (-SKEW_MS..=grace_ms).contains(&now.since_ms(self.at))
    }

    /// Whether it is in the same part of the time of grace as the one before, or earlier, by a clock that is behind.
    fn is_close_to(self, before: Self, grace_ms: i64) -> bool {
        let part = |at: Timestamp| at.as_millis() / (grace_ms / PARTS).max(1);
        self.epoch == before.epoch && part(self.at) <= part(before.at)
    }
}

impl Run {
    fn read(bytes: &[u8; RUN]) -> Self {
        let number =
            |at: usize| u32::from_be_bytes(*bytes[at..].first_chunk().expect("a run is long enough"));
        let at = i64::from_be_bytes(*bytes[4..].first_chunk().expect("a run is long enough"));
        Self { first: number(0), last: Use { at: Timestamp::from_millis(at), epoch: number(12) } }
    }

    fn write(self) -> [u8; RUN] {
        let mut bytes = [0; RUN];
        bytes[..4].copy_from_slice(&self.first.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.last.at.as_millis().to_be_bytes());
        bytes[12..].copy_from_slice(&self.last.epoch.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_as_it_was_written() {
        let last = Use { at: Timestamp::from_millis(1_700_000_000_123), epoch: 9 };
        let run = Run { first: 70_000, last };
        assert_eq!(Run::read(&run.write()), run);
    }
}
