//! Mails about sign-ins, and what the owner answers.
//!
//! Every mail has one link to a page that changes nothing by being opened: mail scanners open links. The page has a
//! button; only its POST counts.

use audit::{Event, Outcome as Ended};
use base::{Id, Scope, Secret, Timestamp, kind};
use store::{Change, Row, Tx, params};
use threat::login::Sighting;

use super::Judged;
use crate::account::Account;
use crate::code::CodePurpose;
use crate::mail::{Facts, Letter};
use crate::service::Inner;
use crate::{Error, Identity, RequestMeta, secret_text};

store::sql! {
    INSERT = "INSERT INTO sign_in_notice (code_hash, account_id, purpose, whence, about_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6)";
    PEEK = "SELECT account_id, purpose, about_at FROM sign_in_notice \
        WHERE code_hash = $1 AND answer IS NULL AND expires_at > $2";
    /// The first answer counts.
    ANSWER = "UPDATE sign_in_notice SET answer = $2 WHERE code_hash = $1 AND answer IS NULL AND expires_at > $3 \
        RETURNING account_id, purpose, about_at";
    /// Uses a confirmation up; only by whoever asked for it.
    CONSUME = "UPDATE sign_in_notice SET used_at = $3 WHERE account_id = $1 AND purpose = 'confirm' AND whence = $2 \
        AND answer = 'mine' AND used_at IS NULL AND expires_at > $3 RETURNING about_at";
    /// Whoever knows the password is locked out until it is new.
    DISTRUST = "UPDATE account SET compromised = TRUE, epoch = epoch + 1, updated_at = $2 WHERE account_id = $1";
}

/// What a link of a mail about a sign-in is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeView {
    /// Somebody waits to be let in. Otherwise somebody came in already.
    pub waiting: bool,
    /// When it was.
    pub at: Timestamp,
}

/// What became of an answer.
#[derive(Debug)]
pub enum Answer {
    /// The sign-in was confirmed: it may be tried again.
    Confirmed,
    /// It was somebody else: all sessions ended, the password counts no more. With this code a new one can be set at
    /// once; whoever holds the link holds the mailbox.
    Disowned {
        /// For [`Identity::reset_password`].
        reset_code: Secret<String>,
    },
    /// Nothing was to be done.
    Noted,
}

impl NoticeView {
    fn of(row: &Row) -> Result<(Id<kind::Account>, Self), Error> {
        Ok((row.get(0)?, Self { waiting: row.get::<String>(1)? == "confirm", at: row.get(2)? }))
    }
}

impl Identity {
    /// What the link is for, without answering it.
    ///
    /// # Errors
    /// [`Error::InvalidCode`] if it is unknown, answered or too old; failures of the store.
    pub async fn sign_in_notice(&self, code: &str) -> Result<NoticeView, Error> {
        let inner = &*self.0;
        if !secret_text::is_plausible(code, "") {
            return Err(Error::InvalidCode);
        }
        let mut tx = inner.db.begin_read(Scope::System("sign-in notice")).await?;
        let row = tx.query_opt(PEEK, params![secret_text::hash(code), inner.now()]).await?;
        Ok(NoticeView::of(&row.ok_or(Error::InvalidCode)?)?.1)
    }

    /// Answers the link of a mail: it was the owner (`mine`), or it was not.
    ///
    /// # Errors
    /// [`Error::InvalidCode`] if it is unknown, answered or too old; failures of store and keys.
    pub async fn answer_sign_in(&self, code: &str, mine: bool, meta: &RequestMeta) -> Result<Answer, Error> {
        let result = self.0.answer_sign_in(code, mine, meta).await;
        self.0.note_bad_code(&result, "bad-sign-in-code", meta).await?;
        result
    }
}

