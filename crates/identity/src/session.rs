//! Sessions: made at sign-in, listed, named and ended by their owner (AUTH-6).

use audit::Event;
use base::{Actor, Id, Secret, Timestamp, kind};
use store::{Change, Row, Tx, params};

use crate::account::Account;
use crate::service::Inner;
use crate::{Aal, AccountCaller, Error, Identity, RequestMeta, SessionKind, SessionView, secret_text};

/// Characters of a session's name.
const MAX_NAME: usize = 100;

store::sql! {
    INSERT = "INSERT INTO session (session_id, account_id, kind, epoch, audience, cookie_hash, created_at, \
        authenticated_at, last_seen_at, expires_at, name_sealed, agent_sealed, address_sealed, place_sealed, aal, \
        second_factor_at, first_factor, risk) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
    SURPLUS = "SELECT session_id FROM session WHERE account_id = $1 AND revoked_at IS NULL \
        ORDER BY last_seen_at DESC, session_id DESC LIMIT 100 OFFSET $2";
    /// Ends one session; the row tells whether it was alive.
    END = "UPDATE session SET revoked_at = $3 WHERE session_id = $1 AND account_id = $2 AND revoked_at IS NULL \
        RETURNING session_id";
    END_OTHERS = "UPDATE session SET revoked_at = $3 WHERE account_id = $1 AND session_id <> $2 \
        AND revoked_at IS NULL RETURNING session_id";
    END_ALL = "UPDATE session SET revoked_at = $2 WHERE account_id = $1 AND revoked_at IS NULL RETURNING session_id";
    LIVE = "SELECT s.session_id, s.kind, s.created_at, s.last_seen_at, s.expires_at, s.name_sealed, s.agent_sealed, \
        s.address_sealed, s.place_sealed, s.aal FROM session s JOIN account a ON a.account_id = s.account_id \
        WHERE s.account_id = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 AND s.epoch = a.epoch \
        ORDER BY s.created_at DESC, s.session_id DESC LIMIT 200";
    NAME = "UPDATE session SET name_sealed = $3 WHERE session_id = $1 AND account_id = $2 AND revoked_at IS NULL";
}

/// A new session.
pub(crate) struct NewSession<'a> {
    pub(crate) account: &'a Account,
    pub(crate) kind: SessionKind,
    pub(crate) audience: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) cookie: Option<&'a Secret<String>>,
    /// At level 2 the second factor has just been given.
    pub(crate) aal: Aal,
    /// `password`, `passkey` or `provider`.
    pub(crate) first_factor: &'a str,
    /// How suspicious the sign-in looked, from 0 to 100.
    pub(crate) risk: u8,
}

impl Inner {
    /// Makes a session of the account's epoch **as it was when the password was compared**: if it was changed
    /// meanwhile, the session is over before it begins.
    pub(crate) async fn insert_session(
        &self,
        tx: &mut Tx,
        new: &NewSession<'_>,
        meta: &RequestMeta,
    ) -> Result<(Id<kind::Session>, Timestamp), Error> {
        let account = new.account.id;
        let id: Id<kind::Session> = Id::new(&self.clock, &self.entropy);
        let now = self.now();
        for row in
            tx.query(SURPLUS, params![account, self.settings.sessions_per_account.saturating_sub(1)]).await?
        {
            let surplus: Id<kind::Session> = row.get(0)?;
            tx.execute(END, params![surplus, account, now]).await?;
            tx.announce(Change::Session(surplus));
        }
        let expires_at = now.plus_ms(match new.kind {
            SessionKind::Browser => self.settings.browser_absolute_ms,
            SessionKind::Token => self.settings.token_absolute_ms,
        });
        let name = new.name.and_then(clean_name);
        let address = meta.address.map(|address| address.to_string());
        let name = self.seal_part(tx, account, id, "name", name.as_deref()).await?;
        let agent = self.seal_part(tx, account, id, "agent", meta.agent.as_deref()).await?;
        let address = self.seal_part(tx, account, id, "address", address.as_deref()).await?;
        let place = self.country(meta);
        let place = self.seal_part(tx, account, id, "place", place.as_deref()).await?;
        let second_factor_at = (new.aal == Aal::Two).then_some(now);
        let cookie_hash = new.cookie.map(|cookie| secret_text::hash(cookie.expose()));
        tx.execute(
            INSERT,
            params![
                id,
                account,
                new.kind.as_str(),
                new.account.epoch,
                new.audience,
                cookie_hash,
                now,
                expires_at,
                name,
                agent,
                address,
                place,
                i64::from(new.aal.level()),
                second_factor_at,
                new.first_factor,
                i64::from(new.risk)
            ],
        )
        .await?;
        Ok((id, expires_at))
    }

