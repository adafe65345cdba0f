//! Second factors (AUTH-7): several of each, named, removable, never the last one without a warning.
//!
//! The table `factor` lists them all; what a kind needs lies with it. A code is checked in one place, whoever asks (a
//! sign-in, a re-authentication), so that nothing can skip the counters.

mod recovery;
mod stopped;
mod totp;

use audit::Event;
use base::{FieldError, Id, Secret, Timestamp, kind};
use store::{Change, Tx, params};

use crate::attempt::Authenticator;
use crate::mail::Letter;
use crate::service::Inner;
use crate::{AccountCaller, Error, Identity, RequestMeta};

pub(crate) use stopped::PASSWORD;
pub(crate) use totp::SETUP_TTL_MS;
pub use totp::TotpSetup;

/// Characters of a factor's name.
const MAX_NAME: usize = 100;

store::sql! {
    LIST = "SELECT factor_id, kind, name_sealed, created_at, last_used_at, demanded FROM factor \
        WHERE account_id = $1 AND confirmed_at IS NOT NULL ORDER BY created_at, factor_id LIMIT 100";
    /// Where one is demanded, each of them will do.
    KINDS = "SELECT DISTINCT kind FROM factor WHERE account_id = $1 AND confirmed_at IS NOT NULL AND EXISTS \
        (SELECT 1 FROM factor f WHERE f.account_id = $1 AND f.confirmed_at IS NOT NULL AND f.demanded) ORDER BY kind";
    COUNT = "SELECT count(*) FROM factor WHERE account_id = $1 AND confirmed_at IS NOT NULL";
    /// Those because of which a second factor is asked for.
    DEMANDED = "SELECT count(*) FROM factor WHERE account_id = $1 AND confirmed_at IS NOT NULL AND demanded";
    NAME = "UPDATE factor SET name_sealed = $3 WHERE factor_id = $1 AND account_id = $2 AND confirmed_at IS NOT NULL";
    REMOVE = "DELETE FROM factor WHERE factor_id = $1 AND account_id = $2 AND confirmed_at IS NOT NULL \
        RETURNING kind, demanded";
    PASSWORD_SHORT = "SELECT password_short FROM account WHERE account_id = $1";
    /// Changes of one account's factors come one after the other: two removals at once must not both be the last but one.
    pub(crate) LOCK =
        sqlite "SELECT account_id FROM account WHERE account_id = $1",
        postgres "SELECT account_id FROM account WHERE account_id = $1 FOR UPDATE";
}

/// A kind of second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FactorKind {
    /// An app that shows codes (RFC 6238).
    Totp,
    /// A passkey.
    Passkey,
    /// One of the codes on paper.
    RecoveryCode,
}

impl FactorKind {
    /// In the database, in events and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Passkey => "passkey",
            Self::RecoveryCode => "recovery_code",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Totp, Self::Passkey, Self::RecoveryCode].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One second factor, for its owner.
#[derive(Debug, Clone)]
pub struct FactorView {
    /// The factor.
    pub id: Id<kind::Factor>,
    /// App or passkey.
    pub kind: FactorKind,
    /// What the person calls it.
    pub name: Option<String>,
    /// Set up at.
    pub created_at: Timestamp,
    /// Last right use.
    pub last_used_at: Option<Timestamp>,
    /// A sign-in asks for a second factor because of it. `false` for a passkey that the browser made by itself.
    pub demanded: bool,
}

/// Second factors of an account.
#[derive(Debug, Clone)]
pub struct Factors {
    /// The confirmed ones, oldest first.
    pub factors: Vec<FactorView>,
    /// Recovery codes that are left.
    pub recovery_codes: u32,
}

/// A second factor that was right, within the transaction that proved it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) kind: FactorKind,
    /// It came to the account's address.
    pub(crate) by_mail: bool,
}

