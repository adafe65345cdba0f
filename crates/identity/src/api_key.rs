//! Keys for programs (AUTH-11): `ftm_`, 256 random bits and a checksum, so that scanners of public code recognise a
//! leaked one and programs a mistyped one. Only the hash is stored.
//!
//! A key never may more than its owner may at the moment of use: the policies decide for the owner, and the key's scopes
//! cut from that. It opens nothing of the owner's own account (sessions, factors, keys).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use access::{Assurance, Role, Subject, Tier};
use audit::{Event, Outcome, Short};
use base::{FieldError, Id, Scope, Secret, Timestamp, Username, kind};
use ipnet::IpNet;
use store::{Change, Row, Tx, params};

use crate::background::KeyTouch;
use crate::factor::checked_name;
use crate::mail::Letter;
use crate::remember::{KeyFacts, Recall};
use crate::service::Inner;
use crate::{AccountCaller, Error, Identity, RequestMeta, secret_text};

/// What every key begins with.
pub(crate) const PREFIX: &str = "ftm_";
/// 256 bits in base62.
const BODY: usize = 43;
/// CRC-32 in base62.
const CHECKSUM: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters of a key that are kept, so that its owner recognises it.
const HINT: usize = 10;
/// Scopes of one key.
const MAX_SCOPES: usize = 100;
/// Networks of one key.
const MAX_NETWORKS: usize = 50;

store::sql! {
    INSERT = "INSERT INTO api_key (key_id, account_id, key_hash, hint, name_sealed, scopes, networks_sealed, created_at, \
        expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    LIVE = "SELECT count(*) FROM api_key WHERE account_id = $1 AND revoked_at IS NULL \
        AND (expires_at IS NULL OR expires_at > $2)";
    LIST = "SELECT key_id, hint, name_sealed, scopes, networks_sealed, created_at, expires_at, last_used_at, successor_id \
        FROM api_key WHERE account_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2) \
        ORDER BY created_at DESC, key_id DESC LIMIT 200";
    ONE = "SELECT key_id, hint, name_sealed, scopes, networks_sealed, created_at, expires_at, last_used_at, successor_id \
        FROM api_key WHERE key_id = $1 AND account_id = $2 AND revoked_at IS NULL \
        AND (expires_at IS NULL OR expires_at > $3)";
    REVOKE = "UPDATE api_key SET revoked_at = $3 WHERE key_id = $1 AND account_id = $2 AND revoked_at IS NULL \
        RETURNING hint";
    /// Lets a key run out; of two rotations at once one gets the row.
    SUCCEED = "UPDATE api_key SET successor_id = $3, \
        expires_at = CASE WHEN expires_at IS NOT NULL AND expires_at < $4 THEN expires_at ELSE $4 END \
        WHERE key_id = $1 AND account_id = $2 AND revoked_at IS NULL AND successor_id IS NULL \
        AND (expires_at IS NULL OR expires_at > $5) RETURNING key_id";
    BY_HASH = "SELECT key_id, account_id FROM api_key WHERE key_hash = $1";
    FACTS = "SELECT k.scopes, k.networks_sealed, k.expires_at, k.revoked_at, k.last_used_at, a.status, a.role, a.tier, \
        a.username, a.locked_at IS NOT NULL FROM api_key k JOIN account a ON a.account_id = k.account_id \
        WHERE k.key_id = $1 AND k.account_id = $2";
}

/// A program with a key. Only [`Identity`] makes one.
#[derive(Debug, Clone)]
pub struct KeyCaller {
    /// The key.
    pub key: Id<kind::ApiKey>,
    /// Whose it is.
    pub account: Id<kind::Account>,
    /// The owner's role now.
    pub role: Role,
    /// The owner's tier now.
    pub tier: Tier,
    /// The owner's name.
    pub username: Username,
    /// The owner's account is locked.
    pub locked: bool,
    /// Sorted.
    scopes: Arc<[Box<str>]>,
}

impl KeyCaller {
    /// For access decisions, which are its owner's. There is no session whose factors or risk could count.
    pub fn subject(&self) -> Subject {
        let assurance = Assurance { locked: self.locked, ..Assurance::NONE };
        Subject { assurance, ..Subject::account(self.account, self.role, self.tier) }
    }

    /// Whether the key's scopes name the action. What the owner may not do, no scope gives.
    pub fn covers(&self, action: &str) -> bool {
        self.scopes.binary_search_by(|scope| (**scope).cmp(action)).is_ok()
    }
}

