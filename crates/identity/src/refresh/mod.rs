//! Refresh tokens: opaque, rotated at each use, a second use within 10 s gives the same successor (AUTH-5).
//!
//! Two tabs, or a reply that got lost, make an honest client use one token twice; a naïve rotation would sign it out.
//! So the successor is not random but derived: HMAC of the old token under an epoch key. Whoever holds the old token
//! gets the same successor again within the grace time, and nothing but hashes is stored. A later use means that two
//! parties hold the token: the family (the session) ends for both.
//!
//! A family is one row that every refresh changes in place (decision 15): a token names its session and its place in the
//! family, and a tag in it tells an old token from one that was made up.

mod family;
mod token;

use audit::{Event, Outcome};
use base::{Id, Scope, Secret, Timestamp, kind};
use keys::{EpochKey, Purpose};
use store::{Change, Tx, params};

use crate::account::Account;
use crate::error::retry_races;
use crate::mail::Letter;
use crate::service::Inner;
use crate::{Error, Identity, RequestMeta, TokenPair, secret_text};
use family::{Family, Successor, Use as Past};
use token::Presented;

store::sql! {
    /// A token of the form before.
    EARLIER = "SELECT session_id, used_at, successor_epoch FROM refresh_token WHERE token_hash = $1";
    SEEN = "UPDATE session SET last_seen_at = $3 WHERE session_id = $1 AND account_id = $2 AND last_seen_at < $3";
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

/// A token as it was presented.
struct Shown<'a> {
    presented: &'a Presented,
    text: &'a str,
    hash: [u8; 32],
    session: Id<kind::Session>,
    /// Its use before the update, if it is of the earlier form.
    before: Option<Past>,
}

/// What a token is good for.
enum Verdict {
    /// It is the unused one; this takes its place.
    Rotate(Past, Secret<String>),
    /// It was used just now and gave this.
    Repeat(Past, Secret<String>),
    /// Nothing, and no alarm.
    Refuse,
    /// Nothing: it was never issued, so it tells nothing of the session that it names.
    MadeUp,
    /// It was used, and not within the time of grace.
    Alarm,
}

