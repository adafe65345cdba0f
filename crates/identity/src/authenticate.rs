//! From a token or cookie to a caller, on every request.
//!
//! A credential that was seen before costs a hash and two look-ups; its signature is not verified again. What may
//! change (revoked, disabled, role) comes from facts that a change invalidates before its operation answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base::{Id, Scope, Timestamp, kind};
use crypto::mac::sha256;
use keys::KeyUse;
use store::params;

use crate::background::Touch;
use crate::remember::{COOKIE, Credential, Facts, Recall};
use crate::service::Inner;
use crate::{Aal, AccountCaller, Error, Identity, Method, SessionKind, secret_text};

store::sql! {
    /// All that decides about a session, in one read.
    FACTS = "SELECT s.kind, s.authenticated_at, s.last_seen_at, s.expires_at, s.revoked_at, s.epoch, \
        a.epoch, a.status, a.role, a.tier, a.username, s.aal, s.second_factor_at, \
        EXISTS (SELECT 1 FROM factor f WHERE f.account_id = a.account_id AND f.confirmed_at IS NOT NULL AND f.demanded), \
        s.risk, a.locked_at IS NOT NULL \
        FROM session s JOIN account a ON a.account_id = s.account_id \
        WHERE s.session_id = $1 AND s.account_id = $2";
    BY_COOKIE = "SELECT account_id, session_id, expires_at FROM session WHERE cookie_hash = $1";
}

/// Longest token that is looked at (the verifier's own limit).
const MAX_TOKEN: usize = 8 * 1024;

impl Identity {
    /// Who presents this access token. Fast for tokens seen before; never later than a revocation.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] with the fault's name, or [`Error::Unavailable`] if it cannot be decided now.
    pub async fn authenticate_token(&self, token: &str) -> Result<AccountCaller, Error> {
        self.authenticate_token_with(token, Recall::Allowed).await
    }

    /// As [`authenticate_token`](Self::authenticate_token), perhaps with nothing remembered.
    ///
    /// # Errors
    /// See there.
    pub async fn authenticate_token_with(&self, token: &str, recall: Recall) -> Result<AccountCaller, Error> {
        let inner = &*self.0;
        if token.len() > MAX_TOKEN {
            return Err(Error::InvalidToken("too-long"));
        }
        let hash = sha256(token.as_bytes());
        let verifying = inner.keys.verifying(KeyUse::AccessToken);
        let generation = inner.remembered.keys.of(&verifying);
        let credential = match inner.remembered.credential(&hash, generation) {
            Some(found) => found,
            None => {
                let claims = inner.verify_token(&verifying, token)?;
                let expires_at = Timestamp::from_millis(claims.exp.saturating_mul(1000));
                let owner = (claims.sub, claims.sid);
                inner.remembered.keep_credential(hash, generation, Method::Token, owner, expires_at)
            }
        };
        inner.caller(credential, recall).await
    }

    /// Who presents this session cookie.
    ///
    /// # Errors
    /// As [`Identity::authenticate_token`].
    pub async fn authenticate_cookie(&self, value: &str) -> Result<AccountCaller, Error> {
        self.authenticate_cookie_with(value, Recall::Allowed).await
    }

    /// As [`authenticate_cookie`](Self::authenticate_cookie), perhaps with nothing remembered.
    ///
    /// # Errors
    /// See there.
    pub async fn authenticate_cookie_with(
        &self,
        value: &str,
        recall: Recall,
    ) -> Result<AccountCaller, Error> {
        let inner = &*self.0;
        if !secret_text::is_plausible(value, "") {
            return Err(Error::InvalidToken("malformed"));
        }
        let hash = secret_text::hash(value);
        let credential = match inner.remembered.credential(&hash, COOKIE) {
            Some(found) => found,
            None => {
                let mut tx = inner.db.begin_read(Scope::System("session cookie")).await?;
                let row = tx.query_opt(BY_COOKIE, params![hash]).await?;
                let row = row.ok_or(Error::InvalidToken("unknown-session"))?;
                let owner = (row.get(0)?, row.get(1)?);
                inner.remembered.keep_credential(hash, COOKIE, Method::Cookie, owner, row.get(2)?)
            }
        };
        inner.caller(credential, recall).await
    }
}

impl Identity {
    /// Whether somebody who was let in a while ago would still be: for answers that last, such as streams. Gives the
    /// caller with the role of now. Is no use of the session, so that an open page does not keep it alive.
    ///
    /// # Errors
    /// As [`Identity::authenticate_token`].
    pub async fn recheck(&self, caller: &AccountCaller) -> Result<AccountCaller, Error> {
        let AccountCaller { account, session, method, expires_at, .. } = *caller;
        let facts = self.0.live_facts(account, session, method, expires_at, Recall::Allowed).await?;
        Ok(facts.caller(account, session, method, expires_at, self.0.now()))
    }
}

impl Identity {
    /// What changed from now on, here and on other nodes: for whoever [rechecks](Self::recheck) answers that last. What
    /// this process remembers may be forgotten a moment later than the change is told.
    pub fn changes(&self) -> tokio::sync::broadcast::Receiver<store::Change> {
        self.0.db.changes()
    }
}

impl Facts {
    fn caller(
        &self,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
        method: Method,
        expires_at: Timestamp,
        seen_at: Timestamp,
    ) -> AccountCaller {
        AccountCaller {
            account,
            session,
            role: self.role,
            tier: self.tier,
            username: self.username.clone(),
            method,
            authenticated_at: self.authenticated_at,
            second_factor_at: self.second_factor_at,
            has_second_factor: self.has_second_factor,
            seen_at,
            aal: self.aal,
            risk: self.risk,
            locked: self.locked,
            expires_at: expires_at.min(self.expires_at),
        }
    }
}

