//! Comparison with hashes that other systems made. None of them is ever made here. A stored text is parsed, with its
//! costs bounded, before any work is done for it.

use std::num::NonZeroU32;
use std::str::FromStr;

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{digest, pbkdf2};
use base::constant_time_eq;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
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
/// Firebase's signer key; the hash is that key, encrypted, and so of the same length.
const FIREBASE_KEY: usize = 64;

/// A stored hash of another system, understood.
pub(super) struct Imported {
    scheme: Scheme,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

enum Scheme {
    /// The whole text, which its library reads itself.
    Bcrypt(String),
    Scrypt(scrypt::Params),
    Pbkdf2(pbkdf2::Algorithm, NonZeroU32),
    /// scrypt gives an AES-256 key, which encrypts the project's signer key in counter mode; the outcome is the hash.
    Firebase {
        params: scrypt::Params,
        signer: Vec<u8>,
    },
    /// One round of a digest over password and salt.
    Salted {
        algorithm: &'static digest::Algorithm,
        salt_first: bool,
    },
}

impl Imported {
    /// Reads any of the known forms.
    pub(super) fn parse(stored: &str) -> Result<Self, UnsupportedHash> {
        if let Some(rest) = stored.strip_prefix('{') {
            return Self::ldap(rest);
        }
        let scheme = stored.strip_prefix('$').and_then(|rest| rest.split('$').next());
        match scheme.ok_or(UnsupportedHash::UnknownScheme)? {
            "2a" | "2b" | "2y" => Self::bcrypt(stored),
            "scrypt" => Self::scrypt(Phc::parse(stored)?),
            "firebase-scrypt" => Self::firebase(Phc::parse(stored)?),
            "pbkdf2" | "pbkdf2-sha1" => Self::pbkdf2(stored, pbkdf2::PBKDF2_HMAC_SHA1),
            "pbkdf2-sha256" => Self::pbkdf2(stored, pbkdf2::PBKDF2_HMAC_SHA256),
            "pbkdf2-sha512" => Self::pbkdf2(stored, pbkdf2::PBKDF2_HMAC_SHA512),
            "salted-sha1" => Self::salted(Phc::parse(stored)?, &digest::SHA1_FOR_LEGACY_USE_ONLY),
            "salted-sha256" => Self::salted(Phc::parse(stored)?, &digest::SHA256),
            "salted-sha512" => Self::salted(Phc::parse(stored)?, &digest::SHA512),
            _ => Err(UnsupportedHash::UnknownScheme),
        }
    }

    /// Whether `password` made it.
    pub(super) fn matches(&self, password: &[u8]) -> Result<bool, UnsupportedHash> {
        let mut output = Zeroizing::new(vec![0; self.hash.len()]);
        match &self.scheme {
            // bcrypt reads 72 bytes; the systems that made these hashes cut longer passwords, so must we.
            Scheme::Bcrypt(stored) => {
                return bcrypt::verify(password, stored).map_err(|_| UnsupportedHash::Malformed);
            }
            Scheme::Scrypt(params) => scrypt::scrypt(password, &self.salt, params, &mut output)
                .map_err(|_| UnsupportedHash::Malformed)?,
            Scheme::Pbkdf2(algorithm, rounds) => {
                pbkdf2::derive(*algorithm, *rounds, &self.salt, password, &mut output);
            }
            Scheme::Firebase { params, signer } => {
                let mut derived = Zeroizing::new([0; 64]);
                scrypt::scrypt(password, &self.salt, params, &mut *derived)
                    .map_err(|_| UnsupportedHash::Malformed)?;
                output.copy_from_slice(signer);
                UnboundCipherKey::new(&AES_256, &derived[..32])
                    .and_then(EncryptingKey::ctr)
                    .and_then(|key| {
                        let counter = EncryptionContext::Iv128(FixedLength::from([0; 16]));
                        key.less_safe_encrypt(&mut output, counter)
                    })
                    .map_err(|_| UnsupportedHash::Malformed)?;
            }
            Scheme::Salted { algorithm, salt_first } => {
                let mut context = digest::Context::new(algorithm);
                let parts: [&[u8]; 2] =
                    if *salt_first { [&self.salt, password] } else { [password, &self.salt] };
                parts.iter().for_each(|part| context.update(part));
                output.copy_from_slice(context.finish().as_ref());
            }
        }
        Ok(constant_time_eq(&output, &self.hash))
    }

    fn bcrypt(stored: &str) -> Result<Self, UnsupportedHash> {
        let cost = stored.get(4..6).filter(|cost| cost.bytes().all(|b| b.is_ascii_digit()));
        let cost: u32 = cost.and_then(|cost| cost.parse().ok()).ok_or(UnsupportedHash::Malformed)?;
        if cost > MAX_BCRYPT_COST {
            return Err(UnsupportedHash::TooCostly);
        }
        bcrypt::HashParts::from_str(stored).map_err(|_| UnsupportedHash::Malformed)?;
        Ok(Self { scheme: Scheme::Bcrypt(stored.to_owned()), salt: Vec::new(), hash: Vec::new() })
    }