impl Inner {
    async fn answer_sign_in(&self, code: &str, mine: bool, meta: &RequestMeta) -> Result<Answer, Error> {
        if !secret_text::is_plausible(code, "") {
            return Err(Error::InvalidCode);
        }
        let answer = if mine { "mine" } else { "not-mine" };
        let mut tx = self.db.begin(Scope::System("sign-in notice")).await?;
        let row = tx.query_opt(ANSWER, params![secret_text::hash(code), answer, self.now()]).await?;
        let (account, notice) = NoticeView::of(&row.ok_or(Error::InvalidCode)?)?;
        if mine {
            tx.commit().await?;
            return Ok(if notice.waiting { Answer::Confirmed } else { Answer::Noted });
        }
        let now = self.now();
        tx.execute(DISTRUST, params![account, now]).await?;
        self.end_sessions(&mut tx, account, None).await?;
        // What was learned since then may be the stranger's.
        self.forget_since(&mut tx, account, notice.at).await?;
        self.forget_devices(&mut tx, account).await?;
        self.void_codes(&mut tx, CodePurpose::Reset, account).await?;
        let ttl = self.settings.reset_ttl_ms;
        let (reset_code, _) = self.issue_code(&mut tx, CodePurpose::Reset, Some(account), ttl).await?;
        let event = Event::SessionRevoked { session: None, reason: "not-the-owner" };
        self.audit.append(&mut tx, &self.record(meta, event).by_account(account)).await?;
        self.commit_change(tx, Change::Account(account)).await?;
        metrics::counter!("identity_sign_ins_disowned_total").increment(1);
        Ok(Answer::Disowned { reset_code })
    }

    /// Whether the owner confirmed a sign-in from there; uses the confirmation up.
    pub(super) async fn consume_confirmation(
        &self,
        account: Id<kind::Account>,
        sighting: &Sighting,
    ) -> Result<bool, Error> {
        let mut tx = self.db.begin(Scope::Account(account)).await?;
        let confirmed =
            tx.query_opt(CONSUME, params![account, self.whence(sighting), self.now()]).await?.is_some();
        if confirmed {
            tx.commit().await?;
        }
        Ok(confirmed)
    }

    /// Asks the owner by mail whether it is them.
    pub(super) async fn ask_owner(
        &self,
        account: &Account,
        judged: &Judged,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin(Scope::System("login risk")).await?;
        let event = |score, level, reasons| Event::RiskStepUpRequired { score, level, reasons };
        self.record_risk(&mut tx, account.id, judged, event, Ended::Denied, meta).await?;
        let email = account.email(self, &mut tx).await?;
        if self.within_mail_budget(&mut tx, self.email_index(&email), "confirm_sign_in").await? {
            let ttl = self.settings.risk.confirm_ttl_ms;
            let link = self.notice_link(&mut tx, account.id, "confirm", &judged.sighting, ttl).await?;
            let facts = self.sign_in_facts(judged, meta);
            let letter = Letter::ConfirmSignIn { username: &account.username, facts: &facts, link: &link };
            self.queue_mail(&mut tx, account, &email, &letter).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Tells the owner by mail that somebody came in, with a link that undoes it.
    pub(super) async fn tell_owner(
        &self,
        tx: &mut Tx,
        account: &Account,
        judged: &Judged,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let email = account.email(self, tx).await?;
        let ttl = self.settings.risk.disown_ttl_ms;
        let link = self.notice_link(tx, account.id, "tell", &judged.sighting, ttl).await?;
        let facts = self.sign_in_facts(judged, meta);
        let letter = Letter::NewSignIn { username: &account.username, facts: &facts, link: &link };
        self.queue_mail(tx, account, &email, &letter).await
    }

    async fn notice_link(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        purpose: &str,
        sighting: &Sighting,
        ttl_ms: i64,
    ) -> Result<Secret<String>, Error> {
        let code = secret_text::random(&self.entropy);
        let hash = secret_text::hash(code.expose());
        let (now, whence) = (self.now(), self.whence(sighting));
        tx.execute(INSERT, params![hash, account, purpose, whence, now, now.plus_ms(ttl_ms)]).await?;
        Ok(self.link("sign-in-notice", &code))
    }

    /// The network and kind of device that asked, as a keyed fingerprint. Not the address: behind a carrier's
    /// translation the next request has another one.
    fn whence(&self, sighting: &Sighting) -> [u8; 32] {
        self.keys.blind_index("sign_in_notice", "whence", &sighting.whence())
    }

    pub(super) fn sign_in_facts(&self, judged: &Judged, meta: &RequestMeta) -> Facts {
        let mut reasons = Vec::new();
        for reason in judged.assessment.against() {
            if !reasons.contains(&reason.code) {
                reasons.push(reason.code);
            }
        }
        Facts {
            at: judged.sighting.at,
            address: meta.address.map(|address| address.to_string()),
            country: judged.sighting.place.map(|place| String::from_utf8_lossy(&place.country).into_owned()),
            agent: meta.agent.as_deref().map(|agent| agent.chars().take(120).collect()),
            reasons,
        }
    }
}
