//! Refresh tokens: opaque, rotated at each use, a second use within 10 s gives the same successor (AUTH-5).
//!
//! Two tabs, or a reply that got lost, make an honest client use one token twice; a naïve rotation would sign it out.
//! So the successor is not random but derived: HMAC of the old token under an epoch key. Whoever holds the old token
//! gets the same successor again within the grace time, and nothing but hashes is stored. A later use means that two
//! parties hold the token: the family (the session) ends for both.

use audit::{Event, Outcome};
use base::{Id, Scope, Secret, Timestamp, kind};
use crypto::mac::hmac_sha256;
use keys::{EpochKey, Purpose};
use store::{Change, Row, Tx, params};

use crate::account::Account;
use crate::error::retry_races;
use crate::mail::Letter;
use crate::service::Inner;
use crate::{Error, Identity, RequestMeta, TokenPair, secret_text};

/// So that scanners of public code recognise a leaked one.
pub(crate) const PREFIX: &str = "ftr_";
/// Separates this use of the epoch key from every other.
const DOMAIN: &[u8] = b"fortissimo/refresh-successor/v1\0";

store::sql! {
    INSERT = "INSERT INTO refresh_token (token_hash, account_id, session_id, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5)";
    /// Uses a token. Of many at once exactly one gets the row; the others wait for it and get none.
    CLAIM = "UPDATE refresh_token SET used_at = $2, successor_epoch = $3 \
        WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2 RETURNING account_id, session_id";
    USED = "SELECT account_id, session_id, used_at, successor_epoch FROM refresh_token WHERE token_hash = $1";
    EXPIRY = "SELECT expires_at FROM refresh_token WHERE token_hash = $1 AND account_id = $2";
    /// The session, if it is alive in every respect but idleness.
    SESSION = "SELECT s.expires_at, s.last_seen_at, s.audience FROM session s \
        JOIN account a ON a.account_id = s.account_id \
        WHERE s.session_id = $1 AND s.account_id = $2 AND s.kind = 'token' AND s.revoked_at IS NULL \
        AND s.epoch = a.epoch AND a.status = 'active' AND s.expires_at > $3";
    SEEN = "UPDATE session SET last_seen_at = $3 WHERE session_id = $1 AND account_id = $2 AND last_seen_at < $3";
}

/// A live session's part of the answer.
struct Live {
    expires_at: Timestamp,
    audience: Option<String>,
    /// Long enough ago for a use to be written down.
    seen_a_while_ago: bool,
}

/// What a use of a token came to.
enum Use {
    /// The next pair, stored.
    Next(TokenPair),
    /// Not usable; nothing to undo.
    Invalid(Option<Id<kind::Account>>),
    /// Used again after the grace time; the session was ended just now.
    Reused,
}

impl Identity {
    /// The next pair for a refresh token.
    ///
    /// # Errors
    /// [`Error::InvalidRefreshToken`]; [`Error::RefreshTokenReused`] if this ended the session; failures of the store.
    pub async fn refresh(&self, token: &str, meta: &RequestMeta) -> Result<TokenPair, Error> {
        let inner = &*self.0;
        let outcome = if secret_text::is_plausible(token, PREFIX) {
            retry_races!(inner.use_token(token, meta))?
        } else {
            Use::Invalid(None)
        };
        match outcome {
            Use::Next(pair) => Ok(pair),
            Use::Reused => Err(Error::RefreshTokenReused),
            Use::Invalid(about) => {
                let event = Event::TokenRefused { reason: "not-valid", credential: "refresh-token" };
                let mut record = inner.record(meta, event).ended(Outcome::Denied);
                record.about = about;
                inner.audit.record_durable(record).await?;
                Err(Error::InvalidRefreshToken)
            }
        }
    }
}

impl Inner {
    /// Stores the hash of a new token; it ends unused after the set time, at the latest with its session.
    pub(crate) async fn insert_refresh(
        &self,
        tx: &mut Tx,
        token: &Secret<String>,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
        session_end: Timestamp,
    ) -> Result<Timestamp, Error> {
        let now = self.now();
        let expires_at = now.plus_ms(self.settings.refresh_ttl_ms).min(session_end);
        let hash = secret_text::hash(token.expose());
        tx.execute(INSERT, params![hash, account, session, now, expires_at]).await?;
        Ok(expires_at)
    }

