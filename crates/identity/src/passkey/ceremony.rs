//! What is kept between question and answer.

use base::{Id, Scope, Secret, Timestamp, kind};
use keys::{Field, Purpose};
use serde::{Deserialize, Serialize};
use store::{Tx, params};
use webauthn_rs::prelude::{DiscoverableAuthentication, PasskeyAuthentication, PasskeyRegistration};
use webauthn_rs_core::proto::RegistrationState;

use crate::service::Inner;
use crate::{Error, secret_text};

/// As long as the second factor may take (AUTH-7).
pub(super) const TTL_MS: i64 = 300_000;

store::sql! {
    INSERT = "INSERT INTO passkey_ceremony (ceremony_hash, body_sealed, created_at, expires_at) VALUES ($1, $2, $3, $4)";
    /// Who begins one clears away some that were never answered: so a flood of them leaves those of a few minutes.
    CLEAR = sqlite "DELETE FROM passkey_ceremony WHERE ceremony_hash IN
            (SELECT ceremony_hash FROM passkey_ceremony WHERE expires_at < $1 ORDER BY expires_at LIMIT 4)",
        postgres "DELETE FROM passkey_ceremony WHERE ceremony_hash IN
            (SELECT ceremony_hash FROM passkey_ceremony WHERE expires_at < $1 ORDER BY expires_at LIMIT 4
             FOR UPDATE SKIP LOCKED)";
    /// An answer counts once, right or wrong.
    TAKE = "DELETE FROM passkey_ceremony WHERE ceremony_hash = $1 RETURNING body_sealed, expires_at";
}

/// A ceremony that was begun.
#[derive(Serialize, Deserialize)]
pub(super) enum Ceremony {
    /// A new passkey for this session's account.
    Register { account: Id<kind::Account>, session: Id<kind::Session>, state: PasskeyRegistration },
    /// A passkey that the browser may make by itself, right after a password.
    Upgrade { account: Id<kind::Account>, session: Id<kind::Session>, state: RegistrationState },
    /// Any passkey of anybody.
    Discover { state: DiscoverableAuthentication },
    /// A passkey of the account whose sign-in is halfway.
    Second { challenge: String, state: PasskeyAuthentication },
    /// A passkey of this session's account, given again.
    Again { account: Id<kind::Account>, session: Id<kind::Session>, state: PasskeyAuthentication },
}

const fn field(row: [u8; 16]) -> Field<'static> {
    Field { table: "passkey_ceremony", column: "body", row }
}

fn row_of(hash: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|at| hash[at])
}

impl Inner {
    /// Keeps a ceremony and gives its name.
    pub(super) async fn keep_ceremony(&self, ceremony: &Ceremony) -> Result<Secret<String>, Error> {
        let name = secret_text::random(&self.entropy);
        let hash = secret_text::hash(name.expose());
        let body = serde_json::to_vec(ceremony).map_err(|error| Error::Internal(error.into()))?;
        let sealed = self.keys.seal_system(Purpose::Cookie, field(row_of(&hash)), &body);
        let now = self.now();
        let mut tx = self.db.begin(Scope::System("passkey")).await?;
        tx.execute(CLEAR, params![now]).await?;
        tx.execute(INSERT, params![hash, sealed, now, now.plus_ms(TTL_MS)]).await?;
        tx.commit().await?;
        Ok(name)
    }

    /// Ends a ceremony and gives what was kept; [`Error::InvalidChallenge`] if there is none.
    pub(super) async fn take_ceremony(&self, name: &str) -> Result<Ceremony, Error> {
        if !secret_text::is_plausible(name, "") {
            return Err(Error::InvalidChallenge);
        }
        let hash = secret_text::hash(name);
        let mut tx: Tx = self.db.begin(Scope::System("passkey")).await?;
        let row = tx.query_opt(TAKE, params![hash]).await?.ok_or(Error::InvalidChallenge)?;
        tx.commit().await?;
        if row.get::<Timestamp>(1)? <= self.now() {
            return Err(Error::InvalidChallenge);
        }
        let body = self.keys.open_system(Purpose::Cookie, field(row_of(&hash)), &row.get::<Vec<u8>>(0)?)?;
        serde_json::from_slice(&body).map_err(|error| Error::Internal(error.into()))
    }
}
