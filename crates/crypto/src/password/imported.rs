//! Comparison with hashes that other systems made. None of them is ever made here.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use base::constant_time_eq;
use zeroize::Zeroizing;

use super::UnsupportedHash;
use super::phc::{self, Phc};

/// Two to this many rounds take about a second.
const MAX_BCRYPT_COST: u32 = 14;
/// About half a second of HMAC-SHA-512.
const MAX_PBKDF2_ROUNDS: u32 = 2_000_000;
/// 128 · r · N bytes of memory.
const MAX_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;
/// r · N · p: about a second.
const MAX_SCRYPT_WORK: u64 = 4 * 1024 * 1024;

/// Whether `password` is the one that made `stored`.
pub(super) fn verify(password: &[u8], stored: &str) -> Result<bool, UnsupportedHash> {
    let scheme = stored.strip_prefix('$').and_then(|rest| rest.split('$').next());
    match scheme.ok_or(UnsupportedHash::UnknownScheme)? {
        "2a" | "2b" | "2y" => bcrypt(password, stored),
        "scrypt" => scrypt(password, &Phc::parse(stored)?),
        "pbkdf2" | "pbkdf2-sha1" => pbkdf2(password, stored, pbkdf2::PBKDF2_HMAC_SHA1),
        "pbkdf2-sha256" => pbkdf2(password, stored, pbkdf2::PBKDF2_HMAC_SHA256),
        "pbkdf2-sha512" => pbkdf2(password, stored, pbkdf2::PBKDF2_HMAC_SHA512),
        _ => Err(UnsupportedHash::UnknownScheme),
    }
}

fn bcrypt(password: &[u8], stored: &str) -> Result<bool, UnsupportedHash> {
    let cost = stored.get(4..6).filter(|cost| cost.bytes().all(|b| b.is_ascii_digit()));
    let cost: u32 = cost.and_then(|cost| cost.parse().ok()).ok_or(UnsupportedHash::Malformed)?;
    if cost > MAX_BCRYPT_COST {
        return Err(UnsupportedHash::TooCostly);
    }
    // bcrypt reads 72 bytes; the systems that made these hashes cut longer passwords, so must we.
    bcrypt::verify(password, stored).map_err(|_| UnsupportedHash::Malformed)
}

fn scrypt(password: &[u8], phc: &Phc<'_>) -> Result<bool, UnsupportedHash> {
    phc.only(&["ln", "r", "p"])?;
    let (log_n, r, p) = (phc.number("ln")?, phc.number("r")?, phc.number("p")?);
    if log_n == 0 || r == 0 || p == 0 || phc.version.is_some() {
        return Err(UnsupportedHash::Malformed);
    }
    let cells = 1_u64.checked_shl(log_n).and_then(|n| n.checked_mul(u64::from(r)));
    let cells = cells.filter(|cells| log_n < 32 && *cells <= MAX_SCRYPT_BYTES / 128);
    let work = cells.and_then(|cells| cells.checked_mul(u64::from(p)));
    if work.is_none_or(|work| work > MAX_SCRYPT_WORK) {
        return Err(UnsupportedHash::TooCostly);
    }
    let log_n = u8::try_from(log_n).map_err(|_| UnsupportedHash::TooCostly)?;
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| UnsupportedHash::Malformed)?;
    let mut output = Zeroizing::new(vec![0; phc.hash.len()]);
    scrypt::scrypt(password, &phc.salt, &params, &mut output).map_err(|_| UnsupportedHash::Malformed)?;
    Ok(constant_time_eq(&output, &phc.hash))
}

fn pbkdf2(password: &[u8], stored: &str, algorithm: pbkdf2::Algorithm) -> Result<bool, UnsupportedHash> {
    let Pbkdf2 { rounds, salt, hash } = match passlib(stored)? {
        Some(parts) => parts,
        None => Pbkdf2::phc(stored)?,
    };
    if rounds > MAX_PBKDF2_ROUNDS {
        return Err(UnsupportedHash::TooCostly);
    }
    let rounds = NonZeroU32::new(rounds).ok_or(UnsupportedHash::Malformed)?;
    let mut output = Zeroizing::new(vec![0; hash.len()]);
    pbkdf2::derive(algorithm, rounds, &salt, password, &mut output);
    Ok(constant_time_eq(&output, &hash))
}

struct Pbkdf2 {
    rounds: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Pbkdf2 {
    fn phc(stored: &str) -> Result<Self, UnsupportedHash> {
        let phc = Phc::parse(stored)?;
        phc.only(&["i", "l"])?;
        let length = phc.text("l").map(phc::decimal).transpose()?;
        if phc.version.is_some() || length.is_some_and(|length| length as usize != phc.hash.len()) {
            return Err(UnsupportedHash::Malformed);
        }
        Ok(Self { rounds: phc.number("i")?, salt: phc.salt, hash: phc.hash })
    }
}

/// Reads passlib's `$scheme$rounds$salt$hash`, whose base64 has `.` for `+`; `None` if the string is in PHC
/// form.
fn passlib(stored: &str) -> Result<Option<Pbkdf2>, UnsupportedHash> {
    let parts: Vec<&str> = stored.splitn(7, '$').collect();
    let ["", _, rounds, salt, hash] = parts[..] else { return Ok(None) };
    if !rounds.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    let decode = |text: &str| {
        let passlibs = !text.contains('+') && text.len() <= 128;
        if passlibs { phc::unbase64(&text.replace('.', "+")) } else { Err(UnsupportedHash::Malformed) }
    };
    let (salt, hash) = (decode(salt)?, decode(hash)?);
    phc::check_lengths(&salt, &hash)?;
    Ok(Some(Pbkdf2 { rounds: phc::decimal(rounds)?, salt, hash }))
}
