//! Registration and verification (AUTH-1).
//!
//! Whoever registers an address proves nothing until a link that went to that address is followed. So every attempt
//! is a *pending* account of its own with its own password, and a link activates exactly its attempt: nobody can
//! prepare an account with a password of their choice for somebody else to confirm unknowingly.
//!
//! A link proves the mailbox, the password says *which* attempt: it activates whichever attempt of its address has the
//! password that is typed. So an address gets only a few mails an hour, and still nobody can use them up to somebody's
//! harm: whoever registers when the hour's mails are spent follows any link that the address has got. And attempts that
//! come from one network displace one another before they displace anybody else's.
//!
//! Answer, words and work are the same whether or not the address or the name is known. Where the address has an
//! account already, the very same rows are written and sealed under the same key (the attempt's), but the link's code is
//! thrown away and of the two letters, which are written in any case, the one goes out that says "you have an account
//! already". What little is left (one of the letters is longer) the steps of the answers' time take.

use access::Role;
use audit::{Erasure, Event, Outcome};
use base::{Actor, Id, Scope, Secret, Username, kind};
use crypto::password::policy::Weakness;
use keys::Purpose;
use store::{Change, Tx, params};

use crate::account::{self, Account, NewAccount};
use crate::attempt::{Authenticator, Guess};
use crate::code::CodePurpose;
use crate::error::retry_races;
use crate::mail::Letter;
use crate::service::{Identity, Inner};
use crate::{AccountStatus, Error, Registration, RequestMeta, Verified};

store::sql! {
    /// The attempts of an address, newest first, the networks they came from, and how many of their mails still wait.
    ATTEMPTS = "SELECT account_id, attempt_network, (SELECT COUNT(*) FROM mail \
        WHERE mail.account_id = account.account_id AND mail.state = 'queued') \
        FROM account WHERE email_index = $1 AND status = 'pending' \
        ORDER BY created_at DESC, account_id DESC LIMIT 100";
    /// The other attempts of an attempt's address, newest first.
    pub(crate) SIBLINGS = "SELECT account_id FROM account WHERE account_id <> $1 AND status = 'pending' \
        AND email_index = (SELECT email_index FROM account WHERE account_id = $1) \
        ORDER BY created_at DESC, account_id DESC LIMIT 100";
    /// The links of an attempt that gives way go on to count for the address.
    PASS_LINKS = "UPDATE one_time_code SET account_id = $2 WHERE account_id = $1 AND purpose = 'verify'";
    /// All rows of an attempt's address, locked in one order: links of one address that are followed at once would
    /// otherwise each hold what the other one must delete.
    LOCK_ADDRESS =
        sqlite "SELECT account_id FROM account \
            WHERE email_index = (SELECT email_index FROM account WHERE account_id = $1) ORDER BY account_id",
        postgres "SELECT account_id FROM account \
            WHERE email_index = (SELECT email_index FROM account WHERE account_id = $1) \
            ORDER BY account_id FOR UPDATE";
    DELETE_PENDING = "DELETE FROM account WHERE account_id = $1 AND status = 'pending'";
    ACTIVATE = "UPDATE account SET status = 'active', username = $2, verified_at = $3, updated_at = $3 \
        WHERE account_id = $1 AND status = 'pending'";
    EMAIL_TAKEN = "SELECT count(*) FROM account \
        WHERE email_index = (SELECT email_index FROM account WHERE account_id = $1) AND status <> 'pending'";
    pub(crate) USERNAME_TAKEN = "SELECT count(*) FROM account WHERE username = $1 AND status <> 'pending'";
}

impl Identity {
    /// Starts an account. The answer is the same whether or not the address or the name is known; a mail decides.
    ///
    /// # Errors
    /// [`Error::WeakPassword`], [`Error::Busy`], and failures of the store.
    pub async fn register(&self, wish: Registration, meta: &RequestMeta) -> Result<(), Error> {
        let inner = &*self.0;
        let own = [wish.username.as_str(), wish.email.as_str()];
        let password = inner.acceptable(&wish.password, false, &own).await?;
        let pepper = inner.keys.epoch(Purpose::Pepper);
        let pepper_epoch = pepper.number;
        let hash = inner.pool.hash(password, pepper).await?;
        self.evenly(async { retry_races!(inner.try_register(&wish, &hash, pepper_epoch, meta)) }).await
    }

