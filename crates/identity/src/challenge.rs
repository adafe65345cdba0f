//! A sign-in between its factors: an opaque value for a few minutes and a few tries, good for nothing but the second one.
//!
//! It counts only together with what it is bound to; the value itself is 256 random bits, kept as a hash. In a browser
//! that is a random value in a `__Host-` cookie of its own: the challenge stands in the page, so whoever gets to see the
//! page (or its source, or a log of forms) has half of what is needed.
//!
//! A client that keeps tokens gets the challenge in its answer. A second value beside it would be lost with it, so what it
//! is bound to is nothing that the answer holds: the user agent, and **the network** where the sign-in began, or else the
//! **device mark** that the client showed with its password (one that it has got from an earlier sign-in). A client that
//! has signed in before may so go from one network to another between its factors; one without a mark begins anew. A
//! network is an IPv4 /24 or an IPv6 /48: carriers move their clients about within those.

use std::net::IpAddr;

use audit::{Event, Outcome};
use base::{Id, kind};
use crypto::mac::sha256;
use store::{Tx, params};

use crate::account::Account;
use crate::factor::{FactorKind, Shown};
use crate::service::Inner;
use crate::{AccountStatus, Error, Partial, RequestMeta, SecondFactorOffer, SessionKind, secret_text};

store::sql! {
    INSERT = "INSERT INTO sign_in_challenge (challenge_hash, account_id, epoch, kind, method, audience, name_sealed, \
        binding, attempts, created_at, expires_at, binding_device) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $11)";
    /// Takes one of the tries, before the code is looked at.
    TRY = "UPDATE sign_in_challenge SET attempts = attempts + 1 WHERE challenge_hash = $1 AND kind = $2 \
        AND (binding = $3 OR binding_device = $6) AND used_at IS NULL AND expires_at > $4 AND attempts < $5 \
        RETURNING account_id, epoch, method, audience, name_sealed";
    /// Ends the challenge with its success. Of two at once one gets the row.
    USE = "UPDATE sign_in_challenge SET used_at = $2 WHERE challenge_hash = $1 AND used_at IS NULL RETURNING account_id";
    /// Who the challenge is for, to offer what they have. Takes no try.
    PEEK = "SELECT account_id, method FROM sign_in_challenge WHERE challenge_hash = $1 AND kind = $2 \
        AND (binding = $3 OR binding_device = $6) AND used_at IS NULL AND expires_at > $4 AND attempts < $5";
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
        let bound = match &browser {
            Some(value) => Bound::to_browser(meta, value.expose()),
            None => self.bound_to_client(meta),
        };
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
                bound.binding,
                now,
                now.plus_ms(self.settings.challenge_ttl_ms),
                bound.device
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
        let Bound { binding, device } = self.bound(kind, meta)?;
        let tried = params![hash, kind.as_str(), binding, self.now(), self.settings.challenge_tries, device];
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
        let (hash, Bound { binding, device }) = (secret_text::hash(challenge), self.bound(kind, meta)?);
        let looked = params![hash, kind.as_str(), binding, self.now(), self.settings.challenge_tries, device];
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

/// What a challenge is bound to: either of the two is enough.
struct Bound {
    binding: [u8; 32],
    /// Agent and device mark, if there is one. No value of it is a `binding`.
    device: Option<[u8; 32]>,
}

impl Bound {
    /// The agent, and what its browser keeps.
    fn to_browser(meta: &RequestMeta, value: &str) -> Self {
        Self { binding: bound(meta, b"", value.as_bytes()), device: None }
    }
}

impl Inner {
    /// What a challenge of this kind must have been bound to, to count for this request.
    fn bound(&self, kind: SessionKind, meta: &RequestMeta) -> Result<Bound, Error> {
        match kind {
            SessionKind::Token => Ok(self.bound_to_client(meta)),
            SessionKind::Browser => {
                let value = meta.challenge.as_deref().filter(|value| secret_text::is_plausible(value, ""));
                Ok(Bound::to_browser(meta, value.ok_or(Error::InvalidChallenge)?))
            }
        }
    }

    fn bound_to_client(&self, meta: &RequestMeta) -> Bound {
        let network = meta.address.map(surroundings).unwrap_or_default();
        Bound {
            binding: bound(meta, b"network", &network),
            device: self.device(meta).map(|device| bound(meta, b"device", device.as_bytes())),
        }
    }
}

/// What the client calls itself, and something else of a kind. The agent's hash and the kinds have fixed lengths, so that
/// no end of the one is taken for a beginning of the other.
fn bound(meta: &RequestMeta, kind: &[u8], value: &[u8]) -> [u8; 32] {
    let agent = sha256(meta.agent.as_deref().unwrap_or("").as_bytes());
    sha256(&[&agent[..], kind, b"\0", value].concat())
}

/// The network that an address is in, wide enough for a client that a carrier moves about.
fn surroundings(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets()[..3].to_vec(),
        IpAddr::V6(address) => address.octets()[..6].to_vec(),
    }
}

fn row_of(hash: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|at| hash[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_moved_about_stays_in_its_surroundings() {
        let of = |text: &str| surroundings(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.200"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:ff::2"));
        assert_ne!(of("2001:db8:1::1"), of("2001:db8:2::1"));
    }
}
