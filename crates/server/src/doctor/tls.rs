//! Certificate and key: readable, private, usable together, not about to expire.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base::{Clock, Timestamp};
use gateway::TlsFiles;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::Line;
use crate::config::{Resolved, Tls};

const DAY_MS: i64 = 86_400_000;
/// A certificate that ends sooner than this should have been renewed.
const SOON_DAYS: i64 = 14;

pub(super) fn check(config: &Resolved) -> Vec<Line> {
    let Some(tls) = &config.tls else { return Vec::new() };
    let files = TlsFiles { certificate: tls.cert.clone(), key: tls.key.clone(), tls12: false };
    if let Err(error) = gateway::Tls::load(files) {
        return vec![Line::fail(format!("tls: {error}"), "correct tls.cert and tls.key")];
    }
    vec![key_mode(tls), expiry(tls, Clock::system().now())]
}

fn key_mode(tls: &Tls) -> Line {
    let shown = tls.key.display();
    match fs::metadata(&tls.key) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            Line::warn(format!("tls: others may read the key {shown}"), format!("run: chmod 600 {shown}"))
        }
        Ok(_) => Line::ok("tls: certificate and key fit together, and the key is private"),
        Err(error) => Line::fail(format!("tls: {shown}: {error}"), "correct tls.key"),
    }
}

fn expiry(tls: &Tls, now: Timestamp) -> Line {
    let certificate = CertificateDer::pem_file_iter(&tls.cert).ok().and_then(|mut all| all.next()?.ok());
    let Some(end) = certificate.and_then(|der| not_after(&der)) else {
        return Line::warn(
            "tls: the certificate's end cannot be read",
            "look at it: openssl x509 -noout -enddate",
        );
    };
    let days = end.since_ms(now).div_euclid(DAY_MS);
    let remedy = "renew it; a running server takes up new files by itself";
    match days {
        ..0 => Line::fail(format!("tls: the certificate ended at {end}"), remedy),
        0..SOON_DAYS => Line::warn(format!("tls: the certificate ends in {days} days"), remedy),
        _ => Line::ok(format!("tls: the certificate is good for {days} days")),
    }
}

/// `notAfter` of an X.509 certificate (RFC 5280 section 4.1); `None` if the bytes are not one.
fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = element(der)?;
    let (body, _) = element(certificate.content)?;
    let mut rest = body.content;
    // version [0] is optional; then serialNumber, signature, issuer; then validity.
    let (first, after) = element(rest)?;
    if first.tag == 0xa0 {
        rest = after;
    }
    for _ in 0..3 {
        rest = element(rest)?.1;
    }
    let (validity, _) = element(rest)?;
    let (_, after) = element(validity.content)?;
    let (end, _) = element(after)?;
    time(end.tag, std::str::from_utf8(end.content).ok()?)
}

/// One DER element.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

/// The first element of `bytes`, and what follows it.
fn element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let count = usize::from(length & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(count)?;
        (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((Element { tag, content }, rest))
}

/// UTCTime `YYMMDDHHMMSSZ` or GeneralizedTime `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = match tag {
        // Two-digit years below 50 are in this century.
        0x17 => format!("{}{text}", if text < "50" { "20" } else { "19" }),
        0x18 => text.to_owned(),
        _ => return None,
    };
    let digits = text.strip_suffix('Z').filter(|d| d.len() == 14 && d.bytes().all(|b| b.is_ascii_digit()))?;
    let part = |from: usize, to: usize| &digits[from..to];
    let (year, month, day) = (part(0, 4), part(4, 6), part(6, 8));
    Timestamp::parse_rfc3339(&format!(
        "{year}-{month}-{day}T{}:{}:{}Z",
        part(8, 10),
        part(10, 12),
        part(12, 14)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_forms_are_read() {
        assert_eq!(time(0x17, "300102030405Z").unwrap().to_rfc3339(), "2030-01-02T03:04:05.000Z");
        assert_eq!(time(0x18, "20510102030405Z").unwrap().to_rfc3339(), "2051-01-02T03:04:05.000Z");
        for wrong in ["", "Z", "300102030405", "30010203040Z", "309902030405Z", "30010203040éZ"] {
            assert!(time(0x17, wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_end() {
        for wrong in
            [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 2, 0x30, 0]]
        {
            assert!(not_after(wrong).is_none(), "{wrong:?}");
        }
    }
}
