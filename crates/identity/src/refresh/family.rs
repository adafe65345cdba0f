//! The tokens of one session: the one that is unused, and the last ones that were used.

use base::{Id, Timestamp, constant_time_eq, kind};
use store::{Row, Tx, params};

use crate::Error;

/// Uses that are remembered. A client that refreshes more often than that within the time of grace cannot repeat the
/// first of them any more; until that time is over it is not taken for a thief either.
const MOST: usize = 8;
/// Bytes of one: hash, milliseconds, number of the epoch key.
const USE: usize = 32 + 8 + 4;

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
    uses: Vec<Use>,
    pub(super) session_end: Timestamp,
    pub(super) last_seen_at: Timestamp,
    pub(super) audience: Option<String>,
    /// Whether session and account are in force, but for time.
    pub(super) in_force: bool,
}

/// A token that was used, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) hash: [u8; 32],
    pub(super) at: Timestamp,
    /// The number of the epoch key that derived its successor.
    pub(super) epoch: u32,
}

/// What a token is to its family.
pub(super) enum Standing {
    /// The one that is unused.
    Unused,
    /// Used within the time of grace.
    JustUsed(Use),
    /// Neither: used long ago, or made up. With whether every use within the time of grace is remembered.
    Neither { all_remembered: bool },
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
            uses: uses.as_chunks().0.iter().map(Use::read).collect(),
            session_end: row.get(4)?,
            last_seen_at: row.get(5)?,
            audience: row.get(6)?,
            in_force: row.get(7)?,
            rotation: row.get(8)?,
        })
    }

    pub(super) fn standing(&self, hash: &[u8; 32], now: Timestamp, grace_ms: i64) -> Standing {
        if constant_time_eq(&self.hash, hash) {
            return Standing::Unused;
        }
        let recent = |used: &&Use| used.is_recent(now, grace_ms);
        match self.uses.iter().filter(recent).find(|used| constant_time_eq(&used.hash, hash)) {
            Some(used) => Standing::JustUsed(*used),
            None => Standing::Neither { all_remembered: self.uses.iter().filter(recent).count() < MOST },
        }
    }

    /// Whether this is the unused token or one that was used within the time of grace.
    pub(super) fn knows(&self, hash: &[u8; 32], now: Timestamp, grace_ms: i64) -> bool {
        !matches!(self.standing(hash, now, grace_ms), Standing::Neither { .. })
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
        let mut uses: Vec<Use> =
            self.uses.iter().copied().filter(|past| past.is_recent(used.at, grace_ms)).collect();
        uses.push(used);
        let kept: Vec<u8> =
            uses[uses.len().saturating_sub(MOST)..].iter().flat_map(|used| used.write()).collect();
        let values =
            params![session, self.account, self.hash, next.hash, next.rotation, next.expires_at, kept];
        Ok(tx.execute(ROTATE, values).await? == 1)
    }
}

impl Use {
    pub(super) fn is_recent(&self, now: Timestamp, grace_ms: i64) -> bool {
        now.since_ms(self.at) <= grace_ms
    }

    fn read(bytes: &[u8; USE]) -> Self {
        let (hash, rest) = bytes.split_at(32);
        let (at, epoch) = rest.split_at(8);
        Self {
            hash: hash.try_into().expect("32 bytes were split off"),
            at: Timestamp::from_millis(i64::from_be_bytes(at.try_into().expect("8 bytes were split off"))),
            epoch: u32::from_be_bytes(epoch.try_into().expect("4 bytes are left")),
        }
    }

    fn write(self) -> [u8; USE] {
        let mut bytes = [0; USE];
        bytes[..32].copy_from_slice(&self.hash);
        bytes[32..40].copy_from_slice(&self.at.as_millis().to_be_bytes());
        bytes[40..].copy_from_slice(&self.epoch.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_read_as_it_was_written() {
        let one = Use { hash: [7; 32], at: Timestamp::from_millis(1_700_000_000_123), epoch: 9 };
        assert_eq!(Use::read(&one.write()), one);
    }
}
