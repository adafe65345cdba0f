//! The PHC string format, parsed strictly: `$scheme[$v=n][$name=value,…][$salt[$hash]]`.

use argon2::{Algorithm, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::{Params, PepperId, UnsupportedHash};

/// Longer strings are not password hashes.
const MAX_LENGTH: usize = 512;

/// A parsed string; salt and hash are decoded and of sane lengths.
pub(super) struct Phc<'a> {
    pub(super) scheme: &'a str,
    pub(super) version: Option<u32>,
    params: Vec<(&'a str, &'a str)>,
    pub(super) salt: Vec<u8>,
    pub(super) hash: Vec<u8>,
}

impl<'a> Phc<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, UnsupportedHash> {
        if text.len() > MAX_LENGTH {
            return Err(UnsupportedHash::Malformed);
        }
        let mut parts = text.strip_prefix('$').ok_or(UnsupportedHash::UnknownScheme)?.split('$');
        let mut next = || parts.next().ok_or(UnsupportedHash::Malformed);
        let scheme = next()?;
        let mut field = next()?;
        let mut version = None;
        if let Some(number) = field.strip_prefix("v=") {
            version = Some(decimal(number)?);
            field = next()?;
        }
        let params = field.split(',').map(|p| p.split_once('=')).collect::<Option<Vec<_>>>();
        let params = params.ok_or(UnsupportedHash::Malformed)?;
        let (salt, hash) = (unbase64(next()?)?, unbase64(next()?)?);
        let twice = |i: usize| params[..i].iter().any(|(name, _)| *name == params[i].0);
        if parts.next().is_some() || (0..params.len()).any(twice) {
            return Err(UnsupportedHash::Malformed);
        }
        check_lengths(&salt, &hash)?;
        Ok(Self { scheme, version, params, salt, hash })
    }

    /// Refuses parameters that are not among `known`: they would change the meaning of the hash.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), UnsupportedHash> {
        let all_known = self.params.iter().all(|(name, _)| known.contains(name));
        if all_known { Ok(()) } else { Err(UnsupportedHash::Malformed) }
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.params.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    pub(super) fn number(&self, name: &str) -> Result<u32, UnsupportedHash> {
        decimal(self.text(name).ok_or(UnsupportedHash::Malformed)?)
    }
}

/// The pepper that an Argon2 hash names in `keyid`.
pub(super) fn pepper(phc: &Phc<'_>) -> Result<Option<PepperId>, UnsupportedHash> {
    let Some(id) = phc.text("keyid") else { return Ok(None) };
    let id = unbase64(id)?.try_into().map_err(|_| UnsupportedHash::OtherPepper)?;
    Ok(Some(PepperId(id)))
}

/// Algorithm, version and bounded cost of an Argon2 hash.
pub(super) fn argon2(phc: &Phc<'_>) -> Result<(Algorithm, Version, Params), UnsupportedHash> {
    let algorithm = match phc.scheme {
        "argon2id" => Algorithm::Argon2id,
        "argon2i" => Algorithm::Argon2i,
        _ => return Err(UnsupportedHash::UnknownScheme),
    };
    let version = match phc.version {
        Some(0x13) => Version::V0x13,
        Some(0x10) | None => Version::V0x10,
        Some(_) => return Err(UnsupportedHash::Malformed),
    };
    phc.only(&["m", "t", "p", "keyid"])?;
    let (memory, passes, lanes) = (phc.number("m")?, phc.number("t")?, phc.number("p")?);
    // Below the floor of eight blocks a lane it is malformed, above the ceiling too costly.
    if passes == 0 || lanes == 0 || u64::from(memory) < 8 * u64::from(lanes) {
        return Err(UnsupportedHash::Malformed);
    }
    let params = Params::new(memory, passes, lanes).ok_or(UnsupportedHash::TooCostly)?;
    Ok((algorithm, version, params))
}

/// Salt and hash lengths that real systems have and that bound the work.
pub(super) fn check_lengths(salt: &[u8], hash: &[u8]) -> Result<(), UnsupportedHash> {
    // A short hash would let wrong passwords in by chance.
    let sane = (8..=64).contains(&salt.len()) && (16..=64).contains(&hash.len());
    if sane { Ok(()) } else { Err(UnsupportedHash::Malformed) }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

pub(super) fn unbase64(text: &str) -> Result<Vec<u8>, UnsupportedHash> {
    STANDARD_NO_PAD.decode(text).map_err(|_| UnsupportedHash::Malformed)
}

/// A plain decimal number: no sign, no leading zero, at most ten digits.
pub(super) fn decimal(text: &str) -> Result<u32, UnsupportedHash> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !plain {
        return Err(UnsupportedHash::Malformed);
    }
    text.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        std::num::IntErrorKind::PosOverflow => UnsupportedHash::TooCostly,
        _ => UnsupportedHash::Malformed,
    })
}