    async fn use_token(&self, token: &str, meta: &RequestMeta) -> Result<Use, Error> {
        let hash = secret_text::hash(token);
        let now = self.now();
        let epoch = self.keys.epoch(Purpose::Refresh);
        let mut tx = self.db.begin(Scope::System("refresh")).await?;
        let Some(row) = tx.query_opt(CLAIM, params![hash, now, epoch.number]).await? else {
            return self.use_again(tx, token, now, meta).await;
        };
        let (account, session) = (row.get(0)?, row.get(1)?);
        let Some(live) = self.live(&mut tx, account, session, now).await? else {
            return Ok(Use::Invalid(Some(account)));
        };
        let successor = derive(&epoch, token);
        let refresh_end = self.insert_refresh(&mut tx, &successor, account, session, live.expires_at).await?;
        if live.seen_a_while_ago {
            tx.execute(SEEN, params![session, account, now]).await?;
        }
        let event = Event::SessionRefreshed { session };
        self.audit.append(&mut tx, &self.record(meta, event).by_account(account)).await?;
        tx.commit().await?;
        // Signed only now: on SQLite everybody else who writes waits for the transaction. If it fails, the old token gives
        // the same successor again.
        Ok(Use::Next(self.pair(account, session, &live, successor, refresh_end)?))
    }

    /// Somebody used this token before, or it is not one.
    async fn use_again(
        &self,
        mut tx: Tx,
        token: &str,
        now: Timestamp,
        meta: &RequestMeta,
    ) -> Result<Use, Error> {
        let Some(row) = tx.query_opt(USED, params![secret_text::hash(token)]).await? else {
            return Ok(Use::Invalid(None));
        };
        let (account, session) = (row.get(0)?, row.get(1)?);
        let Some((used_at, epoch)) = row.get::<Option<Timestamp>>(2)?.zip(row.get::<Option<u32>>(3)?) else {
            // Never used, so it has expired.
            return Ok(Use::Invalid(Some(account)));
        };
        if now.since_ms(used_at) > self.settings.refresh_grace_ms {
            return self.end_family(tx, account, session, now, meta).await;
        }
        let Some(live) = self.live(&mut tx, account, session, now).await? else {
            return Ok(Use::Invalid(Some(account)));
        };
        let epoch = self
            .keys
            .epoch_number(Purpose::Refresh, epoch)
            .ok_or_else(|| Error::internal("the epoch key of a refresh token is gone"))?;
        let successor = derive(&epoch, token);
        let row: Option<Row> =
            tx.query_opt(EXPIRY, params![secret_text::hash(successor.expose()), account]).await?;
        let Some(row) = row else { return Ok(Use::Invalid(Some(account))) };
        let refresh_end = row.get(0)?;
        let event = Event::SessionRefreshed { session };
        self.audit.append(&mut tx, &self.record(meta, event).by_account(account)).await?;
        // On SQLite this also waits until the first user's rows are durable, on which this answer builds.
        tx.commit().await?;
        Ok(Use::Next(self.pair(account, session, &live, successor, refresh_end)?))
    }

    async fn end_family(
        &self,
        mut tx: Tx,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
        now: Timestamp,
        meta: &RequestMeta,
    ) -> Result<Use, Error> {
        if !self.end_session(&mut tx, account, session).await? {
            // Ended before: no second alarm, else a thief could flood the owner with mail.
            return Ok(Use::Invalid(Some(account)));
        }
        let owner = Account::load(&mut tx, account).await?;
        let email = owner.email(self, &mut tx).await?;
        let sign_in = self.page("sign-in");
        let letter = Letter::RefreshReused { username: &owner.username, at: now, sign_in: &sign_in };
        self.queue_mail(&mut tx, &owner, &email, &letter).await?;
        let record =
            self.record(meta, Event::RefreshReused { session }).about(account).ended(Outcome::Denied);
        self.audit.append(&mut tx, &record).await?;
        self.commit_change(tx, Change::Session(session)).await?;
        Ok(Use::Reused)
    }

    async fn live(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
        now: Timestamp,
    ) -> Result<Option<Live>, Error> {
        let Some(row) = tx.query_opt(SESSION, params![session, account, now]).await? else { return Ok(None) };
        let (idle_ms, limit_ms) = (now.since_ms(row.get(1)?), self.settings.token_idle_ms);
        if idle_ms >= limit_ms {
            return Ok(None);
        }
        // Much more often than sessions become idle, and not at each use.
        let seen_a_while_ago = idle_ms >= self.settings.touch_interval_ms.min(limit_ms / 8);
        Ok(Some(Live { expires_at: row.get(0)?, audience: row.get(2)?, seen_a_while_ago }))
    }

    fn pair(
        &self,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
        live: &Live,
        refresh_token: Secret<String>,
        refresh_end: Timestamp,
    ) -> Result<TokenPair, Error> {
        let (access_token, expires_in_s) =
            self.access_token(account, session, live.audience.as_deref(), live.expires_at)?;
        Ok(TokenPair {
            access_token,
            expires_in_s,
            refresh_token,
            refresh_expires_in_s: self.seconds_until(refresh_end),
            session,
            account,
            device: None,
        })
    }
}

/// The one successor of a token under this epoch key.
fn derive(epoch: &EpochKey, token: &str) -> Secret<String> {
    let data = zeroize::Zeroizing::new([DOMAIN, token.as_bytes()].concat());
    let bytes = zeroize::Zeroizing::new(hmac_sha256(epoch.key.expose(), &data));
    secret_text::encode(PREFIX, &bytes)
}