/// A key to be made.
#[derive(Debug, Default)]
pub struct NewApiKey {
    /// What the person calls it.
    pub name: String,
    /// Actions of the catalogue, at least one.
    pub scopes: Vec<String>,
    /// Networks (CIDR) or addresses from which it counts; none is every network.
    pub networks: Vec<String>,
    /// When it ends; `None` is never.
    pub expires_at: Option<Timestamp>,
}

/// A key, shown here and never again.
#[derive(Debug)]
pub struct MadeApiKey {
    /// The key itself.
    pub key: Secret<String>,
    /// What is kept of it.
    pub view: ApiKeyView,
}

/// What is known of a key.
#[derive(Debug, Clone)]
pub struct ApiKeyView {
    /// The key.
    pub id: Id<kind::ApiKey>,
    /// How it begins.
    pub hint: String,
    /// What the person calls it.
    pub name: String,
    /// Sorted.
    pub scopes: Vec<String>,
    /// Empty is every network.
    pub networks: Vec<String>,
    /// Made at.
    pub created_at: Timestamp,
    /// Ends at.
    pub expires_at: Option<Timestamp>,
    /// Last use, exact to a minute.
    pub last_used_at: Option<Timestamp>,
    /// The key that took over.
    pub successor: Option<Id<kind::ApiKey>>,
}

impl Identity {
    /// Who presents this key from this address. Fast for keys seen before; never later than a revocation.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] with the fault's name; failures of the store.
    pub async fn authenticate_key(&self, key: &str, address: IpAddr) -> Result<KeyCaller, Error> {
        self.authenticate_key_with(key, address, Recall::Allowed).await
    }

    /// As [`authenticate_key`](Self::authenticate_key), perhaps with nothing remembered.
    ///
    /// # Errors
    /// See there.
    pub async fn authenticate_key_with(
        &self,
        key: &str,
        address: IpAddr,
        recall: Recall,
    ) -> Result<KeyCaller, Error> {
        let inner = &*self.0;
        if !is_whole(key) {
            return Err(Error::InvalidToken("malformed-key"));
        }
        let hash = secret_text::hash(key);
        let (id, account) = match inner.remembered.key(&hash) {
            Some(found) => found,
            None => {
                let mut tx = inner.db.begin_read(Scope::System("API key")).await?;
                let row = tx.query_opt(BY_HASH, params![hash]).await?;
                let row = row.ok_or(Error::InvalidToken("unknown-key"))?;
                let found = (row.get(0)?, row.get(1)?);
                inner.remembered.keep_key(hash, found);
                found
            }
        };
        inner.key_caller(id, account, address, recall).await
    }

    /// Whether a text looks like a key, so that it is not read as a token.
    pub fn is_key(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// The caller's keys that still count, newest first.
    ///
    /// # Errors
    /// Failures of store and keys.
    pub async fn api_keys(&self, caller: &AccountCaller) -> Result<Vec<ApiKeyView>, Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin_read(caller.scope()).await?;
        let rows = tx.query(LIST, params![caller.account, inner.now()]).await?;
        let mut views = Vec::with_capacity(rows.len());
        for row in &rows {
            views.push(inner.key_view(&mut tx, caller.account, row).await?);
        }
        Ok(views)
    }

