use base::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;
use crate::test_data;

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_500);
pub(super) const EXPECTED: Expected<'static> =
    Expected { typ: "at+jwt", issuer: "https://id.example", audience: "api", now: NOW, leeway_s: 5 };

#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) aud: String,
    pub(super) sub: String,
    pub(super) exp: i64,
    pub(super) iat: i64,
}

pub(super) fn claims() -> Claims {
    Claims {
        iss: "https://id.example".to_owned(),
        aud: "api".to_owned(),
        sub: "ada".to_owned(),
        exp: 1_700_000_900,
        iat: 1_700_000_000,
    }
}

pub(super) fn key() -> SigningKey {
    SigningKey::generate(Algorithm::ES256).0
}

const ALL: [Algorithm; 3] = [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA];

#[test]
fn what_a_key_signs_its_public_half_verifies() {
    for algorithm in ALL {
        let (key, pkcs8) = SigningKey::generate(algorithm);
        let token = key.sign("at+jwt", &claims());
        assert!(token.len() < 1024);
        let jwks = json!({ "keys": [key.public_jwk()] });
        for keys in [VerifyingKeys::of([&key]), VerifyingKeys::from_jwks(&jwks, |_| ()).unwrap()] {
            assert_eq!(keys.verify::<Claims>(&token, &EXPECTED), Ok(claims()));
        }
        let again = SigningKey::from_pkcs8(algorithm, &pkcs8).unwrap();
        assert_eq!((again.kid(), again.public_jwk()), (key.kid(), key.public_jwk()));
        for other in ALL.into_iter().filter(|other| *other != algorithm) {
            assert!(SigningKey::from_pkcs8(other, &pkcs8).is_err());
        }
    }
    assert!(SigningKey::from_pkcs8(Algorithm::ES256, b"no key").is_err());
}

