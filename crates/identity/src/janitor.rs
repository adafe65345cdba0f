//! Removes what has had its time, in small transactions.

use base::{Id, Scope, Timestamp, kind};
use store::{Sql, params};

use crate::mail::Way;
use crate::register::WINDOW_MS;
use crate::service::Inner;
use crate::{Error, Identity, Swept};

/// Rows per transaction: others write in between.
const BATCH: u32 = 500;
/// Transactions per table and run; what is left waits for the next run.
const ROUNDS: u32 = 200;

/// A counter that nobody touched for this long begins anew.
const COUNTERS_REST_MS: i64 = 30 * 86_400_000;

store::sql! {
    SWEEP_CHALLENGES = "DELETE FROM sign_in_challenge WHERE challenge_hash IN \
        (SELECT challenge_hash FROM sign_in_challenge WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
    SWEEP_SETUPS = "DELETE FROM factor WHERE factor_id IN \
        (SELECT factor_id FROM factor WHERE confirmed_at IS NULL AND created_at < $1 ORDER BY created_at LIMIT $2)";
    SWEEP_WISHES = "DELETE FROM email_change WHERE account_id IN \
        (SELECT account_id FROM email_change WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
    SWEEP_DEVICES = "DELETE FROM known_device WHERE (account_id, device_id) IN \
        (SELECT account_id, device_id FROM known_device WHERE last_seen_at < $1 ORDER BY last_seen_at LIMIT $2)";
    SWEEP_COUNTERS = "DELETE FROM attempt_counter WHERE counter_key IN \
        (SELECT counter_key FROM attempt_counter WHERE updated_at < $1 ORDER BY updated_at LIMIT $2)";
    /// Whoever tries millions of names must not fill the disk: beyond a million, the counters that rest longest go.
    SWEEP_SURPLUS_COUNTERS = "DELETE FROM attempt_counter WHERE updated_at < $1 AND counter_key IN \
        (SELECT counter_key FROM attempt_counter ORDER BY updated_at DESC LIMIT $2 OFFSET 1000000)";
    OLD_PENDING = "SELECT account_id FROM account WHERE status = 'pending' AND created_at < $1 \
        ORDER BY created_at LIMIT $2";
    SWEEP_CODES = "DELETE FROM one_time_code WHERE code_hash IN \
        (SELECT code_hash FROM one_time_code WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
    SWEEP_REFRESH = "DELETE FROM refresh_token WHERE token_hash IN \
        (SELECT token_hash FROM refresh_token WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
    SWEEP_SESSIONS = "DELETE FROM session WHERE session_id IN \
        (SELECT session_id FROM session WHERE expires_at < $1 OR revoked_at < $1 LIMIT $2)";
    SWEEP_MAILS = "DELETE FROM mail WHERE mail_id IN \
        (SELECT mail_id FROM mail WHERE created_at < $1 ORDER BY created_at LIMIT $2)";
    /// Ended by their owner or by time; what they did stays in the trail.
    SWEEP_API_KEYS = "DELETE FROM api_key WHERE key_id IN \
        (SELECT key_id FROM api_key WHERE expires_at < $1 OR revoked_at < $1 LIMIT $2)";
    SWEEP_FLOWS = "DELETE FROM provider_flow WHERE state_hash IN \
        (SELECT state_hash FROM provider_flow WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
    SWEEP_CEREMONIES = "DELETE FROM passkey_ceremony WHERE ceremony_hash IN \
        (SELECT ceremony_hash FROM passkey_ceremony WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
    SWEEP_NOTICES = "DELETE FROM sign_in_notice WHERE code_hash IN \
        (SELECT code_hash FROM sign_in_notice WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
    SWEEP_BUDGETS = "DELETE FROM mail_budget WHERE (address_index, kind) IN \
        (SELECT address_index, kind FROM mail_budget WHERE window_start < $1 ORDER BY window_start LIMIT $2)";
}

impl Identity {
    /// Removes what has had its time; called by the job worker, every hour or so.
    ///
    /// # Errors
    /// Failures of the store and of the outbox folder.
    pub async fn janitor(&self) -> Result<Swept, Error> {
        let inner = &*self.0;
        let now = inner.now();
        let trace = now.plus_ms(-inner.settings.trace_ttl_ms);
        let swept = Swept {
            pending_accounts: inner.sweep_pending(now.plus_ms(-inner.settings.pending_ttl_ms)).await?,
            codes: inner.sweep(SWEEP_CODES, now).await?,
            refresh_tokens: inner.sweep(SWEEP_REFRESH, now).await?,
            sessions: inner.sweep(SWEEP_SESSIONS, trace).await?,
            mails: inner.sweep(SWEEP_MAILS, trace).await?,
            traces: inner.sweep(SWEEP_CHALLENGES, now.plus_ms(-86_400_000)).await?
                + inner.sweep(SWEEP_SETUPS, now.plus_ms(-crate::factor::SETUP_TTL_MS)).await?
                + inner.sweep(SWEEP_WISHES, now).await?
                + inner.sweep(SWEEP_DEVICES, now.plus_ms(-inner.settings.device_ttl_ms)).await?
                + inner.sweep(SWEEP_COUNTERS, now.plus_ms(-COUNTERS_REST_MS)).await?
                + inner.sweep(SWEEP_SURPLUS_COUNTERS, now).await?,
            questions: inner.sweep(SWEEP_NOTICES, now).await?
                + inner.sweep(SWEEP_FLOWS, now).await?
                + inner.sweep(SWEEP_CEREMONIES, now).await?
                + inner.sweep(SWEEP_BUDGETS, now.plus_ms(-WINDOW_MS)).await?,
            api_keys: inner.sweep(SWEEP_API_KEYS, trace).await?,
            erased: inner.erase_closed().await?,
        };
        if let Way::Folder(folder) = &inner.delivery.way {
            folder.sweep(trace).await.map_err(|error| Error::Unavailable(error.into()))?;
        }
        Ok(swept)
    }
}

impl Inner {
    async fn sweep_pending(&self, before: Timestamp) -> Result<u64, Error> {
        let mut total = 0;
        for _ in 0..ROUNDS {
            let mut tx = self.db.begin(Scope::System("janitor")).await?;
            let rows = tx.query(OLD_PENDING, params![before, BATCH]).await?;
            for row in &rows {
                let id: Id<kind::Account> = row.get(0)?;
                total += self.delete_pending(&mut tx, id).await?;
            }
            tx.commit().await?;
            if rows.len() < BATCH as usize {
                break;
            }
        }
        Ok(total)
    }

    async fn sweep(&self, sql: Sql, before: Timestamp) -> Result<u64, Error> {
        let mut total = 0;
        for _ in 0..ROUNDS {
            let mut tx = self.db.begin(Scope::System("janitor")).await?;
            let swept = tx.execute(sql, params![before, BATCH]).await?;
            tx.commit().await?;
            total += swept;
            if swept < u64::from(BATCH) {
                break;
            }
        }
        Ok(total)
    }
}