    /// Makes a key.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field, [`Error::Conflict`] with too many keys, [`Error::ReauthenticationRequired`].
    pub async fn create_api_key(
        &self,
        caller: &AccountCaller,
        wish: &NewApiKey,
        meta: &RequestMeta,
    ) -> Result<MadeApiKey, Error> {
        let inner = &*self.0;
        let wish = inner.checked_key(wish)?;
        let mut tx = inner.db.begin(caller.scope()).await?;
        inner.must_be_fresh(&mut tx, caller).await?;
        let live: i64 = tx.query_one(LIVE, params![caller.account, inner.now()]).await?.get(0)?;
        if live >= inner.settings.api_keys_per_account {
            return Err(Error::Conflict(
                "The account has as many API keys as it may have; revoke one first.",
            ));
        }
        let made = inner.insert_key(&mut tx, caller, &wish, meta).await?;
        inner.tell_of_key(&mut tx, caller, &made.view.hint).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Makes a key's successor with the same rights; the old one counts for a day longer.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] if it has a successor already, [`Error::ReauthenticationRequired`].
    pub async fn rotate_api_key(
        &self,
        caller: &AccountCaller,
        key: Id<kind::ApiKey>,
        meta: &RequestMeta,
    ) -> Result<MadeApiKey, Error> {
        let inner = &*self.0;
        let now = inner.now();
        let mut tx = inner.db.begin(caller.scope()).await?;
        inner.must_be_fresh(&mut tx, caller).await?;
        let row = tx.query_opt(ONE, params![key, caller.account, now]).await?.ok_or(Error::NotFound)?;
        let old = inner.key_view(&mut tx, caller.account, &row).await?;
        if old.successor.is_some() {
            return Err(Error::Conflict("This key has a successor already; rotate that one."));
        }
        let wish = Checked {
            name: old.name,
            scopes: old.scopes,
            networks: old.networks,
            expires_at: old.expires_at,
        };
        let made = inner.insert_key(&mut tx, caller, &wish, meta).await?;
        let until = now.plus_ms(inner.settings.api_key_overlap_ms);
        if tx.query_opt(SUCCEED, params![key, caller.account, made.view.id, until, now]).await?.is_none() {
            return Err(Error::Conflict("This key has a successor already; rotate that one."));
        }
        let event =
            Event::ApiKeyRotated { key: Short::new(&old.hint), successor: Short::new(&made.view.hint) };
        inner.audit.append(&mut tx, &inner.record(meta, event).by_account(caller.account)).await?;
        tx.announce(Change::Account(caller.account));
        inner.commit_change(tx, Change::Account(caller.account)).await?;
        Ok(made)
    }

    /// Ends a key at once.
    ///
    /// # Errors
    /// [`Error::NotFound`]; failures of the store.
    pub async fn revoke_api_key(
        &self,
        caller: &AccountCaller,
        key: Id<kind::ApiKey>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin(caller.scope()).await?;
        let row =
            tx.query_opt(REVOKE, params![key, caller.account, inner.now()]).await?.ok_or(Error::NotFound)?;
        let event = Event::ApiKeyRevoked { key: Short::new(&row.get::<String>(0)?), reason: "owner" };
        inner.audit.append(&mut tx, &inner.record(meta, event).by_account(caller.account)).await?;
        tx.announce(Change::Account(caller.account));
        inner.commit_change(tx, Change::Account(caller.account)).await
    }

    /// Records that a key was refused, so that a leaked one is seen.
    ///
    /// # Errors
    /// Failures of the store.
    pub async fn note_refused_key(&self, reason: &'static str, meta: &RequestMeta) -> Result<(), Error> {
        let event = Event::TokenRefused { reason, credential: "api-key" };
        self.0.audit.record_durable(self.0.record(meta, event).ended(Outcome::Denied)).await?;
        Ok(())
    }
}

/// A wish whose every field is right.
struct Checked {
    name: String,
    scopes: Vec<String>,
    networks: Vec<String>,
    expires_at: Option<Timestamp>,
}

impl Inner {
    async fn tell_of_key(&self, tx: &mut Tx, caller: &AccountCaller, hint: &str) -> Result<(), Error> {
        let owner = crate::account::Account::load(tx, caller.account).await?;
        let email = owner.email(self, tx).await?;
        let page = self.page("security");
        let letter =
            Letter::ApiKeyCreated { username: &owner.username, at: self.now(), security: &page, hint };
        self.queue_mail(tx, &owner, &email, &letter).await
    }

    /// Each field of a wish, or what would be right.
    fn checked_key(&self, wish: &NewApiKey) -> Result<Checked, Error> {
        let wrong = |pointer: String, detail: &str| {
            Err(Error::Invalid(vec![FieldError { pointer, detail: detail.to_owned() }]))
        };
        let Some(name) = checked_name(Some(&wish.name))? else {
            return wrong("/name".into(), "is required");
        };
        if wish.scopes.is_empty() || wish.scopes.len() > MAX_SCOPES {
            return wrong("/scopes".into(), "must hold 1 to 100 actions, such as track:read");
        }
        let mut scopes = Vec::with_capacity(wish.scopes.len());
        for (at, scope) in wish.scopes.iter().enumerate() {
            match self.access.action(scope) {
                Ok(action) => scopes.push(action.as_str().to_owned()),
                Err(unknown) => return wrong(format!("/scopes/{at}"), &unknown.to_string()),
            }
        }
        scopes.sort_unstable();
        scopes.dedup();
        if wish.networks.len() > MAX_NETWORKS {
            return wrong("/networks".into(), "must hold at most 50 networks");
        }
        let mut networks = Vec::with_capacity(wish.networks.len());
        for (at, text) in wish.networks.iter().enumerate() {
            let parsed = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            match parsed {
                Ok(network) => networks.push(network.trunc().to_string()),
                Err(_) => {
                    return wrong(
                        format!("/networks/{at}"),
                        "must be an address or a network such as 192.0.2.0/24",
                    );
                }
            }
        }
        if wish.expires_at.is_some_and(|end| end <= self.now()) {
            return wrong("/expires_at".into(), "must be in the future");
        }
        Ok(Checked { name: name.to_owned(), scopes, networks, expires_at: wish.expires_at })
    }

