//! Single-use links: 256 random bits, stored as a hash, consumed by one conditional update.

use base::{Id, Secret, Timestamp, kind};
use store::{Tx, params};

use crate::service::Inner;
use crate::{Error, secret_text};

store::sql! {
    INSERT = "INSERT INTO one_time_code (code_hash, purpose, account_id, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5)";
    /// Consumes a code. Two who come at once cannot both get the row.
    CONSUME = "UPDATE one_time_code SET used_at = $3 \
        WHERE code_hash = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $3 RETURNING account_id";
    PEEK = "SELECT account_id FROM one_time_code \
        WHERE code_hash = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $3";
    /// Voids what an account still has of one purpose.
    VOID = "UPDATE one_time_code SET used_at = $3 WHERE account_id = $1 AND purpose = $2 AND used_at IS NULL";
}

/// What a code is for; one for another purpose does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodePurpose {
    Verify,
    Reset,
    Setup,
}

impl CodePurpose {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::Setup => "setup",
        }
    }
}

impl Inner {
    /// Makes a code; it exists in clear only in the answer of this function.
    pub(crate) async fn issue_code(
        &self,
        tx: &mut Tx,
        purpose: CodePurpose,
        account: Option<Id<kind::Account>>,
        ttl_ms: i64,
    ) -> Result<(Secret<String>, Timestamp), Error> {
        let code = secret_text::random(&self.entropy);
        let now = self.now();
        let expires_at = now.plus_ms(ttl_ms);
        let hash = secret_text::hash(code.expose());
        tx.execute(INSERT, params![hash, purpose.as_str(), account, now, expires_at]).await?;
        Ok((code, expires_at))
    }

    /// Whose code this is, without consuming it.
    pub(crate) async fn peek_code(
        &self,
        tx: &mut Tx,
        purpose: CodePurpose,
        code: &str,
    ) -> Result<Id<kind::Account>, Error> {
        self.take(tx, PEEK, purpose, code).await?.ok_or(Error::InvalidCode)
    }

    /// Consumes an account's code.
    pub(crate) async fn consume_code(
        &self,
        tx: &mut Tx,
        purpose: CodePurpose,
        code: &str,
    ) -> Result<Id<kind::Account>, Error> {
        self.take(tx, CONSUME, purpose, code).await?.ok_or(Error::InvalidCode)
    }

    /// Whether this set-up link is open.
    pub(crate) async fn setup_code_exists(&self, tx: &mut Tx, code: &str) -> Result<bool, Error> {
        if !secret_text::is_plausible(code, "") {
            return Ok(false);
        }
        let params = params![secret_text::hash(code), CodePurpose::Setup.as_str(), self.now()];
        Ok(tx.query_opt(PEEK, params).await?.is_some())
    }

    async fn take(
        &self,
        tx: &mut Tx,
        sql: store::Sql,
        purpose: CodePurpose,
        code: &str,
    ) -> Result<Option<Id<kind::Account>>, Error> {
        if !secret_text::is_plausible(code, "") {
            return Ok(None);
        }
        let row = tx.query_opt(sql, params![secret_text::hash(code), purpose.as_str(), self.now()]).await?;
        Ok(row.map(|row| row.get::<Option<Id<kind::Account>>>(0)).transpose()?.flatten())
    }

    /// Voids the account's other codes of this purpose.
    pub(crate) async fn void_codes(
        &self,
        tx: &mut Tx,
        purpose: CodePurpose,
        account: Id<kind::Account>,
    ) -> Result<(), Error> {
        tx.execute(VOID, params![account, purpose.as_str(), self.now()]).await?;
        Ok(())
    }
}