    fn scrypt(phc: Phc<'_>) -> Result<Self, UnsupportedHash> {
        phc.only(&["ln", "r", "p"])?;
        let params = scrypt_params(&phc, phc.number("p")?)?;
        Ok(Self { scheme: Scheme::Scrypt(params), salt: phc.salt, hash: phc.hash })
    }

    /// `$firebase-scrypt$ln=14,r=8,ss=…,sk=…$salt$hash`; `ss` is the project's salt separator, `sk` its signer key.
    fn firebase(phc: Phc<'_>) -> Result<Self, UnsupportedHash> {
        phc.only(&["ln", "r", "ss", "sk"])?;
        let field = |name| phc::unbase64(phc.text(name).ok_or(UnsupportedHash::Malformed)?);
        let (separator, signer) = (field("ss")?, field("sk")?);
        if separator.len() > 16 || signer.len() != FIREBASE_KEY || phc.hash.len() != FIREBASE_KEY {
            return Err(UnsupportedHash::Malformed);
        }
        let params = scrypt_params(&phc, 1)?;
        let salt = [phc.salt.as_slice(), &separator].concat();
        Ok(Self { scheme: Scheme::Firebase { params, signer }, salt, hash: phc.hash })
    }

    fn pbkdf2(stored: &str, algorithm: pbkdf2::Algorithm) -> Result<Self, UnsupportedHash> {
        let (rounds, salt, hash) = match passlib(stored)? {
            Some(parts) => parts,
            None => {
                let phc = Phc::parse(stored)?;
                phc.only(&["i", "l"])?;
                let length = phc.text("l").map(phc::decimal).transpose()?;
                if phc.version.is_some() || length.is_some_and(|length| length as usize != phc.hash.len()) {
                    return Err(UnsupportedHash::Malformed);
                }
                (phc.number("i")?, phc.salt, phc.hash)
            }
        };
        if rounds > MAX_PBKDF2_ROUNDS {
            return Err(UnsupportedHash::TooCostly);
        }
        let rounds = NonZeroU32::new(rounds).ok_or(UnsupportedHash::Malformed)?;
        Ok(Self { scheme: Scheme::Pbkdf2(algorithm, rounds), salt, hash })
    }

    /// `$salted-…$order=salt-first|salt-last$salt$hash`, one round.
    fn salted(phc: Phc<'_>, algorithm: &'static digest::Algorithm) -> Result<Self, UnsupportedHash> {
        phc.only(&["order"])?;
        let salt_first = match phc.text("order") {
            Some("salt-first") => true,
            Some("salt-last") => false,
            _ => return Err(UnsupportedHash::Malformed),
        };
        if phc.hash.len() != algorithm.output_len() || phc.version.is_some() {
            return Err(UnsupportedHash::Malformed);
        }
        Ok(Self { scheme: Scheme::Salted { algorithm, salt_first }, salt: phc.salt, hash: phc.hash })
    }

    /// What directories store (RFC 2307 and its custom): base64 of digest and then salt, the salt behind the password.
    fn ldap(rest: &str) -> Result<Self, UnsupportedHash> {
        let (scheme, encoded) = rest.split_once('}').ok_or(UnsupportedHash::Malformed)?;
        let algorithm = match scheme {
            "SSHA" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            "SSHA256" => &digest::SHA256,
            "SSHA512" => &digest::SHA512,
            _ => return Err(UnsupportedHash::UnknownScheme),
        };
        if encoded.len() > 256 {
            return Err(UnsupportedHash::Malformed);
        }
        let mut hash = STANDARD.decode(encoded).map_err(|_| UnsupportedHash::Malformed)?;
        let length = algorithm.output_len();
        if !(length + 4..=length + 64).contains(&hash.len()) {
            return Err(UnsupportedHash::Malformed);
        }
        let salt = hash.split_off(length);
        Ok(Self { scheme: Scheme::Salted { algorithm, salt_first: false }, salt, hash })
    }
}

fn scrypt_params(phc: &Phc<'_>, p: u32) -> Result<scrypt::Params, UnsupportedHash> {
    let (log_n, r) = (phc.number("ln")?, phc.number("r")?);
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
    scrypt::Params::new(log_n, r, p).map_err(|_| UnsupportedHash::Malformed)
}

/// Rounds, salt and hash.
type Pbkdf2 = (u32, Vec<u8>, Vec<u8>);

/// Reads passlib's `$scheme$rounds$salt$hash`, whose base64 has `.` for `+`; `None` if the string
/// is in PHC form.
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
    Ok(Some((phc::decimal(rounds)?, salt, hash)))
}
