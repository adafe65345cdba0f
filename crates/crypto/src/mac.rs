//! Keyed and unkeyed digests: HMAC-SHA-256, SHA-256, blind indexes and keys derived from keys.

use std::io::{self, Read};

use aws_lc_rs::{digest, hkdf, hmac};

use crate::context::push_part;
use crate::memory::LockedKey;

/// HMAC-SHA-256 (RFC 2104) of `data` under `key`.
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    to_32(hmac::sign(&key, data).as_ref())
}

/// SHA-256 (FIPS 180-4) of `data`.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    to_32(digest::digest(&digest::SHA256, data).as_ref())
}

/// SHA-256 (FIPS 180-4) of everything that `input` gives, in constant memory.
///
/// # Errors
/// If it cannot be read.
pub fn sha256_of(input: &mut impl Read) -> io::Result<[u8; 32]> {
    let (mut context, mut part) = (digest::Context::new(&digest::SHA256), vec![0; 64 * 1024]);
    loop {
        match input.read(&mut part) {
            Ok(0) => return Ok(to_32(context.finish().as_ref())),
            Ok(read) => context.update(&part[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A deterministic, keyed fingerprint of `value` in its column, by which an encrypted value can be found
/// and kept unique. Different columns give unrelated fingerprints for the same value. The caller brings
/// `value` into one form (lower case, NFC) first.
pub fn blind_index(key: &LockedKey, table: &str, column: &str, value: &[u8]) -> [u8; 32] {
    let mut data = Vec::with_capacity(64 + table.len() + column.len() + value.len());
    for part in [b"fortissimo/blind-index/v1", table.as_bytes(), column.as_bytes(), value] {
        push_part(&mut data, part);
    }
    let fingerprint = hmac_sha256(key.expose(), &data);
    zeroize::Zeroize::zeroize(&mut data);
    fingerprint
}

/// A key for another use, derived from `key` by HKDF-Expand-SHA-512 (RFC 5869) with `label`. Different
/// labels give unrelated keys.
pub fn derive_key(key: &LockedKey, label: &[u8]) -> LockedKey {
    let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA512, key.expose());
    LockedKey::filled_by(|bytes| expand(&prk, &[b"fortissimo/derive/v1\0", label], bytes))
}

/// HKDF-Expand: fills `out` from `prk` and the concatenated `info`.
pub(crate) fn expand(prk: &hkdf::Prk, info: &[&[u8]], out: &mut [u8]) {
    prk.expand(info, Length(out.len()))
        .and_then(|okm| okm.fill(out))
        .expect("we never ask HKDF for more than 255 blocks");
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn to_32(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().expect("SHA-256 gives 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> LockedKey {
        LockedKey::from_bytes(&mut [byte; 32])
    }

    #[test]
    fn digests_match_published_values() {
        assert_eq!(
            hex::encode(sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let long = vec![b'a'; 1_000_000];
        assert_eq!(
            hex::encode(sha256_of(&mut &long[..]).unwrap()),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        );
        // RFC 4231, test case 2.
        assert_eq!(
            hex::encode(hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn blind_indexes_depend_on_key_column_and_value() {
        let one = blind_index(&key(1), "accounts", "email", b"ada@example.com");
        assert_eq!(one, blind_index(&key(1), "accounts", "email", b"ada@example.com"));
        for other in [
            blind_index(&key(2), "accounts", "email", b"ada@example.com"),
            blind_index(&key(1), "account", "semail", b"ada@example.com"),
            blind_index(&key(1), "accounts", "email", b"ada@example.org"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn derived_keys_differ_by_label() {
        assert_eq!(derive_key(&key(1), b"a").expose(), derive_key(&key(1), b"a").expose());
        assert_ne!(derive_key(&key(1), b"a").expose(), derive_key(&key(1), b"b").expose());
        assert_ne!(derive_key(&key(1), b"a").expose(), key(1).expose());
    }
}