impl Identity {
    /// The next pair for a refresh token.
    ///
    /// # Errors
    /// [`Error::InvalidRefreshToken`]; [`Error::RefreshTokenReused`] if this ended the session; failures of the store.
    pub async fn refresh(&self, token: &str, meta: &RequestMeta) -> Result<TokenPair, Error> {
        let inner = &*self.0;
        let outcome = match Presented::parse(token) {
            Some(presented) => retry_races!(inner.use_token(&presented, token, meta))?,
            None => Use::Invalid(None),
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
    /// Makes and stores the first token of a session, and says when it ends unused: after the set time, at the latest with
    /// its session.
    pub(crate) async fn first_refresh(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
        session_end: Timestamp,
    ) -> Result<(Secret<String>, Timestamp), Error> {
        let token = token::first(&self.keys.epoch(Purpose::Refresh), session, &self.entropy);
        let expires_at = self.refresh_end(self.now(), session_end);
        Family::found(tx, session, account, secret_text::hash(token.expose()), expires_at).await?;
        Ok((token, expires_at))
    }

    fn refresh_end(&self, issued_at: Timestamp, session_end: Timestamp) -> Timestamp {
        issued_at.plus_ms(self.settings.refresh_ttl_ms).min(session_end)
    }

    async fn use_token(&self, presented: &Presented, token: &str, meta: &RequestMeta) -> Result<Use, Error> {
        let hash = secret_text::hash(token);
        let mut tx = self.db.begin(Scope::System("refresh")).await?;
        // On SQLite uses wait for each other in `begin`: each has the time at which it was its turn.
        let (now, grace_ms) = (self.now(), self.settings.refresh_grace_ms);
        let (session, before) = match presented {
            Presented::Named(named) => (named.session, None),
            Presented::Earlier => match tx.query_opt(EARLIER, params![hash]).await? {
                Some(row) => {
                    let used = row.get::<Option<Timestamp>>(1)?.zip(row.get::<Option<u32>>(2)?);
                    (row.get(0)?, used.map(|(at, epoch)| Past { at, epoch }))
                }
                None => return Ok(Use::Invalid(None)),
            },
        };
        let shown = Shown { presented, text: token, hash, session, before };
        // Who finds that somebody else was faster finds on the second look what that one left.
        for _ in 0..2 {
            let Some(family) = Family::load(&mut tx, session).await? else { return Ok(Use::Invalid(None)) };
            let account = family.account;
            let (used, successor, rotates) = match self.verdict(&family, &shown, now)? {
                Verdict::MadeUp => return Ok(Use::Invalid(None)),
                // What is over needs no alarm.
                _ if !self.is_live(&family, now) => return Ok(Use::Invalid(Some(account))),
                Verdict::Rotate(used, successor) => (used, successor, true),
                Verdict::Repeat(used, successor) => (used, successor, false),
                Verdict::Refuse => return Ok(Use::Invalid(Some(account))),
                Verdict::Alarm => return self.end_family(tx, account, session, now, meta).await,
            };
            let expires_at = self.refresh_end(used.at, family.session_end);
            if rotates {
                let (hash, rotation) = (secret_text::hash(successor.expose()), presented.rotation() + 1);
                let next = Successor { hash, rotation, expires_at };
                if !family.rotate(&mut tx, session, used, &next, grace_ms).await? {
                    continue;
                }
                self.note_seen(&mut tx, session, &family, now).await?;
            }
            let event = Event::SessionRefreshed { session };
            self.audit.append(&mut tx, &self.record(meta, event).by_account(account)).await?;
            // On SQLite a second user also waits here until the first one's change is durable, on which this answer builds.
            tx.commit().await?;
            // Signed only now: on SQLite everybody else who writes waits for the transaction. If it fails, the old token
            // gives the same successor again.
            return Ok(Use::Next(self.pair(session, &family, successor, expires_at)?));
        }
        Err(Error::internal("a refresh token is neither unused nor used"))
    }

    /// What a token is good for, whether or not its session is still alive.
    fn verdict(&self, family: &Family, shown: &Shown<'_>, now: Timestamp) -> Result<Verdict, Error> {
        let Shown { presented, text, hash, session, before } = shown;
        let grace_ms = self.settings.refresh_grace_ms;
        let next = |epoch: &EpochKey| token::successor(epoch, *session, presented.rotation() + 1, text);
        if family.is_unused(hash) {
            if family.expires_at <= now {
                return Ok(Verdict::Refuse);
            }
            let epoch = self.keys.epoch(Purpose::Refresh);
            return Ok(Verdict::Rotate(Past { at: now, epoch: epoch.number }, next(&epoch)));
        }
        match (presented, before) {
            (Presented::Named(named), _) if !named.is_genuine(&self.keys) => return Ok(Verdict::MadeUp),
            // It was used right before the update; the client does not know yet what came of it.
            (Presented::Earlier, Some(used)) if used.is_recent(now, grace_ms) => {
                let next = token::earlier_successor(&self.refresh_epoch(used.epoch)?, text);
                return Ok(Verdict::Repeat(*used, next));
            }
            (Presented::Earlier, Some(_)) => return Ok(Verdict::Alarm),
            _ => {}
        }
        let rotation = presented.rotation();
        Ok(match family.use_of(rotation, now, grace_ms) {
            Some(used) => Verdict::Repeat(used, next(&self.refresh_epoch(used.epoch)?)),
            // Not before anything that this database knows: an older copy of it was restored.
            None if rotation >= family.rotation => Verdict::Refuse,
            None => Verdict::Alarm,
        })
    }

    fn refresh_epoch(&self, number: u32) -> Result<EpochKey, Error> {
        self.keys
            .epoch_number(Purpose::Refresh, number)
            .ok_or_else(|| Error::internal("the epoch key of a refresh token is gone"))
    }

    fn is_live(&self, family: &Family, now: Timestamp) -> bool {
        family.in_force
            && family.session_end > now
            && now.since_ms(family.last_seen_at) < self.settings.token_idle_ms
    }

    /// Much more often than sessions become idle, and not at each use.
    async fn note_seen(
        &self,
        tx: &mut Tx,
        session: Id<kind::Session>,
        family: &Family,
        now: Timestamp,
    ) -> Result<(), Error> {
        let often = self.settings.touch_interval_ms.min(self.settings.token_idle_ms / 8);
        if now.since_ms(family.last_seen_at) >= often {
            tx.execute(SEEN, params![session, family.account, now]).await?;
        }
        Ok(())
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

    fn pair(
        &self,
        session: Id<kind::Session>,
        family: &Family,
        refresh_token: Secret<String>,
        refresh_end: Timestamp,
    ) -> Result<TokenPair, Error> {
        let (access_token, expires_in_s) =
            self.access_token(family.account, session, family.audience.as_deref(), family.session_end)?;
        Ok(TokenPair {
            access_token,
            expires_in_s,
            refresh_token,
            refresh_expires_in_s: self.seconds_until(refresh_end),
            session,
            account: family.account,
            device: None,
        })
    }
}