#[test]
fn thumbprints_match_the_rfcs() {
    // RFC 7638, 3.1 (RSA) and RFC 8037, A.3 (Ed25519).
    let rsa = json!({ "kty": "RSA", "e": "AQAB", "alg": "RS256", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw" });
    let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    for (jwk, thumbprint) in [
        (rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (ed, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
    ] {
        let keys = VerifyingKeys::from_jwks(&json!({ "keys": [jwk] }), |_| ()).unwrap();
        assert_eq!(keys.kids().collect::<Vec<_>>(), [thumbprint]);
    }
}

#[test]
fn key_sets_leave_out_what_they_cannot_use_and_refuse_what_is_wrong() {
    let jwk = key().public_jwk();
    let with = |name: &str, value: Value| {
        let mut changed = jwk.clone();
        changed[name] = value;
        VerifyingKeys::from_jwks(&json!({ "keys": [changed] }), |_| ()).map(|keys| keys.kids().count())
    };
    for (name, value) in [
        ("use", json!("enc")),
        ("alg", json!("ES384")),
        ("crv", json!("P-384")),
        ("kty", json!("oct")),
        ("key_ops", json!(["encrypt"])),
        ("key_ops", json!("verify")),
    ] {
        assert_eq!(with(name, value.clone()), Ok(0), "{name} {value}");
    }
    assert_eq!(with("key_ops", json!(["verify"])), Ok(1));
    for (name, value) in [
        ("x", json!("AAAA")),
        ("x", jwk["y"].clone()),
        ("x", json!("not base64url!")),
        ("y", json!(7)),
        ("d", jwk["x"].clone()),
        ("k", json!("AAAA")),
    ] {
        assert!(with(name, value.clone()).is_err(), "{name} {value}");
    }
    let small = json!({ "kty": "RSA", "e": "AQAB", "n": crate::compact::encode(&[0xC1; 128]) });
    let forgiving = json!({ "kty": "RSA", "e": "Aw", "n": crate::compact::encode(&[0xC1; 256]) });
    for set in [
        json!({ "keys": vec![&jwk; 65] }),
        json!({ "keys": {} }),
        json!([jwk]),
        json!({ "keys": [small] }),
        json!({ "keys": [forgiving] }),
    ] {
        assert!(VerifyingKeys::from_jwks(&set, |_| ()).is_err());
    }
    assert!(VerifyingKeys::from_jwks(&json!({ "keys": [] }), |_| ()).is_ok());
    // One that is broken does not take the sound ones with it.
    let (mut private, mut told) = (SigningKey::generate(Algorithm::EdDSA).0.public_jwk(), Vec::new());
    private["d"] = json!("AAAA");
    let set = json!({ "keys": [private, small, jwk, jwk, forgiving] });
    let keys = VerifyingKeys::from_jwks(&set, |fault| told.push(fault.0)).unwrap();
    assert_eq!(keys.kids().collect::<Vec<_>>(), [jwk["kid"].as_str().unwrap()]);
    assert_eq!(
        told,
        [
            "it holds private parts",
            "the RSA modulus has not 2048 to 8192 bits",
            "two keys have the same id and algorithm",
            "the RSA exponent is not an odd number of 65537 or more"
        ]
    );
}

#[test]
fn old_and_new_keys_verify_side_by_side() {
    let (old, new) = (key(), SigningKey::generate(Algorithm::EdDSA).0);
    let keys = VerifyingKeys::of([&new, &old, &new]);
    assert_eq!(keys.kids().count(), 2);
    for signer in [&old, &new] {
        assert!(keys.verify::<Claims>(&signer.sign("at+jwt", &claims()), &EXPECTED).is_ok());
    }
    let stranger = key().sign("at+jwt", &claims());
    assert_eq!(keys.verify::<Claims>(&stranger, &EXPECTED), Err(TokenError::UnknownKey));
}

/// Signs `claims()` with some members replaced (or removed by null) and verifies.
fn verdict(changes: Value, expected: &Expected<'_>) -> Result<(), TokenError> {
    let key = key();
    let mut object = serde_json::to_value(claims()).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
            value => object[name] = value.clone(),
        }
    }
    VerifyingKeys::of([&key]).verify::<Value>(&key.sign("at+jwt", &object), expected).map(drop)
}

#[test]
fn each_claim_is_checked() {
    const TIME: TokenError = TokenError::Malformed("a time is not a number of seconds");
    let now = NOW.as_secs();
    for (changes, outcome) in [
        (json!({}), Ok(())),
        (json!({ "iss": "https://id.example/" }), Err(TokenError::WrongIssuer)),
        (json!({ "iss": null }), Err(TokenError::WrongIssuer)),
        (json!({ "iss": ["https://id.example"] }), Err(TokenError::WrongIssuer)),
        (json!({ "aud": ["other", "api"] }), Ok(())),
        (json!({ "aud": ["other"] }), Err(TokenError::WrongAudience)),
        (json!({ "aud": [] }), Err(TokenError::WrongAudience)),
        (json!({ "aud": ["api", 7] }), Err(TokenError::WrongAudience)),
        (json!({ "aud": "API" }), Err(TokenError::WrongAudience)),
        (json!({ "aud": { "api": true } }), Err(TokenError::WrongAudience)),
        (json!({ "aud": null }), Err(TokenError::WrongAudience)),
        (json!({ "exp": now - 5 }), Err(TokenError::Expired)),
        (json!({ "exp": now - 4 }), Ok(())),
        (json!({ "exp": 0 }), Err(TokenError::Expired)),
        (json!({ "exp": null }), Err(TokenError::Malformed("no expiry"))),
        (json!({ "exp": "1700000900" }), Err(TIME)),
        (json!({ "exp": true }), Err(TIME)),
        (json!({ "exp": -1 }), Err(TIME)),
        (json!({ "exp": 1e300 }), Err(TIME)),
        (json!({ "exp": 1_700_000_900.5 }), Ok(())),
        (json!({ "exp": u64::MAX }), Ok(())),
        (json!({ "nbf": now + 5 }), Ok(())),
        (json!({ "nbf": now + 6 }), Err(TokenError::NotYetValid)),
        (json!({ "nbf": "soon" }), Err(TIME)),
        (json!({ "iat": now + 5 }), Ok(())),
        (json!({ "iat": now + 6 }), Err(TokenError::IssuedInFuture)),
        (json!({ "iat": now as f64 + 5.5 }), Err(TokenError::IssuedInFuture)),
        (json!({ "iat": null }), Ok(())),
    ] {
        assert_eq!(verdict(changes.clone(), &EXPECTED), outcome, "{changes}");
    }
    let strict = Expected { leeway_s: 0, ..EXPECTED };
    assert_eq!(verdict(json!({ "exp": now }), &strict), Err(TokenError::Expired));
    assert_eq!(verdict(json!({ "exp": now + 1 }), &strict), Ok(()));
}

#[test]
fn the_type_is_compared_without_case_and_prefix() {
    let key = key();
    let keys = VerifyingKeys::of([&key]);
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert!(keys.verify::<Claims>(&key.sign(typ, &claims()), &EXPECTED).is_ok(), "{typ}");
    }
    for typ in ["JWT", "", "application/", "at+jwt ", "x/at+jwt", "application/application/at+jwt"] {
        let refused = keys.verify::<Claims>(&key.sign(typ, &claims()), &EXPECTED);
        assert_eq!(refused, Err(TokenError::WrongType), "{typ}");
    }
}

#[test]
fn claims_of_another_shape_are_told_apart_from_forgeries() {
    let key = key();
    let token =
        key.sign("at+jwt", &json!({ "iss": "https://id.example", "aud": "api", "exp": 1_800_000_000 }));
    let refused = VerifyingKeys::of([&key]).verify::<Claims>(&token, &EXPECTED);
    assert_eq!(refused, Err(TokenError::UnexpectedClaims));
}

#[test]
fn wycheproof_signatures() {
    let Some(set) = test_data::wycheproof("json_web_signature_test.json") else { return };
    let (mut valid, mut invalid, mut stricter) = (0, 0, 0);
    for group in set["testGroups"].as_array().unwrap() {
        // Groups of shared keys have no public half; nothing may verify under them.
        let jwk = group.get("public").unwrap_or(&group["private"]);
        let keys = VerifyingKeys::from_jwks(&json!({ "keys": [jwk] }), |_| ());
        let keys = keys.unwrap_or_else(|_| VerifyingKeys::of([]));
        for test in group["tests"].as_array().unwrap() {
            let id = &test["tcId"];
            let Some(token) = test["jws"].as_str() else { continue };
            let outcome = keys.authentic(token, None);
            let ours = keys.kids().next().is_some();
            match (test["result"].as_str(), outcome) {
                (Some("valid"), Ok(_)) => valid += 1,
                // Without a key id we do not guess which key is meant, and a key that names an algorithm has no other.
                (Some("valid"), Err(TokenError::UnknownKey | TokenError::AlgorithmNotAllowed)) if ours => {
                    stricter += 1
                }
                (Some("valid"), Err(error)) => assert!(!ours, "vector {id}: {error}"),
                (_, Err(_)) => invalid += 1,
                (_, Ok(_)) => panic!("vector {id} was accepted: {}", test["comment"]),
            }
        }
    }
    assert!(
        valid >= 24 && invalid > 200,
        "{valid} valid, {invalid} invalid, {stricter} refused all the same"
    );
}

#[test]
fn wycheproof_keys() {
    let Some(set) = test_data::wycheproof("json_web_key_test.json") else { return };
    let mut refused = 0;
    for group in set["testGroups"].as_array().unwrap() {
        let Some(public) = group.get("public") else { continue };
        for test in group["tests"].as_array().unwrap() {
            if test["result"] != "invalid" {
                continue;
            }
            let Ok(keys) = VerifyingKeys::from_jwks(public, |_| ()) else {
                refused += 1;
                continue;
            };
            assert!(keys.authentic(test["jws"].as_str().unwrap(), None).is_err(), "vector {}", test["tcId"]);
            refused += 1;
        }
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn id_tokens_of_others_may_use_another_curve_and_name_no_key() {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(48);
    let jwk = json!({ "kty": "EC", "crv": "P-384", "x": crate::compact::encode(x), "y": crate::compact::encode(y), "kid": "k" });
    let sign = |header: Value| {
        let body = crate::compact::encode(serde_json::to_string(&claims()).unwrap().as_bytes());
        let signed = format!("{}.{body}", crate::compact::encode(header.to_string().as_bytes()));
        let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", crate::compact::encode(signature.as_ref()))
    };
    // A key of ours with the same id: the algorithm tells them apart, and neither takes the other's tokens.
    let mut same = key().public_jwk();
    same["kid"] = json!("k");
    let keys = VerifyingKeys::from_jwks(&json!({ "keys": [same, jwk] }), |_| ()).unwrap();
    let check = |token: &str| {
        keys.verify_id_token::<Claims>(
            token,
            EXPECTED.issuer,
            EXPECTED.audience,
            EXPECTED.now,
            EXPECTED.leeway_s,
        )
    };
    for header in [json!({ "alg": "ES384", "kid": "k" }), json!({ "alg": "ES384" })] {
        let (read, hash) = check(&sign(header)).unwrap();
        assert_eq!(read, claims());
        // The first 24 bytes of SHA-384.
        assert_eq!(hash.of("abc"), "ywB1P0WjXou1oD1pmsZQBycsMqsO3tFj");
    }
    let wrong = |header: Value| check(&sign(header)).map(|_| ()).unwrap_err();
    assert_eq!(wrong(json!({ "alg": "ES256", "kid": "k" })), TokenError::BadSignature);
    assert_eq!(wrong(json!({ "alg": "ES512", "kid": "k" })), TokenError::AlgorithmNotAllowed);
    assert_eq!(wrong(json!({ "alg": "ES512" })), TokenError::UnknownKey);
    assert_eq!(wrong(json!({ "alg": "HS384", "kid": "k" })), TokenError::AlgorithmNotAllowed);
}
