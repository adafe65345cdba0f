//! Removes what ended long ago. Nothing depends on it: an expired row gives nothing from the moment on at which it ends.

use base::Scope;
use store::params;

use super::{AccessError, Relations};

/// How long "your access has ended" can still be told, in milliseconds.
const KEEP_MS: i64 = 30 * 24 * 3_600_000;
/// Rows of one sweep.
const MANY: u32 = 10_000;

store::sql! {
    RELATIONS = "DELETE FROM access_relation WHERE (object_id, subject_id) IN \
        (SELECT object_id, subject_id FROM access_relation WHERE expires_at < $1 LIMIT $2)";
    INVITATIONS = "DELETE FROM access_invitation WHERE invitation_id IN \
        (SELECT invitation_id FROM access_invitation WHERE expires_at < $1 LIMIT $2)";
    OFFERS = "DELETE FROM access_offer WHERE offer_id IN \
        (SELECT offer_id FROM access_offer WHERE expires_at < $1 LIMIT $2)";
    GLASSES = "DELETE FROM access_break_glass WHERE grant_id IN \
        (SELECT grant_id FROM access_break_glass WHERE expires_at < $1 LIMIT $2)";
}

impl Relations {
    /// One round; says how many rows went.
    ///
    /// # Errors
    /// Failures of the database.
    pub async fn sweep(&self) -> Result<u64, AccessError> {
        let before = self.0.now().plus_ms(-KEEP_MS);
        let mut tx = self.0.db.begin(Scope::System("sweeping relations")).await?;
        let mut gone = 0;
        for sql in [RELATIONS, INVITATIONS, OFFERS, GLASSES] {
            gone += tx.execute(sql, params![before, MANY]).await?;
        }
        tx.commit().await?;
        Ok(gone)
    }
}
