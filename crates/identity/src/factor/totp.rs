//! Codes that an app shows (TOTP, RFC 6238): SHA-1, six digits, 30 s, because that is what every app understands.

use audit::Event;
use base::{Id, Secret, Timestamp, kind};
use qrcode::render::svg;
use qrcode::{Color, EcLevel, QrCode};
use store::{Change, Tx, params};
use totp_rs::Builder;
use zeroize::Zeroizing;

use super::{LOCK, checked_name};
use crate::attempt::Authenticator;
use crate::factor::FactorKind;
use crate::mail::Letter;
use crate::service::Inner;
use crate::{AccountCaller, Error, Identity, RequestMeta};

/// Seconds of a step.
const STEP_S: u64 = 30;
/// An app that was not confirmed within this time has to be set up anew.
pub(crate) const SETUP_TTL_MS: i64 = 3_600_000;

store::sql! {
    /// One set-up at a time.
    DROP_UNCONFIRMED = "DELETE FROM factor WHERE account_id = $1 AND kind = 'totp' AND confirmed_at IS NULL";
    INSERT = "INSERT INTO factor (factor_id, account_id, kind, name_sealed, secret_sealed, created_at) \
        VALUES ($1, $2, 'totp', $3, $4, $5)";
    UNCONFIRMED = "SELECT secret_sealed FROM factor WHERE factor_id = $1 AND account_id = $2 AND kind = 'totp' \
        AND confirmed_at IS NULL AND created_at > $3";
    /// Makes it count. The step that confirmed it is used up with that.
    CONFIRM = "UPDATE factor SET confirmed_at = $3, last_used_at = $3, last_step = $4 \
        WHERE factor_id = $1 AND account_id = $2 AND confirmed_at IS NULL";
    ACTIVE = "SELECT factor_id, secret_sealed FROM factor \
        WHERE account_id = $1 AND kind = 'totp' AND confirmed_at IS NOT NULL ORDER BY created_at LIMIT 100";
    /// Accepts a step once. Of two at once one gets the row.
    ACCEPT = "UPDATE factor SET last_step = $3, last_used_at = $4 WHERE factor_id = $1 AND account_id = $2 \
        AND confirmed_at IS NOT NULL AND (last_step IS NULL OR last_step < $3) RETURNING factor_id";
}

/// An app to be confirmed. The secret is shown here and never again.
#[derive(Debug)]
pub struct TotpSetup {
    /// The factor that it will be.
    pub factor: Id<kind::Factor>,
    /// The secret in base32, for typing.
    pub secret: Secret<String>,
    /// `otpauth://totp/…`, for apps.
    pub url: Secret<String>,
    /// When it must have been confirmed.
    pub expires_at: Timestamp,
}