    /// The country that the address seems to lie in.
    fn country(&self, meta: &RequestMeta) -> Option<String> {
        let place = self.settings.risk.locator.locate(meta.address?).place?;
        std::str::from_utf8(&place.country).ok().map(str::to_owned)
    }

    async fn seal_part(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
        column: &str,
        text: Option<&str>,
    ) -> Result<Option<Vec<u8>>, Error> {
        match text {
            None => Ok(None),
            Some(text) => Ok(Some(
                self.seal(tx, account, ("session", column, *session.as_bytes()), text.as_bytes()).await?,
            )),
        }
    }

    async fn open_part(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
        column: &str,
        sealed: Option<Vec<u8>>,
    ) -> Result<Option<String>, Error> {
        match sealed {
            None => Ok(None),
            Some(sealed) => Ok(Some(
                self.open_text(tx, account, ("session", column, *session.as_bytes()), &sealed).await?,
            )),
        }
    }

    /// Ends a session of the account in the transaction; `false` if it was not alive.
    pub(crate) async fn end_session(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        session: Id<kind::Session>,
    ) -> Result<bool, Error> {
        let ended = tx.query_opt(END, params![session, account, self.now()]).await?.is_some();
        tx.announce(Change::Session(session));
        Ok(ended)
    }

    /// Ends all sessions of the account in the transaction, or all but one.
    pub(crate) async fn end_sessions(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        but: Option<Id<kind::Session>>,
    ) -> Result<u64, Error> {
        let now = self.now();
        let ended = match but {
            None => tx.query(END_ALL, params![account, now]).await?,
            Some(but) => tx.query(END_OTHERS, params![account, but, now]).await?,
        };
        tx.announce(Change::Account(account));
        Ok(ended.len() as u64)
    }

    /// Commits, and lets this node know before the operation answers.
    pub(crate) async fn commit_change(&self, tx: Tx, change: Change) -> Result<(), Error> {
        let result = tx.commit().await;
        // Even if the outcome is unknown: forgetting costs one read, remembering too long costs trust.
        self.remembered.forget(change);
        Ok(result?)
    }
}

