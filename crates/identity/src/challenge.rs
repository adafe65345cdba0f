//! A sign-in between its factors: an opaque value for five minutes and five tries, good for nothing but the second one.

use audit::{Event, Outcome};
use base::{Id, kind};
use crypto::mac::sha256;
use store::{Tx, params};

use crate::account::Account;
use crate::factor::{FactorKind, Shown};
use crate::service::Inner;
use crate::{AccountStatus, Error, Partial, RequestMeta, SessionKind, secret_text};

/// How long the second factor is awaited (AUTH-7).
const TTL_MS: i64 = 300_000;
/// Wrong codes for one challenge.
const TRIES: u32 = 5;

store::sql! {
    INSERT = "INSERT INTO sign_in_challenge (challenge_hash, account_id, epoch, kind, method, audience, name_sealed, \
        binding, attempts, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10)";
    /// Takes one of the tries, before the code is looked at.
    TRY = "UPDATE sign_in_challenge SET attempts = attempts + 1 WHERE challenge_hash = $1 AND kind = $2 \
        AND binding = $3 AND used_at IS NULL AND expires_at > $4 AND attempts < $5 \
        RETURNING account_id, epoch, method, audience, name_sealed";
    /// Ends the challenge with its success. Of two at once one gets the row.
    USE = "UPDATE sign_in_challenge SET used_at = $2 WHERE challenge_hash = $1 AND used_at IS NULL RETURNING account_id";
    /// Who the challenge is for, to offer what they have. Takes no try.
    PEEK = "SELECT account_id FROM sign_in_challenge WHERE challenge_hash = $1 AND kind = $2 AND binding = $3 \
        AND used_at IS NULL AND expires_at > $4 AND attempts < $5";
}

/// What a sign-in shall become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) kind: SessionKind,
    pub(crate) audience: Option<&'a str>,
    pub(crate) session_name: Option<&'a str>,
}

/// A challenge that was taken up: whose, and what it shall become.
pub(crate) struct Pending {
    hash: [u8; 32],
    pub(crate) account: Account,
    /// The first factor.
    pub(crate) method: String,
    pub(crate) audience: Option<String>,
    pub(crate) session_name: Option<String>,
}

impl Inner {
    /// Leaves a challenge where a session would have been made.
    pub(crate) async fn leave_challenge(
        &self,
        tx: &mut Tx,
        account: &Account,
        method: &'static str,
        wish: &Wish<'_>,
        methods: Vec<FactorKind>,
        meta: &RequestMeta,
    ) -> Result<Partial, Error> {
        let challenge = secret_text::random(&self.entropy);
        let hash = secret_text::hash(challenge.expose());
        let name = match wish.session_name {
            None => None,
            Some(name) => {
                let place = ("sign_in_challenge", "name", row_of(&hash));
                Some(self.seal(tx, account.id, place, name.as_bytes()).await?)
            }
        };
        let now = self.now();
        tx.execute(
            INSERT,
            params![
                hash,
                account.id,
                account.epoch,
                wish.kind.as_str(),
                method,
                wish.audience,
                name,
                binding(meta),
                now,
                now.plus_ms(TTL_MS)
            ],
        )
        .await?;
        Ok(Partial { challenge, expires_in_s: u32::try_from(TTL_MS / 1000).unwrap_or(300), methods })
    }

    /// Takes one try of a challenge; [`Error::InvalidChallenge`] for one that is not (or not any more) usable here. The
    /// transaction must be committed even if the code turns out to be wrong.
    pub(crate) async fn take_try(
        &self,
        tx: &mut Tx,
        kind: SessionKind,
        challenge: &str,
        meta: &RequestMeta,
    ) -> Result<Pending, Error> {
        if !secret_text::is_plausible(challenge, "") {
            return Err(Error::InvalidChallenge);
        }
        let hash = secret_text::hash(challenge);
        let tried = params![hash, kind.as_str(), binding(meta), self.now(), TRIES];
        let row = tx.query_opt(TRY, tried).await?.ok_or(Error::InvalidChallenge)?;
        let id: Id<kind::Account> = row.get(0)?;
        let account = Account::load(tx, id).await?;
        // Disabled, or with another password, since the first factor was right: that one proves nothing any more.
        if account.status != AccountStatus::Active || account.epoch != row.get::<i64>(1)? {
            return Err(Error::InvalidChallenge);
        }
        let session_name = match row.get::<Option<Vec<u8>>>(4)? {
            None => None,
            Some(sealed) => {
                Some(self.open_text(tx, id, ("sign_in_challenge", "name", row_of(&hash)), &sealed).await?)
            }
        };
        Ok(Pending { hash, account, method: row.get(2)?, audience: row.get(3)?, session_name })
    }

    /// Ends the challenge in the transaction of the session that it becomes.
    pub(crate) async fn use_challenge(&self, tx: &mut Tx, pending: &Pending) -> Result<(), Error> {
        let used = tx.query_opt(USE, params![pending.hash, self.now()]).await?;
        used.map(|_| ()).ok_or(Error::InvalidChallenge)
    }

    /// Whose challenge this is, for offering their factors; takes no try.
    pub(crate) async fn peek_challenge(
        &self,
        tx: &mut Tx,
        kind: SessionKind,
        challenge: &str,
        meta: &RequestMeta,
    ) -> Result<Id<kind::Account>, Error> {
        if !secret_text::is_plausible(challenge, "") {
            return Err(Error::InvalidChallenge);
        }
        let looked = params![secret_text::hash(challenge), kind.as_str(), binding(meta), self.now(), TRIES];
        tx.query_opt(PEEK, looked).await?.ok_or(Error::InvalidChallenge)?.get(0).map_err(Error::from)
    }

    /// Notes a second factor that was given rightly.
    pub(crate) async fn note_passed(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        proof: &Shown,
        session: Option<Id<kind::Session>>,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let event = Event::MfaPassed { factor: proof.kind.as_str(), session };
        self.audit.append(tx, &self.record(meta, event).by_account(account)).await?;
        Ok(())
    }

    /// Notes a second factor that was wrong.
    pub(crate) async fn note_wrong_code(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        kind: FactorKind,
        meta: &RequestMeta,
    ) -> Result<(), Error> {
        let event = Event::MfaFailed { factor: kind.as_str(), reason: "wrong-code" };
        self.audit.append(tx, &self.record(meta, event).about(account).ended(Outcome::Failure)).await?;
        Ok(())
    }
}

/// What the client calls itself: a challenge that was carried off to another program does not count there.
fn binding(meta: &RequestMeta) -> [u8; 32] {
    sha256(meta.agent.as_deref().unwrap_or("").as_bytes())
}

fn row_of(hash: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|at| hash[at])
}