impl TotpSetup {
    /// The QR code of the URL as an SVG image (with a quiet zone, black on white).
    ///
    /// # Errors
    /// If the URL is too long for a QR code, which ours are not.
    pub fn qr_svg(&self) -> Result<String, Error> {
        Ok(self.qr()?.render::<svg::Color<'_>>().min_dimensions(240, 240).build())
    }

    /// The QR code of the URL as a PNG image.
    ///
    /// # Errors
    /// As [`TotpSetup::qr_svg`].
    pub fn qr_png(&self) -> Result<Vec<u8>, Error> {
        const SCALE: usize = 6;
        const QUIET: usize = 4;
        let code = self.qr()?;
        let (width, modules) = (code.width(), code.to_colors());
        let side = (width + 2 * QUIET) * SCALE;
        let mut pixels = Zeroizing::new(vec![0xff_u8; side * side]);
        for (at, module) in modules.iter().enumerate() {
            if *module == Color::Dark {
                let (left, top) = ((at % width + QUIET) * SCALE, (at / width + QUIET) * SCALE);
                for line in top..top + SCALE {
                    pixels[line * side + left..line * side + left + SCALE].fill(0);
                }
            }
        }
        let mut out = Vec::new();
        let side = u32::try_from(side).map_err(|_| Error::internal("a QR code is larger than a picture"))?;
        let mut encoder = png::Encoder::new(&mut out, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
        written.map_err(|error| Error::Internal(error.into()))?;
        Ok(out)
    }

    fn qr(&self) -> Result<QrCode, Error> {
        QrCode::with_error_correction_level(self.url.expose(), EcLevel::M)
            .map_err(|error| Error::Internal(error.into()))
    }
}

impl Identity {
    /// Prepares an app: it counts for nothing until [`Identity::confirm_totp`]. A set-up that was begun before ends.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`], [`Error::Invalid`], [`Error::Conflict`] with too many factors.
    pub async fn setup_totp(
        &self,
        caller: &AccountCaller,
        name: Option<&str>,
        meta: &RequestMeta,
    ) -> Result<TotpSetup, Error> {
        let inner = &*self.0;
        let name = checked_name(name)?;
        let mut tx = inner.db.begin(caller.scope()).await?;
        inner.must_be_fresh(&mut tx, caller).await?;
        inner.may_have_another_factor(&mut tx, caller.account).await?;
        tx.execute(DROP_UNCONFIRMED, params![caller.account]).await?;
        let factor: Id<kind::Factor> = Id::new(&inner.clock, &inner.entropy);
        let secret = Zeroizing::new(inner.entropy.bytes::<20>());
        let place = ("factor", "secret", *factor.as_bytes());
        let sealed = inner.seal(&mut tx, caller.account, place, &*secret).await?;
        let name = inner.seal_factor_name(&mut tx, caller.account, factor, name).await?;
        let now = inner.now();
        tx.execute(INSERT, params![factor, caller.account, name, sealed, now]).await?;
        let event = Event::AccountProfileChanged { fields: &["totp-setup"] };
        inner.audit.append(&mut tx, &inner.record(meta, event).by_account(caller.account)).await?;
        tx.commit().await?;
        let base32 = totp_rs::Secret::new_stack(*secret).to_base32();
        let issuer = percent_encoding::utf8_percent_encode(
            &inner.settings.product,
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string();
        // Issuer in the label and as a parameter, as the Key URI format asks for; the username needs no escaping.
        let url = format!(
            "otpauth://totp/{issuer}:{}?secret={base32}&issuer={issuer}&algorithm=SHA1&digits=6&period={STEP_S}",
            caller.username
        );
        Ok(TotpSetup {
            factor,
            secret: Secret::new(base32),
            url: Secret::new(url),
            expires_at: now.plus_ms(SETUP_TTL_MS),
        })
    }

    /// The app shows a right code, so from now on it is asked for. With the first factor of the account come ten
    /// recovery codes, shown here and never again.
    ///
    /// # Errors
    /// [`Error::WrongCode`], [`Error::TooManyAttempts`], [`Error::NotFound`], [`Error::ReauthenticationRequired`].
    pub async fn confirm_totp(
        &self,
        caller: &AccountCaller,
        factor: Id<kind::Factor>,
        code: &Secret<String>,
        meta: &RequestMeta,
    ) -> Result<Option<Vec<Secret<String>>>, Error> {
        let inner = &*self.0;
        let mut tx = inner.db.begin(base::Scope::System("confirming an app")).await?;
        inner.must_be_fresh(&mut tx, caller).await?;
        tx.query(LOCK, params![caller.account]).await?;
        let now = inner.now();
        let row = tx
            .query_opt(UNCONFIRMED, params![factor, caller.account, now.plus_ms(-SETUP_TTL_MS)])
            .await?
            .ok_or(Error::NotFound)?;
        let guess = inner.guess(Authenticator::Totp, factor.as_bytes(), None, meta);
        inner.may_try(&mut tx, &guess).await?;
        let digits = read(code.expose());
        let step = match &digits {
            None => None,
            Some(digits) => {
                inner.matching_step(&mut tx, caller.account, factor, &row.get::<Vec<u8>>(0)?, digits).await?
            }
        };
        let Some(step) = step else {
            inner.count_failure(&mut tx, &guess, Some(caller.account), meta).await?;
            inner.note_wrong_code(&mut tx, caller.account, FactorKind::Totp, meta).await?;
            tx.commit().await?;
            return Err(Error::WrongCode);
        };
        inner.count_success(&mut tx, &guess).await?;
        let first = !inner.has_factor(&mut tx, caller.account).await?;
        if tx.execute(CONFIRM, params![factor, caller.account, now, step]).await? == 0 {
            return Err(Error::NotFound);
        }
        inner.rebind_app(&mut tx, caller.account, factor, meta).await?;
        let codes = if first { Some(inner.issue_codes(&mut tx, caller.account).await?) } else { None };
        // Whoever has just shown a right code has given the second factor in this session.
        inner.note_second_factor(&mut tx, caller.account, caller.session).await?;
        let event = Event::MfaEnrolled { factor: FactorKind::Totp.as_str() };
        inner.audit.append(&mut tx, &inner.record(meta, event).by_account(caller.account)).await?;
        inner
            .tell(&mut tx, caller, |username, at, security| Letter::FactorAdded {
                username,
                at,
                security,
                kind: FactorKind::Totp,
            })
            .await?;
        // All sessions of the account: a second factor can be demanded from now on.
        tx.announce(Change::Account(caller.account));
        inner.commit_change(tx, Change::Account(caller.account)).await?;
        Ok(codes)
    }
}

impl Inner {
    /// Whether one of the account's apps shows this code now (or a step before or after), for the first time.
    pub(super) async fn accept_totp(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        digits: &str,
    ) -> Result<bool, Error> {
        for row in tx.query(ACTIVE, params![account]).await? {
            let factor: Id<kind::Factor> = row.get(0)?;
            let sealed: Vec<u8> = row.get(1)?;
            if let Some(step) = self.matching_step(tx, account, factor, &sealed, digits).await?
                && tx.query_opt(ACCEPT, params![factor, account, step, self.now()]).await?.is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The step whose code this is.
    async fn matching_step(
        &self,
        tx: &mut Tx,
        account: Id<kind::Account>,
        factor: Id<kind::Factor>,
        sealed: &[u8],
        digits: &str,
    ) -> Result<Option<i64>, Error> {
        let field = keys::Field { table: "factor", column: "secret", row: *factor.as_bytes() };
        let secret = self.keys.open_field(tx, keys::Subject::Account(account), field, sealed).await?;
        let secret =
            secret.as_slice().try_into().map_err(|_| Error::internal("a TOTP secret is not 20 bytes"))?;
        let totp = Builder::new()
            .with_secret(totp_rs::Secret::new_stack(secret))
            .build()
            .map_err(|_| Error::internal("160 bits are a TOTP secret"))?;
        let now = u64::try_from(self.now().as_secs()).unwrap_or(0);
        Ok(totp.check(digits, now).and_then(|step| i64::try_from(step).ok()))
    }
}

/// Six digits, perhaps with a space in the middle as apps show them; `None` for anything else.
pub(super) fn read(code: &str) -> Option<Zeroizing<String>> {
    if code.len() > 16 {
        return None;
    }
    let digits = Zeroizing::new(code.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>());
    (digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}