impl Inner {
    async fn caller(&self, credential: Credential, recall: Recall) -> Result<AccountCaller, Error> {
        let Credential { account, session, method, expires_at, .. } = credential;
        let facts = self.live_facts(account, session, method, expires_at, recall).await?;
        let now = self.now();
        let mut caller = facts.caller(account, session, method, expires_at, now);
        if facts.aal == Aal::Two {
            let given =
                facts.second_factor_at.is_some_and(|at| now.since_ms(at) < self.settings.aal2_absolute_ms);
            let idle_ms = now.as_millis().saturating_sub(facts.last_seen_ms.load(Ordering::Relaxed));
            if idle_ms >= self.settings.aal2_idle_ms {
                // Written down, because this very request makes the session look used again.
                self.lower_assurance(account, session).await?;
            }
            if !given || idle_ms >= self.settings.aal2_idle_ms {
                caller.aal = Aal::One;
            }
        }
        self.note_use(account, session, &facts, now);
        Ok(caller)
    }

    /// The facts of a session that is alive for this method now.
    async fn live_facts(
        &self,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
        method: Method,
        expires_at: Timestamp,
        recall: Recall,
    ) -> Result<Arc<Facts>, Error> {
        let now = self.now();
        if now >= expires_at {
            return Err(Error::InvalidToken("expired"));
        }
        let mut facts = match recall {
            Recall::Allowed => self.facts(account, session).await?,
            Recall::Never => self.read_facts(account, session).await?,
        };
        if self.is_idle(&facts, now) {
            // Another node may have seen it since; only the database knows.
            facts = self.read_facts(account, session).await?;
        }
        if let Some(reason) = facts.ended {
            return Err(Error::InvalidToken(reason));
        }
        let serves = match method {
            Method::Token => SessionKind::Token,
            Method::Cookie => SessionKind::Browser,
        };
        if facts.kind != serves {
            return Err(Error::InvalidToken("wrong-kind-of-session"));
        }
        if now >= facts.expires_at {
            return Err(Error::InvalidToken("session-expired"));
        }
        if self.is_idle(&facts, now) {
            return Err(Error::InvalidToken("session-idle"));
        }
        Ok(facts)
    }

    /// The session's facts, remembered or read.
    pub(crate) async fn facts(
        &self,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
    ) -> Result<Arc<Facts>, Error> {
        match self.remembered.facts(account, session) {
            Some(facts) => Ok(facts),
            None => self.read_facts(account, session).await,
        }
    }

    async fn read_facts(
        &self,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
    ) -> Result<Arc<Facts>, Error> {
        // The stamp must be older than what is read; see `remember`.
        let stamp = self.remembered.stamp(account, session);
        let mut tx = self.db.begin_read(Scope::Account(account)).await?;
        let row = tx.query_opt(FACTS, params![session, account]).await?;
        drop(tx);
        let row = row.ok_or(Error::InvalidToken("unknown-session"))?;
        let damaged = || Error::internal("a session's row holds an unknown word");
        let ended =
            if row.get::<Option<Timestamp>>(4)?.is_some() || row.get::<i64>(5)? != row.get::<i64>(6)? {
                Some("session-revoked")
            } else if row.get::<String>(7)? != "active" {
                Some("account-disabled")
            } else {
                None
            };
        let facts = Arc::new(Facts {
            ended,
            kind: SessionKind::parse(&row.get::<String>(0)?).ok_or_else(damaged)?,
            authenticated_at: row.get(1)?,
            last_seen_ms: AtomicI64::new(row.get(2)?),
            expires_at: row.get(3)?,
            role: row.get::<String>(8)?.parse().map_err(|_| damaged())?,
            tier: row.get::<String>(9)?.parse().map_err(|_| damaged())?,
            username: row.get::<String>(10)?.parse().map_err(|_| damaged())?,
            aal: Aal::of(row.get(11)?),
            second_factor_at: row.get(12)?,
            has_second_factor: row.get(13)?,
            risk: u8::try_from(row.get::<i64>(14)?).map_err(|_| damaged())?,
            locked: row.get(15)?,
        });
        self.remembered.keep_facts(session, stamp, &facts);
        Ok(facts)
    }

    fn is_idle(&self, facts: &Facts, now: Timestamp) -> bool {
        let limit = self.idle_ms(facts.kind);
        now.as_millis().saturating_sub(facts.last_seen_ms.load(Ordering::Relaxed)) >= limit
    }

    pub(crate) const fn idle_ms(&self, kind: SessionKind) -> i64 {
        match kind {
            SessionKind::Browser => self.settings.browser_idle_ms,
            SessionKind::Token => self.settings.token_idle_ms,
        }
    }

    /// Writes the time of use behind the request, once per interval.
    fn note_use(
        &self,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
        facts: &Facts,
        now: Timestamp,
    ) {
        let seen = facts.last_seen_ms.load(Ordering::Relaxed);
        let due = now.as_millis().saturating_sub(seen) >= self.settings.touch_interval_ms;
        // Of many requests at once exactly one wins the exchange and writes.
        let won = due
            && facts
                .last_seen_ms
                .compare_exchange(seen, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if won {
            self.background.touch(Touch { account, session, at: now });
        }
    }
}