    async fn insert_key(
        &self,
        tx: &mut Tx,
        caller: &AccountCaller,
        wish: &Checked,
        meta: &RequestMeta,
    ) -> Result<MadeApiKey, Error> {
        let id: Id<kind::ApiKey> = Id::new(&self.clock, &self.entropy);
        let key = spell(&zeroize::Zeroizing::new(self.entropy.bytes::<32>()));
        let hint = key.expose()[..HINT].to_owned();
        let now = self.now();
        let (row, account) = (*id.as_bytes(), caller.account);
        let name = self.seal(tx, account, ("api_key", "name", row), wish.name.as_bytes()).await?;
        let networks = if wish.networks.is_empty() {
            None
        } else {
            let text = wish.networks.join(" ");
            Some(self.seal(tx, account, ("api_key", "networks", row), text.as_bytes()).await?)
        };
        let hash = secret_text::hash(key.expose());
        let scopes = wish.scopes.join(" ");
        tx.execute(INSERT, params![id, account, hash, &hint, name, scopes, networks, now, wish.expires_at])
            .await?;
        let event = Event::ApiKeyCreated {
            key: Short::new(&hint),
            name: Short::new(&wish.name),
            scopes: wish.scopes.iter().map(|scope| Short::new(scope)).collect(),
            expires_at: wish.expires_at,
        };
        self.audit.append(tx, &self.record(meta, event).by_account(account)).await?;
        let view = ApiKeyView {
            id,
            hint,
            name: wish.name.clone(),
            scopes: wish.scopes.clone(),
            networks: wish.networks.clone(),
            created_at: now,
            expires_at: wish.expires_at,
            last_used_at: None,
            successor: None,
        };
        Ok(MadeApiKey { key, view })
    }

    async fn key_view(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        row: &Row,
    ) -> Result<ApiKeyView, Error> {
        let id: Id<kind::ApiKey> = row.get(0)?;
        let networks = self.open_networks(tx, account, id, row.get(4)?).await?;
        Ok(ApiKeyView {
            id,
            hint: row.get(1)?,
            name: self
                .open_text(tx, account, ("api_key", "name", *id.as_bytes()), &row.get::<Vec<u8>>(2)?)
                .await?,
            scopes: words(&row.get::<String>(3)?),
            networks,
            created_at: row.get(5)?,
            expires_at: row.get(6)?,
            last_used_at: row.get(7)?,
            successor: row.get(8)?,
        })
    }

    async fn open_networks(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        key: Id<kind::ApiKey>,
        sealed: Option<Vec<u8>>,
    ) -> Result<Vec<String>, Error> {
        match sealed {
            None => Ok(Vec::new()),
            Some(sealed) => Ok(words(
                &self.open_text(tx, account, ("api_key", "networks", *key.as_bytes()), &sealed).await?,
            )),
        }
    }

    async fn key_caller(
        &self,
        key: Id<kind::ApiKey>,
        account: Id<kind::Account>,
        address: IpAddr,
        recall: Recall,
    ) -> Result<KeyCaller, Error> {
        let remembered = self.remembered.key_facts(account, key).filter(|_| recall == Recall::Allowed);
        let facts = match remembered {
            Some(facts) => facts,
            None => self.read_key_facts(key, account).await?,
        };
        let now = self.now();
        if let Some(reason) = facts.ended {
            return Err(Error::InvalidToken(reason));
        }
        if facts.expires_at.is_some_and(|end| now >= end) {
            return Err(Error::InvalidToken("expired"));
        }
        let address = address.to_canonical();
        if !facts.networks.is_empty() && !facts.networks.iter().any(|network| network.contains(&address)) {
            return Err(Error::InvalidToken("network-not-allowed"));
        }
        let seen = facts.last_used_ms.load(Ordering::Relaxed);
        if now.as_millis().saturating_sub(seen) >= self.settings.touch_interval_ms
            && facts
                .last_used_ms
                .compare_exchange(seen, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.background.touch_key(KeyTouch { account, key, at: now });
        }
        Ok(KeyCaller {
            key,
            account,
            role: facts.role,
            tier: facts.tier,
            username: facts.username.clone(),
            locked: facts.locked,
            scopes: Arc::clone(&facts.scopes),
        })
    }

