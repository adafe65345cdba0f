//! Recovery codes: ten of 80 bits, shown once, each good once, stored under a keyed hash.

use audit::{Event, Outcome};
use base::{Id, Secret, kind};
use store::{Tx, params};
use zeroize::Zeroizing;

use super::stopped::MAILED_LENGTH;
use crate::attempt::Authenticator;
use crate::mail::Letter;
use crate::service::Inner;
use crate::{AccountCaller, Error, Identity, RequestMeta};

/// Codes of one issue.
pub(crate) const CODES: usize = 10;
/// Crockford's alphabet: no letter that is read as another.
pub(super) const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 80 bits in characters of five.
const LENGTH: usize = 16;

store::sql! {
    INSERT = "INSERT INTO recovery_code (code_hash, account_id, created_at) VALUES ($1, $2, $3)";
    DROP = "DELETE FROM recovery_code WHERE account_id = $1";
    /// Uses a code up. Of two at once one gets the row.
    USE = "UPDATE recovery_code SET used_at = $3 WHERE code_hash = $1 AND account_id = $2 AND used_at IS NULL \
        AND (expires_at IS NULL OR expires_at > $3) RETURNING expires_at";
    /// On paper.
    LEFT = "SELECT count(*) FROM recovery_code WHERE account_id = $1 AND used_at IS NULL AND expires_at IS NULL";
}

impl Identity {
    /// Ten new recovery codes; the old ones end. They are in this answer and nowhere else.
    ///
    /// # Errors
    /// [`Error::Conflict`] without a second factor that they could stand in for; [`Error::ReauthenticationRequired`].
    pub async fn new_recovery_codes(
        &self,
        caller: &AccountCaller,
        meta: &RequestMeta,
    ) -> Result<Vec<Secret<String>>, Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin(base::Scope::System("recovery codes")).await?;
        inner.must_be_fresh(&mut tx, caller).await?;
        tx.query(super::LOCK, params![caller.account]).await?;
        if !inner.has_factor(&mut tx, caller.account).await? {
            return Err(Error::Conflict("Recovery codes stand in for a second factor; set one up first."));
        }
        let codes = inner.issue_codes(&mut tx, caller.account).await?;
        let count = u32::try_from(codes.len()).unwrap_or(u32::MAX);
        let event = Event::RecoveryCodesIssued { count };
        inner.audit.append(&mut tx, &inner.record(meta, event).by_account(caller.account)).await?;
        tx.commit().await?;
        Ok(codes)
    }
}

impl Inner {
    /// Replaces the account's codes. With new codes their counter begins anew.
    pub(crate) async fn issue_codes(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
    ) -> Result<Vec<Secret<String>>, Error> {
        self.drop_codes(tx, account).await?;
        let now = self.now();
        let mut codes = Vec::with_capacity(CODES);
        for _ in 0..CODES {
            let code = spell(&Zeroizing::new(self.entropy.bytes::<10>()));
            tx.execute(INSERT, params![self.code_hash(account, &code), account, now]).await?;
            codes.push(grouped(&code));
        }
        let anybody = RequestMeta::of(Id::new(&self.clock, &self.entropy));
        let guess = self.guess(Authenticator::RecoveryCode, account.as_bytes(), None, &anybody);
        self.forget_failures(tx, &guess).await?;
        Ok(codes)
    }

    pub(crate) async fn drop_codes(&self, tx: &mut Tx, account: Id<kind::Account>) -> Result<(), Error> {
        tx.execute(DROP, params![account]).await?;
        Ok(())
    }

    pub(crate) async fn codes_left(&self, tx: &mut Tx, account: Id<kind::Account>) -> Result<u32, Error> {
        Ok(tx.query_one(LEFT, params![account]).await?.get(0)?)
    }

    /// Uses a code up; the owner is told.
    pub(super) async fn accept_recovery_code(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        code: &str,
        meta: &RequestMeta,
    ) -> Result<bool, Error> {
        let Some(code) = read(code) else { return Ok(false) };
        let used = tx.query_opt(USE, params![self.code_hash(account, &code), account, self.now()]).await?;
        let Some(used) = used else { return Ok(false) };
        let remaining = self.codes_left(tx, account).await?;
        let record = self.record(meta, Event::RecoveryCodeUsed { remaining }).by_account(account);
        self.audit.append(tx, &record.ended(Outcome::Success)).await?;
        if used.get::<Option<base::Timestamp>>(0)?.is_some() {
            // It came by mail, so its use is no news there.
            return Ok(true);
        }
        self.tell_account(tx, account, |username, at, security| Letter::RecoveryCodeUsed {
            username,
            at,
            security,
            remaining,
        })
        .await?;
        Ok(true)
    }

    pub(super) fn code_hash(&self, account: Id<kind::Account>, code: &str) -> [u8; 32] {
        let bound = Zeroizing::new([&account.as_bytes()[..], code.as_bytes()].concat());
        self.keys.blind_index("recovery_code", "code", &bound)
    }
}

fn spell(bytes: &[u8; 10]) -> Zeroizing<String> {
    let mut bits: u128 = 0;
    for byte in bytes {
        bits = bits << 8 | u128::from(*byte);
    }
    let letter = |at: usize| char::from(ALPHABET[usize::try_from(bits >> (5 * at) & 31).unwrap_or(0)]);
    Zeroizing::new((0..LENGTH).rev().map(letter).collect())
}

/// Groups of four.
pub(super) fn grouped(code: &str) -> Secret<String> {
    let mut text = String::with_capacity(code.len() + code.len() / 4);
    for (at, letter) in code.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push('-');
        }
        text.push(letter);
    }
    Secret::new(text)
}

/// Whether this could be a code that was mailed.
pub(super) fn is_mailed(typed: &str) -> bool {
    read(typed).is_some_and(|code| code.len() == MAILED_LENGTH)
}

/// A code as people type it: hyphens and spaces anywhere, capitals, `o` for zero, `i` and `l` for one.
fn read(typed: &str) -> Option<Zeroizing<String>> {
    if typed.len() > 64 {
        return None;
    }
    let letters = typed.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| match c.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    });
    let code = Zeroizing::new(letters.collect::<String>());
    let length = matches!(code.len(), LENGTH | MAILED_LENGTH);
    (length && code.bytes().all(|byte| ALPHABET.contains(&byte))).then_some(code)
}

#[cfg(test)]
mod tests {
    use base::Entropy;

    use super::*;

    #[test]
    fn codes_are_read_as_they_are_typed() {
        let code = spell(&Entropy::seeded(3).bytes());
        let text = grouped(&code);
        assert_eq!(text.expose().len(), 19);
        assert_eq!(read(text.expose()).as_deref(), Some(&*code));
        assert_eq!(read(&text.expose().to_uppercase().replace('-', " ")).as_deref(), Some(&*code));
        assert_eq!(spell(&[0xff; 10]).as_str(), "z".repeat(16));
        assert_eq!(read("OIL0-0000-0000-0000").as_deref().map(String::as_str), Some("0110000000000000"));
        for wrong in
            ["", "0000", "uuuu-uuuu-uuuu-uuuu", &"0".repeat(17), &"0".repeat(100_000), "äääääääääääääääÄ"]
        {
            assert!(read(wrong).is_none(), "{wrong:.30}");
        }
    }
}
