//! The account's row: reading it, making it, showing it.

use access::{Role, Tier};
use base::{Email, FullName, Id, Language, Timestamp, Username, kind};
use keys::Subject;
use store::{Row, Sql, Tx, Value, params};

use crate::service::Inner;
use crate::{AccountCaller, AccountStatus, AccountView, Error, Identity};

macro_rules! columns {
    () => {
        "SELECT account_id, username, email_sealed, full_name_sealed, password, pepper_epoch, role, tier, status, \
         compromised, epoch, created_at, verified_at, updated_at, locale"
    };
}

macro_rules! select_account {
    ($rest:literal) => {
        concat!(columns!(), " FROM account ", $rest)
    };
}

/// The account that is looked for, or the one with the id `$2`: a row is read in any case. The last column says whether it
/// is the one that was looked for.
macro_rules! select_either {
    ($whose:literal, $which:literal) => {
        concat!(
            columns!(),
            ", (",
            $whose,
            ") FROM account WHERE account_id = COALESCE((SELECT account_id FROM account WHERE ",
            $whose,
            " ",
            $which,
            "), $2)"
        )
    };
}

store::sql! {
    /// One account.
    pub(crate) BY_ID = select_account!("WHERE account_id = $1");
    /// The account that has this address.
    pub(crate) BY_EMAIL = select_account!("WHERE email_index = $1 AND status <> 'pending'");
    /// The account that has this name, or another.
    pub(crate) EITHER_BY_USERNAME = select_either!("username = $1 AND status <> 'pending'", "");
    /// The account that has this address, or another.
    pub(crate) EITHER_BY_EMAIL = select_either!("email_index = $1 AND status <> 'pending'", "");
    /// The newest attempt to get this name, or another account.
    pub(crate) EITHER_PENDING_BY_USERNAME = select_either!(
        "username = $1 AND status = 'pending'", "ORDER BY created_at DESC, account_id DESC LIMIT 1");
    /// The newest attempt with this address, or another account.
    pub(crate) EITHER_PENDING_BY_EMAIL = select_either!(
        "email_index = $1 AND status = 'pending'", "ORDER BY created_at DESC, account_id DESC LIMIT 1");
    /// The account that comes next in the order of blind indexes, which is nobody's order.
    STAND_IN = "SELECT account_id FROM account WHERE email_index >= $1 AND status <> 'pending' \
        ORDER BY email_index LIMIT 1";
    INSERT = "INSERT INTO account (account_id, username, email_sealed, email_index, full_name_sealed, password, \
        pepper_epoch, role, tier, status, compromised, epoch, created_at, verified_at, updated_at, locale, \
        attempt_network) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, FALSE, 1, $11, $12, $11, $13, $14)";
    SET_LOCALE = "UPDATE account SET locale = $2 WHERE account_id = $1";
}

/// Stands where an account has no password: no hash looks like it, and no password is compared with it.
pub(crate) const NO_PASSWORD: &str = "!";

/// Stands where the address of somebody was who was erased: nothing opens it, not even a key that is still remembered.
pub(crate) const NO_ADDRESS: [u8; 0] = [];

/// A row of `account`. Personal data is still sealed.
pub(crate) struct Account {
    pub(crate) id: Id<kind::Account>,
    pub(crate) username: Username,
    email_sealed: Vec<u8>,
    full_name_sealed: Option<Vec<u8>>,
    pub(crate) password: String,
    /// Which pepper the hash has; `None` for imported ones.
    pub(crate) pepper_epoch: Option<u32>,
    pub(crate) role: Role,
    pub(crate) tier: Tier,
    pub(crate) status: AccountStatus,
    pub(crate) compromised: bool,
    pub(crate) epoch: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) verified_at: Option<Timestamp>,
    pub(crate) updated_at: Timestamp,
    /// What its owner is written in.
    pub(crate) language: Language,
}

/// Who was found where somebody names an account.
pub(crate) enum Either {
    /// Whose it is.
    Wanted(Account),
    /// Nobody's; another account, with which the same is done as if it were theirs, and nothing is told.
    StandIn(Account),
    /// There are no accounts at all.
    Nobody,
}

impl Either {
    /// Whose it is, and else who stands in.
    pub(crate) fn split(self) -> (Option<Account>, Option<Account>) {
        match self {
            Self::Wanted(account) => (Some(account), None),
            Self::StandIn(account) => (None, Some(account)),
            Self::Nobody => (None, None),
        }
    }
}

/// A new account's row.
pub(crate) struct NewAccount<'a> {
    pub(crate) id: Id<kind::Account>,
    pub(crate) username: &'a Username,
    pub(crate) email: &'a Email,
    pub(crate) email_index: [u8; 32],
    pub(crate) full_name: Option<&'a FullName>,
    pub(crate) password: &'a str,
    pub(crate) pepper_epoch: Option<u32>,
    pub(crate) role: Role,
    pub(crate) status: AccountStatus,
    /// The language of whoever asked for it, if that is known.
    pub(crate) language: Option<Language>,
    /// The network that an attempt to register came from.
    pub(crate) network: Option<[u8; 32]>,
}

impl Account {
    /// The row that the statement finds.
    pub(crate) async fn find(tx: &mut Tx, sql: Sql, params: &[Value]) -> Result<Option<Self>, Error> {
        tx.query_opt(sql, params).await?.map(|row| Self::of(&row)).transpose()
    }

    /// The account with this id, which must exist.
    pub(crate) async fn load(tx: &mut Tx, id: Id<kind::Account>) -> Result<Self, Error> {
        Self::find(tx, BY_ID, params![id]).await?.ok_or(Error::NotFound)
    }

