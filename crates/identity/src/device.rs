//! Devices that signed in before: a signed cookie, and the accounts that it is known to.
//!
//! The cookie proves nothing about a person. It only tells a browser apart from others, in a way that a client cannot
//! choose: for the budget of attempts (AUTH-3) and for the assessment of a sign-in (AUTH-10).

use base::{Id, Secret, Timestamp, constant_time_eq, kind};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::mac::hmac_sha256;
use keys::Purpose;
use store::{Tx, params};

use crate::service::Inner;
use crate::{Error, RequestMeta};

/// Separates this use of the cookie key from every other.
const DOMAIN: &[u8] = b"fortissimo/device/v1\0";
/// Number of the key's epoch, the device, and when it was signed.
const BODY: usize = 4 + 16 + 8;
/// Base64url of body and HMAC.
const LENGTH: usize = (BODY + 32) * 4 / 3;

store::sql! {
    KNOWN = "SELECT 1 FROM known_device WHERE account_id = $1 AND device_id = $2 AND last_seen_at > $3";
    SEEN = "INSERT INTO known_device (account_id, device_id, first_seen_at, last_seen_at) VALUES ($1, $2, $3, $3) \
        ON CONFLICT (account_id, device_id) DO UPDATE SET last_seen_at = $3";
    SURPLUS = "DELETE FROM known_device WHERE account_id = $1 AND device_id IN \
        (SELECT device_id FROM known_device WHERE account_id = $1 ORDER BY last_seen_at DESC, device_id LIMIT 100 OFFSET $2)";
    FORGET_ALL = "DELETE FROM known_device WHERE account_id = $1";
}

impl Inner {
    /// The device that the request's cookie names, if the cookie is one of ours and not too old.
    pub(crate) fn device(&self, meta: &RequestMeta) -> Option<Id<kind::Device>> {
        let text = meta.device.as_deref().filter(|text| text.len() == LENGTH)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, signature) = bytes.split_at_checked(BODY)?;
        let number = u32::from_be_bytes(body[..4].try_into().ok()?);
        let signed_at = Timestamp::from_millis(i64::from_be_bytes(body[20..].try_into().ok()?));
        let epoch = self.keys.epoch_number(Purpose::Cookie, number)?;
        let right = hmac_sha256(epoch.key.expose(), &[DOMAIN, body].concat());
        let fresh = self.now().since_ms(signed_at) < self.settings.device_ttl_ms;
        (constant_time_eq(&right, signature) && fresh)
            .then(|| Id::from_bytes(body[4..20].try_into().unwrap_or([0; 16])))
    }

    /// The cookie's value for a device, signed now.
    pub(crate) fn device_token(&self, device: Id<kind::Device>) -> Secret<String> {
        let epoch = self.keys.epoch(Purpose::Cookie);
        let mut bytes = Vec::with_capacity(BODY + 32);
        bytes.extend_from_slice(&epoch.number.to_be_bytes());
        bytes.extend_from_slice(device.as_bytes());
        bytes.extend_from_slice(&self.now().as_millis().to_be_bytes());
        let signature = hmac_sha256(epoch.key.expose(), &[DOMAIN, &bytes].concat());
        bytes.extend_from_slice(&signature);
        Secret::new(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The request's device, if it has signed in to this account before. Where there is no account the same look is
    /// taken, and finds nothing.
    pub(crate) async fn known_device(
        &self,
        tx: &mut Tx,
        account: Option<Id<kind::Account>>,
        meta: &RequestMeta,
    ) -> Result<Option<Id<kind::Device>>, Error> {
        let device = self.device(meta);
        let (asked, whose) =
            (device.unwrap_or(Id::from_bytes([0; 16])), account.unwrap_or(Id::from_bytes([0; 16])));
        let since = self.now().plus_ms(-self.settings.device_ttl_ms);
        let known = tx.query_opt(KNOWN, params![whose, asked, since]).await?.is_some();
        Ok(device.filter(|_| known))
    }

    /// Notes a completed sign-in and gives the cookie to set. A client without one becomes a new device.
    pub(crate) async fn note_device(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        meta: &RequestMeta,
    ) -> Result<Secret<String>, Error> {
        let device = self.device(meta).unwrap_or_else(|| Id::new(&self.clock, &self.entropy));
        tx.execute(SEEN, params![account, device, self.now()]).await?;
        tx.execute(SURPLUS, params![account, self.settings.devices_per_account]).await?;
        Ok(self.device_token(device))
    }

    /// Makes all devices strangers: whoever had the old password may have one of them.
    pub(crate) async fn forget_devices(&self, tx: &mut Tx, account: Id<kind::Account>) -> Result<(), Error> {
        tx.execute(FORGET_ALL, params![account]).await?;
        Ok(())
    }
}