impl Identity {
    /// The caller's second factors.
    ///
    /// # Errors
    /// Failures of store and keys.
    pub async fn factors(&self, caller: &AccountCaller) -> Result<Factors, Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin_read(caller.scope()).await?;
        let rows = tx.query(LIST, params![caller.account]).await?;
        let mut factors = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: Id<kind::Factor> = row.get(0)?;
            let name = match row.get::<Option<Vec<u8>>>(2)? {
                None => None,
                Some(sealed) => Some(
                    inner
                        .open_text(&mut tx, caller.account, ("factor", "name", *id.as_bytes()), &sealed)
                        .await?,
                ),
            };
            factors.push(FactorView {
                id,
                kind: FactorKind::parse(&row.get::<String>(1)?)
                    .ok_or_else(|| Error::internal("a factor's row holds an unknown word"))?,
                name,
                created_at: row.get(3)?,
                last_used_at: row.get(4)?,
                demanded: row.get(5)?,
            });
        }
        let recovery_codes = inner.codes_left(&mut tx, caller.account).await?;
        Ok(Factors { factors, recovery_codes })
    }

    /// Names one of the caller's factors; `None` takes the name away.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::ReauthenticationRequired`].
    pub async fn name_factor(
        &self,
        caller: &AccountCaller,
        factor: Id<kind::Factor>,
        name: Option<&str>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let name = checked_name(name)?;
        let mut tx = inner.db.begin(caller.scope()).await?;
        inner.must_be_fresh(&mut tx, caller).await?;
        let sealed = inner.seal_factor_name(&mut tx, caller.account, factor, name).await?;
        if tx.execute(NAME, params![factor, caller.account, sealed]).await? == 0 {
            return Err(Error::NotFound);
        }
        let event = Event::AccountProfileChanged { fields: &["factor-name"] };
        inner.audit.append(&mut tx, &inner.record(meta, event).by_account(caller.account)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes one of the caller's factors away. The last one goes only if `even_last` says that this is meant, and only
    /// if the password is long enough to stand alone; the recovery codes go with it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::LastFactor`], [`Error::PasswordTooShortAlone`],
    /// [`Error::ReauthenticationRequired`].
    pub async fn remove_factor(
        &self,
        caller: &AccountCaller,
        factor: Id<kind::Factor>,
        even_last: bool,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin(caller.scope()).await?;
        inner.must_be_fresh(&mut tx, caller).await?;
        tx.query(LOCK, params![caller.account]).await?;
        let row = tx.query_opt(REMOVE, params![factor, caller.account]).await?.ok_or(Error::NotFound)?;
        let kind = FactorKind::parse(&row.get::<String>(0)?)
            .ok_or_else(|| Error::internal("a factor's row holds an unknown word"))?;
        // One that nobody depends on goes without ado.
        if row.get::<bool>(1)? && !inner.has_factor(&mut tx, caller.account).await? {
            if tx.query_one(PASSWORD_SHORT, params![caller.account]).await?.get::<bool>(0)? {
                return Err(Error::PasswordTooShortAlone(inner.settings.password_policy.min_alone));
            }
            if !even_last {
                return Err(Error::LastFactor);
            }
            inner.drop_codes(&mut tx, caller.account).await?;
        }
        let event = Event::MfaRemoved { factor: kind.as_str(), reason: "owner" };
        inner.audit.append(&mut tx, &inner.record(meta, event).by_account(caller.account)).await?;
        inner
            .tell(&mut tx, caller, |username, at, security| Letter::FactorRemoved {
                username,
                at,
                security,
                kind,
            })
            .await?;
        tx.announce(Change::Account(caller.account));
        inner.commit_change(tx, Change::Account(caller.account)).await
    }
}

impl Inner {
    /// The kinds of second factors that an account can be asked for; empty if it has none.
    pub(crate) async fn factor_kinds(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
    ) -> Result<Vec<FactorKind>, Error> {
        let mut kinds = Vec::new();
        for row in tx.query(KINDS, params![account]).await? {
            kinds.extend(FactorKind::parse(&row.get::<String>(0)?));
        }
        if !kinds.is_empty() && self.codes_left(tx, account).await? > 0 {
            kinds.push(FactorKind::RecoveryCode);
        }
        Ok(kinds)
    }

    /// Refuses a factor beyond the account's limit.
    pub(crate) async fn may_have_another_factor(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
    ) -> Result<(), Error> {
        if tx.query_one(COUNT, params![account]).await?.get::<i64>(0)? >= self.settings.factors_per_account {
            return Err(Error::Conflict(
                "The account has as many second factors as it may have; remove one first.",
            ));
        }
        Ok(())
    }

    /// Whether the account has a second factor that is asked for.
    pub(crate) async fn has_factor(&self, tx: &mut Tx, account: Id<kind::Account>) -> Result<bool, Error> {
        Ok(tx.query_one(DEMANDED, params![account]).await?.get::<i64>(0)? > 0)
    }

    /// Checks a code: six digits are a TOTP code, anything else a recovery code. Counts it either way; the transaction
    /// must be committed even if the code is wrong, and dropped if this fails otherwise. `Ok(None)` is a wrong code.
    /// The transaction is the program's own, because counters belong to nobody. A code that came by mail is right only
    /// beside a first factor (`method`) that the mailbox is not.
    pub(crate) async fn check_code(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        method: &str,
        code: &Secret<String>,
        meta: &RequestMeta,
    ) -> Result<Option<Shown>, Error> {
        if recovery::is_mailed(code.expose()) {
            // Not counted: its 100 bits need no counter, and nobody shall be able to use its tries up.
            let right = self.mail_is_another_factor(tx, account, method).await?
                && self.accept_recovery_code(tx, account, code.expose(), meta).await?;
            if !right {
                self.note_wrong_code(tx, account, FactorKind::RecoveryCode, meta).await?;
            }
            return Ok(right.then_some(Shown { kind: FactorKind::RecoveryCode, by_mail: true }));
        }
        let totp = totp::read(code.expose());
        let (authenticator, kind) = match totp {
            Some(_) => (Authenticator::Totp, FactorKind::Totp),
            None => (Authenticator::RecoveryCode, FactorKind::RecoveryCode),
        };
        let known = self.known_device(tx, Some(account), meta).await?;
        let guess = self.guess(authenticator, account.as_bytes(), known, meta);
        if self.is_stopped(tx, &guess).await? {
            return Err(Error::CodesStopped);
        }
        self.may_try(tx, &guess).await?;
        let right = match &totp {
            Some(digits) => self.accept_totp(tx, account, digits).await?,
            None => self.accept_recovery_code(tx, account, code.expose(), meta).await?,
        };
        if right {
            self.count_success(tx, &guess).await?;
            return Ok(Some(Shown { kind, by_mail: false }));
        }
        self.count_failure(tx, &guess, Some(account), meta).await?;
        self.note_wrong_code(tx, account, kind, meta).await?;
        Ok(None)
    }

    pub(crate) async fn seal_factor_name(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        factor: Id<kind::Factor>,
        name: Option<&str>,
    ) -> Result<Option<Vec<u8>>, Error> {
        match name {
            None => Ok(None),
            Some(name) => Ok(Some(
                self.seal(tx, account, ("factor", "name", *factor.as_bytes()), name.as_bytes()).await?,
            )),
        }
    }
}

/// A name as typed, trimmed; at most 100 characters without control characters.
pub(crate) fn checked_name(name: Option<&str>) -> Result<Option<&str>, Error> {
    let name = name.map(str::trim).filter(|name| !name.is_empty());
    if name.is_some_and(|name| name.chars().count() > MAX_NAME || name.chars().any(char::is_control)) {
        let detail = "must be at most 100 characters without control characters".to_owned();
        return Err(Error::Invalid(vec![FieldError { pointer: "/name".to_owned(), detail }]));
    }
    Ok(name)
}