    async fn read_key_facts(
        &self,
        key: Id<kind::ApiKey>,
        account: Id<kind::Account>,
    ) -> Result<Arc<KeyFacts>, Error> {
        // The stamp must be older than what is read; see `remember`.
        let stamp = self.remembered.key_stamp(account, key);
        let mut tx = self.db.begin_read(Scope::Account(account)).await?;
        let row = tx.query_opt(FACTS, params![key, account]).await?;
        let row = row.ok_or(Error::InvalidToken("unknown-key"))?;
        let damaged = || Error::internal("an API key's row holds an unknown word");
        let networks = self.open_networks(&mut tx, account, key, row.get(1)?).await?;
        drop(tx);
        let ended = if row.get::<Option<Timestamp>>(3)?.is_some() {
            Some("key-revoked")
        } else if row.get::<String>(5)? != "active" {
            Some("account-disabled")
        } else {
            None
        };
        let facts = Arc::new(KeyFacts {
            ended,
            scopes: words(&row.get::<String>(0)?).into_iter().map(Into::into).collect(),
            networks: networks
                .iter()
                .map(|text| text.parse().map_err(|_| damaged()))
                .collect::<Result<_, _>>()?,
            expires_at: row.get(2)?,
            last_used_ms: AtomicI64::new(row.get::<Option<i64>>(4)?.unwrap_or(0)),
            role: row.get::<String>(6)?.parse().map_err(|_| damaged())?,
            tier: row.get::<String>(7)?.parse().map_err(|_| damaged())?,
            username: row.get::<String>(8)?.parse().map_err(|_| damaged())?,
            locked: row.get(9)?,
        });
        self.remembered.keep_key_facts(key, stamp, &facts);
        Ok(facts)
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Prefix, 256 bits in base62, and their CRC-32 (ISO-HDLC) in base62, as others' scanners know it.
fn spell(bytes: &[u8; 32]) -> Secret<String> {
    let mut text = String::with_capacity(PREFIX.len() + BODY + CHECKSUM);
    text.push_str(PREFIX);
    let mut number = zeroize::Zeroizing::new(*bytes);
    let mut digits = zeroize::Zeroizing::new([b'0'; BODY]);
    for digit in digits.iter_mut().rev() {
        // Long division of the whole number by 62.
        let mut rest = 0_u32;
        for byte in number.iter_mut() {
            let value = rest << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(0);
            rest = value % 62;
        }
        *digit = ALPHABET[rest as usize];
    }
    text.extend(digits.iter().map(|digit| char::from(*digit)));
    let sum = checksum(&text[PREFIX.len()..]);
    text.push_str(&sum);
    Secret::new(text)
}

fn checksum(body: &str) -> String {
    let mut sum = crc32fast::hash(body.as_bytes());
    let mut out = [b'0'; CHECKSUM];
    for digit in out.iter_mut().rev() {
        *digit = ALPHABET[(sum % 62) as usize];
        sum /= 62;
    }
    out.iter().map(|digit| char::from(*digit)).collect()
}

/// Whether the text is a key as we write them: a mistyped one is not worth a look into the database.
fn is_whole(key: &str) -> bool {
    key.strip_prefix(PREFIX).is_some_and(|rest| {
        rest.len() == BODY + CHECKSUM
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && checksum(&rest[..BODY]) == rest[BODY..]
    })
}

#[cfg(test)]
mod tests {
    use base::Entropy;

    use super::*;

    #[test]
    fn keys_are_recognised_and_mistyped_ones_are_not() {
        let key = spell(&Entropy::seeded(7).bytes());
        assert_eq!(key.expose().len(), 4 + 43 + 6);
        assert!(is_whole(key.expose()));
        assert_eq!(&spell(&[0; 32]).expose()[..47], &format!("ftm_{}", "0".repeat(43)));
        for at in 4..key.expose().len() {
            let mut wrong = key.expose().clone().into_bytes();
            wrong[at] = if wrong[at] == b'x' { b'y' } else { b'x' };
            assert!(!is_whole(std::str::from_utf8(&wrong).unwrap()), "character {at}");
        }
        for wrong in
            ["", "ftm_", "ftm_short", &"ä".repeat(30), &format!("{}x", key.expose()), &"x".repeat(100_000)]
        {
            assert!(!is_whole(wrong), "{wrong:.20}");
        }
        // CRC-32 as everybody computes it: the check value of "123456789" is cbf43926.
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }
}