    /// Follows a verification link: exactly that attempt becomes an account, and the others of the address go. The
    /// attempt's own password is asked for: the link proves who holds the mailbox, the password that they are who
    /// registered. Somebody else's attempt with their address stays theirs, whatever they click.
    ///
    /// # Errors
    /// [`Error::InvalidCode`]; [`Error::WrongCredentials`] (the link stays usable), [`Error::TooManyAttempts`],
    /// [`Error::Busy`]; failures of the store.
    pub async fn verify_email(
        &self,
        code: &str,
        password: &Secret<String>,
        meta: &RequestMeta,
    ) -> Result<Verified, Error> {
        let result = self.0.verify(code, password, meta).await;
        self.0.note_bad_code(&result, "bad-verification-code", meta).await?;
        result
    }
}

impl Inner {
    async fn try_register(
        &self,
        wish: &Registration,
        hash: &str,
        pepper_epoch: u32,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let index = self.email_index(&wish.email);
        let mut tx = self.db.begin(Scope::System("registration")).await?;
        // The budget's row is locked from here on, so that attempts for one address come one after the other. Whether a
        // mail goes out depends on how often the address was tried, not on whether it is known.
        let mailed = self.within_mail_budget(&mut tx, index, "register").await?;
        let other = self.stand_in(&mut tx, &index).await?;
        let (holder, stand_in) =
            Account::find_either(&mut tx, account::EITHER_BY_EMAIL, index, other).await?.split();
        let network = meta.address.map(|address| self.network_index(address));
        let id = Id::new(&self.clock, &self.entropy);
        self.insert_account(
            &mut tx,
            &NewAccount {
                id,
                username: &wish.username,
                email: &wish.email,
                email_index: index,
                full_name: wish.full_name.as_ref(),
                password: hash,
                pepper_epoch: Some(pepper_epoch),
                role: Role::User,
                status: AccountStatus::Pending,
                language: meta.language,
                network,
            },
        )
        .await?;
        self.make_room(&mut tx, index, id).await?;
        let (code, _) =
            self.issue_code(&mut tx, CodePurpose::Verify, Some(id), self.settings.verify_ttl_ms).await?;
        if mailed {
            let link = self.link("verify", &code);
            let verify = Letter::Verify { username: &wish.username, link: &link };
            let attempt = Account::load(&mut tx, id).await?;
            let (sign_in, forgot) = (self.page("sign-in"), self.page("forgot"));
            let known = holder.as_ref().or(stand_in.as_ref()).unwrap_or(&attempt);
            let already =
                Letter::AlreadyRegistered { username: &known.username, sign_in: &sign_in, forgot: &forgot };
            let mut letters = [(&verify, attempt.language), (&already, known.language)];
            if holder.is_some() {
                letters.reverse();
            }
            self.queue_first(&mut tx, &attempt, &wish.email, letters).await?;
        }
        self.audit.append(&mut tx, &self.record(meta, Event::AccountRegistered {}).about(id)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps an address's attempts few. Of the network with the most of them the oldest gives way, so that a network
    /// that floods an address displaces its own; where all are equal, the oldest of all. Those whose mail is not on its
    /// way yet stay longer, for the mail would go with them. The newest one stays.
    async fn make_room(&self, tx: &mut Tx, index: [u8; 32], newest: Id<kind::Account>) -> Result<(), Error> {
        let mut attempts: Vec<(Id<kind::Account>, Option<[u8; 32]>, bool)> = Vec::new();
        for row in tx.query(ATTEMPTS, params![index]).await? {
            attempts.push((row.get(0)?, row.get(1)?, row.get::<i64>(2)? == 0));
        }
        while attempts.len() > self.settings.pending_per_address.max(1) as usize {
            let of_network =
                |network: &Option<[u8; 32]>| attempts.iter().filter(|one| one.1 == *network).count();
            // Newest first, and the last of equal ones is the maximum: the oldest.
            let others = attempts.iter().enumerate().filter(|(_, one)| one.0 != newest);
            let Some((at, _)) = others.max_by_key(|(_, one)| (of_network(&one.1), one.2)) else { break };
            let (gone, ..) = attempts.remove(at);
            tx.execute(PASS_LINKS, params![gone, newest]).await?;
            self.delete_pending(tx, gone).await?;
        }
        Ok(())
    }

    /// The network of an address, by which attempts are told apart.
    fn network_index(&self, address: std::net::IpAddr) -> [u8; 32] {
        self.keys.blind_index("account", "attempt_network", &crate::attempt::network(address))
    }

    async fn verify(
        &self,
        code: &str,
        password: &Secret<String>,
        meta: &RequestMeta,
    ) -> Result<Verified, Error> {
        let mut tx = self.db.begin_read(Scope::System("verification")).await?;
        let id = self.peek_code(&mut tx, CodePurpose::Verify, code).await?;
        // Another link of the address may be followed at this moment, and take all its attempts with it.
        let attempt = Account::find(&mut tx, account::BY_ID, params![id]).await?.ok_or(Error::InvalidCode)?;
        let guess = self.guess(Authenticator::Verification, id.as_bytes(), None, meta);
        self.may_try(&mut tx, &guess).await?;
        drop(tx);
        let Some(chosen) = self.attempt_with(password, attempt).await? else {
            return self.refuse_wrong(&guess, Some(id), "wrong-password-at-verification", meta).await;
        };
        retry_races!(self.try_verify(code, chosen, &guess, meta))
    }

    /// Which attempt of the link's address has this password: the link's own first, then the newest.
    async fn attempt_with(
        &self,
        password: &Secret<String>,
        own: Account,
    ) -> Result<Option<Id<kind::Account>>, Error> {
        let mut tx = self.db.begin_read(Scope::System("verification")).await?;
        let siblings = tx.query(SIBLINGS, params![own.id]).await?;
        let mut attempts = vec![own];
        for row in siblings.iter().take(self.settings.pending_per_address as usize) {
            let id: Id<kind::Account> = row.get(0)?;
            attempts.extend(Account::find(&mut tx, account::BY_ID, params![id]).await?);
        }
        drop(tx);
        for attempt in attempts {
            if self.compare(password, Some(&attempt)).await?.is_some() {
                return Ok(Some(attempt.id));
            }
        }
        Ok(None)
    }

    async fn try_verify(
        &self,
        code: &str,
        chosen: Id<kind::Account>,
        guess: &Guess,
        meta: &RequestMeta,
    ) -> Result<Verified, Error> {
        let mut tx = self.db.begin(Scope::System("verification")).await?;
        let linked = self.peek_code(&mut tx, CodePurpose::Verify, code).await?;
        let attempts = tx.query(LOCK_ADDRESS, params![linked]).await?;
        self.consume_code(&mut tx, CodePurpose::Verify, code).await?;
        self.count_success(&mut tx, guess).await?;
        let mut of_address = Vec::with_capacity(attempts.len());
        for row in attempts {
            of_address.push(row.get::<Id<kind::Account>>(0)?);
        }
        // Gone meanwhile, or never one of this mailbox's.
        if !of_address.contains(&chosen) {
            return Err(Error::InvalidCode);
        }
        let id = chosen;
        let attempt = Account::load(&mut tx, id).await?;
        // Another attempt of the same address was faster.
        let taken: i64 = tx.query_one(EMAIL_TAKEN, params![id]).await?.get(0)?;
        if attempt.status != AccountStatus::Pending || taken > 0 {
            return Err(Error::InvalidCode);
        }
        let username = self.free_username(&mut tx, &attempt.username).await?;
        let now = self.now();
        if tx.execute(ACTIVATE, params![id, &username, now]).await? == 0 {
            return Err(Error::InvalidCode);
        }
        for other in of_address {
            if other != id {
                self.delete_pending(&mut tx, other).await?;
            }
        }
        // Also the links of attempts that gave way to this one.
        self.void_codes(&mut tx, CodePurpose::Verify, id).await?;
        // Who follows the link holds the mailbox: the first sign-in has something to be compared with.
        self.learn_from(&mut tx, id, meta).await?;
        self.audit.append(&mut tx, &self.record(meta, Event::AccountVerified {}).by_account(id)).await?;
        tx.announce(Change::Account(id));
        tx.commit().await?;
        self.remembered.forget(Change::Account(id));
        let renamed = username != attempt.username;
        Ok(Verified { account: id, username, renamed })
    }

    /// The name itself, or a variant that nobody has (`name-x4d2`).
    pub(crate) async fn free_username(&self, tx: &mut Tx, wished: &Username) -> Result<Username, Error> {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut name = wished.clone();
        for _ in 0..16 {
            if tx.query_one(USERNAME_TAKEN, params![&name]).await?.get::<i64>(0)? == 0 {
                return Ok(name);
            }
            let tail: String = self
                .entropy
                .bytes::<4>()
                .iter()
                .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
                .collect();
            let stem = &wished.as_str()[..wished.as_str().len().min(45)];
            name = format!("{stem}-{tail}")
                .parse()
                .map_err(|_| Error::internal("a variant of a name is a name"))?;
        }
        Err(Error::internal("no free variant of a name was found"))
    }

    /// Removes an attempt with everything that hangs on it, its key included.
    pub(crate) async fn delete_pending(&self, tx: &mut Tx, id: Id<kind::Account>) -> Result<u64, Error> {
        let deleted = tx.execute(DELETE_PENDING, params![id]).await?;
        if deleted > 0 {
            // Names the keys, so that verification knows the attempt's events to be erased and not lost.
            self.audit
                .erase_subject(tx, id, Erasure::new(Actor::System("registration"), "retention"))
                .await?;
        }
        Ok(deleted)
    }

    /// The password in the form that is hashed, if the policy takes it, and the list of breached ones that may be asked
    /// does not have it. No transaction may be open.
    pub(crate) async fn acceptable(
        &self,
        password: &Secret<String>,
        second_factor: bool,
        own: &[&str],
    ) -> Result<Secret<String>, Error> {
        let weak = |weakness: Weakness| Error::WeakPassword(weakness.to_string().into());
        let password = self.settings.password_policy.check(password, second_factor, own).map_err(weak)?;
        match &self.breached {
            Some(ranges) if ranges.know(&password).await => Err(weak(Weakness::Common)),
            _ => Ok(password),
        }
    }

    /// Records that a link did not work, so that guessing is seen.
    pub(crate) async fn note_bad_code<T>(
        &self,
        result: &Result<T, Error>,
        reason: &'static str,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        if matches!(result, Err(Error::InvalidCode)) {
            let event = Event::TokenRefused { reason, credential: "link" };
            self.audit.record_durable(self.record(meta, event).ended(Outcome::Denied)).await?;
        }
        Ok(())
    }

    /// A page that people use.
    pub(crate) fn page(&self, name: &str) -> String {
        format!("{}/account/{name}", self.settings.public_url.trim_end_matches('/'))
    }

    /// A page with a code.
    pub(crate) fn link(&self, name: &str, code: &Secret<String>) -> Secret<String> {
        Secret::new(format!("{}?code={}", self.page(name), code.expose()))
    }

    /// Counts a message that a stranger causes; `false` if the address has had enough of this kind.
    pub(crate) async fn within_mail_budget(
        &self,
        tx: &mut Tx,
        index: [u8; 32],
        kind: &str,
    ) -> Result<bool, Error> {
        let now = self.now();
        let sent: u32 =
            tx.query_one(SPEND, params![index, kind, now, now.plus_ms(-WINDOW_MS)]).await?.get(0)?;
        Ok(sent <= self.settings.mails_per_hour)
    }
}

/// The window of the mail budget.
pub(crate) const WINDOW_MS: i64 = 3_600_000;

store::sql! {
    /// Counts one message. One statement, so that many at once are counted one after the other.
    SPEND = "INSERT INTO mail_budget (address_index, kind, window_start, sent) VALUES ($1, $2, $3, 1) \
        ON CONFLICT (address_index, kind) DO UPDATE SET \
        sent = CASE WHEN mail_budget.window_start <= $4 THEN 1 ELSE mail_budget.sent + 1 END, \
        window_start = CASE WHEN mail_budget.window_start <= $4 THEN $3 ELSE mail_budget.window_start END \
        RETURNING sent";
}
