//! A sign-in between its factors: an opaque value for a few minutes and a few tries, good for nothing but the second one.
//!
//! It counts only together with what it is bound to. In a browser that is a random value in a `__Host-` cookie of its
//! own: the challenge stands in the page, so whoever gets to see the page (or its source, or a log of forms) has half of
//! what is needed. A client that keeps tokens gets the challenge in its answer, where nothing beside it would be kept
//! any better; there the user agent is all that it is bound to.

use audit::{Event, Outcome};
use base::{Id, Secret, kind};
use crypto::mac::sha256;
use store::{Tx, params};

use crate::account::Account;
use crate::factor::{FactorKind, Shown};
use crate::service::Inner;
use crate::{AccountStatus, Error, Partial, RequestMeta, SecondFactorOffer, SessionKind, secret_text};

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
    PEEK = "SELECT account_id, method FROM sign_in_challenge WHERE challenge_hash = $1 AND kind = $2 AND binding = $3 \
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
        offer: SecondFactorOffer,
        meta: &RequestMeta,
    ) -> Result<Partial, Error> {
        let challenge = secret_text::random(&self.entropy);
        // A new one each time: what was once in somebody's hands is worth nothing for the next sign-in.
        let browser = (wish.kind == SessionKind::Browser).then(|| secret_text::random(&self.entropy));
        let binding = bound(meta.agent.as_deref(), browser.as_ref().map(Secret::expose).map(String::as_str));
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
                binding,
                now,
                now.plus_ms(self.settings.challenge_ttl_ms)
            ],
        )
        .await?;
        let expires_in_s = u32::try_from(self.settings.challenge_ttl_ms / 1000).unwrap_or(300);
        Ok(Partial { challenge, browser, expires_in_s, offer })
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
        let tried =
            params![hash, kind.as_str(), binding(kind, meta)?, self.now(), self.settings.challenge_tries];
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

    /// Whose challenge this is and what its first factor was, for offering their factors; takes no try.
    pub(crate) async fn peek_challenge(
        &self,
        tx: &mut Tx,
        kind: SessionKind,
        challenge: &str,
        meta: &RequestMeta,
    ) -> Result<(Id<kind::Account>, String), Error> {
        if !secret_text::is_plausible(challenge, "") {
            return Err(Error::InvalidChallenge);
        }
        let (hash, binding) = (secret_text::hash(challenge), binding(kind, meta)?);
        let looked = params![hash, kind.as_str(), binding, self.now(), self.settings.challenge_tries];
        let row = tx.query_opt(PEEK, looked).await?.ok_or(Error::InvalidChallenge)?;
        Ok((row.get(0)?, row.get(1)?))
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

/// What a challenge of this kind must have been bound to, to count for this request.
fn binding(kind: SessionKind, meta: &RequestMeta) -> Result<[u8; 32], Error> {
    let browser = match kind {
        SessionKind::Token => None,
        SessionKind::Browser => {
            let value = meta.challenge.as_deref().filter(|value| secret_text::is_plausible(value, ""));
            Some(value.ok_or(Error::InvalidChallenge)?)
        }
    };
    Ok(bound(meta.agent.as_deref(), browser))
}

/// What the client calls itself, and what its browser keeps.
fn bound(agent: Option<&str>, browser: Option<&str>) -> [u8; 32] {
    let agent = sha256(agent.unwrap_or("").as_bytes());
    match browser {
        None => agent,
        // The agent's hash has a fixed length, so that no end of the one is taken for a beginning of the other.
        Some(value) => sha256(&[&agent[..], value.as_bytes()].concat()),
    }
}

fn row_of(hash: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|at| hash[at])
}