impl Identity {
    /// Ends the caller's session. Done already is fine.
    ///
    /// # Errors
    /// Failures of the store.
    pub async fn sign_out(&self, caller: &AccountCaller, meta: &RequestMeta) -> Result<(), Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin(caller.scope()).await?;
        if inner.end_session(&mut tx, caller.account, caller.session).await? {
            let event = Event::SignedOut { session: caller.session };
            inner.audit.append(&mut tx, &inner.record(meta, event).by_account(caller.account)).await?;
        }
        inner.commit_change(tx, Change::Session(caller.session)).await
    }

    /// The caller's live sessions, newest first.
    ///
    /// # Errors
    /// Failures of store and keys.
    pub async fn sessions(&self, caller: &AccountCaller) -> Result<Vec<SessionView>, Error> {
        let inner = &*self.0;
        let now = inner.now();
        let mut tx = inner.db.begin_read(caller.scope()).await?;
        let rows = tx.query(LIVE, params![caller.account, now]).await?;
        let mut views = Vec::with_capacity(rows.len());
        for row in &rows {
            let view = inner.session_view(&mut tx, caller, row).await?;
            if now.since_ms(view.last_seen_at) < inner.idle_ms(view.kind) {
                views.push(view);
            }
        }
        Ok(views)
    }

    /// Names one of the caller's sessions; `None` takes the name away.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for more than 100 characters or control characters.
    pub async fn name_session(
        &self,
        caller: &AccountCaller,
        session: Id<kind::Session>,
        name: Option<&str>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        if name.is_some_and(|name| name.chars().count() > MAX_NAME || name.chars().any(char::is_control)) {
            let detail = "must be at most 100 characters without control characters".to_owned();
            return Err(Error::Invalid(vec![base::FieldError { pointer: "/name".to_owned(), detail }]));
        }
        let mut tx = inner.db.begin(caller.scope()).await?;
        let sealed = inner.seal_part(&mut tx, caller.account, session, "name", name).await?;
        if tx.execute(NAME, params![session, caller.account, sealed]).await? == 0 {
            return Err(Error::NotFound);
        }
        let event = Event::AccountProfileChanged { fields: &["session-name"] };
        inner.audit.append(&mut tx, &inner.record(meta, event).by_account(caller.account)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends one of the caller's sessions.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the caller has no such live session; failures of the store.
    pub async fn revoke_session(
        &self,
        caller: &AccountCaller,
        session: Id<kind::Session>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin(caller.scope()).await?;
        if !inner.end_session(&mut tx, caller.account, session).await? {
            return Err(Error::NotFound);
        }
        let event = Event::SessionRevoked { session: Some(session), reason: "owner" };
        inner.audit.append(&mut tx, &inner.record(meta, event).by_account(caller.account)).await?;
        inner.commit_change(tx, Change::Session(session)).await
    }

    /// Ends all of the caller's sessions but the one that asks; gives how many.
    ///
    /// # Errors
    /// Failures of the store.
    pub async fn revoke_other_sessions(
        &self,
        caller: &AccountCaller,
        meta: &RequestMeta,
    ) -> Result<u64, Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin(caller.scope()).await?;
        let ended = inner.end_sessions(&mut tx, caller.account, Some(caller.session)).await?;
        let event = Event::SessionRevoked { session: None, reason: "owner-others" };
        let record = inner.record(meta, event).by(Actor::Account(caller.account)).about(caller.account);
        inner.audit.append(&mut tx, &record).await?;
        inner.commit_change(tx, Change::Account(caller.account)).await?;
        Ok(ended)
    }
}

impl Inner {
    async fn session_view(
        &self,
        tx: &mut Tx,
        caller: &AccountCaller,
        row: &Row,
    ) -> Result<SessionView, Error> {
        let id: Id<kind::Session> = row.get(0)?;
        let account = caller.account;
        Ok(SessionView {
            id,
            kind: SessionKind::parse(&row.get::<String>(1)?)
                .ok_or_else(|| Error::internal("a session's row holds an unknown word"))?,
            created_at: row.get(2)?,
            last_seen_at: row.get(3)?,
            expires_at: row.get(4)?,
            name: self.open_part(tx, account, id, "name", row.get(5)?).await?,
            agent: self.open_part(tx, account, id, "agent", row.get(6)?).await?,
            address: self.open_part(tx, account, id, "address", row.get(7)?).await?,
            place: self.open_part(tx, account, id, "place", row.get(8)?).await?,
            aal: Aal::of(row.get(9)?),
            current: id == caller.session,
        })
    }
}

/// A name that a client gives at sign-in is shortened instead of refused: nobody should fail to sign in for it.
fn clean_name(name: &str) -> Option<String> {
    let clean: String = name.trim().chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    (!clean.is_empty()).then_some(clean)
}