    /// As [`Account::find`] by one of the statements `EITHER_…`: if nobody has `key`, the stand-in's row is read instead.
    pub(crate) async fn find_either(
        tx: &mut Tx,
        sql: Sql,
        key: impl Into<Value>,
        stand_in: Option<Id<kind::Account>>,
    ) -> Result<Either, Error> {
        let stand_in = stand_in.unwrap_or(Id::from_bytes([0; 16]));
        let row = tx.query_opt(sql, &[key.into(), stand_in.into()]).await?;
        // In a house without accounts there is nobody to tell apart from anybody.
        let Some(row) = row else { return Ok(Either::Nobody) };
        let account = Self::of(&row)?;
        Ok(if row.get(15)? { Either::Wanted(account) } else { Either::StandIn(account) })
    }

    fn of(row: &Row) -> Result<Self, Error> {
        const DAMAGED: &str = "an account's row holds an unknown word";
        Ok(Self {
            id: row.get(0)?,
            username: row.get::<String>(1)?.parse().map_err(|_| Error::internal(DAMAGED))?,
            email_sealed: row.get(2)?,
            full_name_sealed: row.get(3)?,
            password: row.get(4)?,
            pepper_epoch: row.get(5)?,
            role: row.get::<String>(6)?.parse().map_err(|_| Error::internal(DAMAGED))?,
            tier: row.get::<String>(7)?.parse().map_err(|_| Error::internal(DAMAGED))?,
            status: AccountStatus::parse(&row.get::<String>(8)?).ok_or_else(|| Error::internal(DAMAGED))?,
            compromised: row.get(9)?,
            epoch: row.get(10)?,
            created_at: row.get(11)?,
            verified_at: row.get(12)?,
            updated_at: row.get(13)?,
            language: row.get::<Option<String>>(14)?.as_deref().and_then(Language::of).unwrap_or_default(),
        })
    }

    /// The address, opened; [`Error::NotFound`] for who was erased.
    pub(crate) async fn email(&self, inner: &Inner, tx: &mut Tx) -> Result<Email, Error> {
        if self.email_sealed.is_empty() {
            return Err(Error::NotFound);
        }
        let place = ("account", "email", *self.id.as_bytes());
        let text = inner.open_text(tx, self.id, place, &self.email_sealed).await?;
        text.parse().map_err(|_| Error::internal("a sealed address is not an address"))
    }

    /// The account with its personal data opened.
    pub(crate) async fn view(&self, inner: &Inner, tx: &mut Tx) -> Result<AccountView, Error> {
        let full_name = match &self.full_name_sealed {
            None => None,
            Some(sealed) => {
                let place = ("account", "full_name", *self.id.as_bytes());
                let text = inner.open_text(tx, self.id, place, sealed).await?;
                Some(text.parse().map_err(|_| Error::internal("a sealed name is not a name"))?)
            }
        };
        Ok(AccountView {
            id: self.id,
            username: self.username.clone(),
            email: self.email(inner, tx).await?,
            full_name,
            role: self.role,
            tier: self.tier,
            status: self.status,
            compromised: self.compromised,
            created_at: self.created_at,
            verified_at: self.verified_at,
            updated_at: self.updated_at,
        })
    }
}

impl Identity {
    /// From now on the caller is written to in this language.
    ///
    /// # Errors
    /// Failures of the store.
    pub async fn set_language(&self, caller: &AccountCaller, language: Language) -> Result<(), Error> {
        let mut tx = self.0.db.begin(caller.scope()).await?;
        tx.execute(SET_LOCALE, params![caller.account, language.code()]).await?;
        tx.commit().await?;
        Ok(())
    }
}

impl Inner {
    /// The blind index by which an address is found and kept unique.
    pub(crate) fn email_index(&self, email: &Email) -> [u8; 32] {
        self.keys.blind_index("account", "email", email.as_str().as_bytes())
    }

    /// Who stands in for a name that nobody has: always the same account for the same name, and any one as likely as any
    /// other, so that names that nobody has take as long as names that somebody has, however different accounts are (old
    /// and imported hashes cost their own time).
    pub(crate) async fn stand_in(
        &self,
        tx: &mut Tx,
        name: &[u8],
    ) -> Result<Option<Id<kind::Account>>, Error> {
        let place = self.keys.blind_index("account", "stand-in", name);
        let row = match tx.query_opt(STAND_IN, params![place]).await? {
            None => tx.query_opt(STAND_IN, params![[0_u8; 32]]).await?,
            found => found,
        };
        Ok(row.map(|row| row.get(0)).transpose()?)
    }

    /// Makes the account and its key.
    pub(crate) async fn insert_account(&self, tx: &mut Tx, new: &NewAccount<'_>) -> Result<(), Error> {
        self.keys.create_subject(tx, Subject::Account(new.id)).await?;
        let row = *new.id.as_bytes();
        let email = self.seal(tx, new.id, ("account", "email", row), new.email.as_str().as_bytes()).await?;
        let full_name = match new.full_name {
            None => None,
            Some(name) => {
                Some(self.seal(tx, new.id, ("account", "full_name", row), name.as_str().as_bytes()).await?)
            }
        };
        let now = self.now();
        let verified_at = (new.status != AccountStatus::Pending).then_some(now);
        tx.execute(
            INSERT,
            params![
                new.id,
                new.username,
                email,
                new.email_index,
                full_name,
                new.password,
                new.pepper_epoch,
                new.role.as_str(),
                Tier::Free.as_str(),
                new.status.as_str(),
                now,
                verified_at,
                new.language.map(Language::code),
                new.network
            ],
        )
        .await?;
        Ok(())
    }
}
