use proptest::prelude::*;

use super::*;
use crate::test_data;

const INNER: &str = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";

fn shared(byte: u8) -> JweKey {
    JweKey::direct("shared-1", LockedKey::from_bytes(&mut [byte; 32]))
}

fn private(seed: u64) -> JweKey {
    JweKey::generate(&Entropy::seeded(seed)).0
}

fn with_header(token: &str, header: &Value) -> String {
    let rest = token.split_once('.').unwrap().1;
    format!("{}.{rest}", encode(header.to_string().as_bytes()))
}

fn header_of(token: &str) -> Value {
    serde_json::from_slice(&decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

#[test]
fn tokens_open_for_their_key_only() {
    let entropy = Entropy::seeded(1);
    let recipient = private(2);
    let public = JweKey::recipient(&recipient.public_jwk().unwrap()).unwrap();
    assert_eq!(public.kid(), recipient.kid());
    for (sealing, opening) in [(&shared(1), &shared(1)), (&public, &recipient), (&recipient, &recipient)] {
        let token = encrypt(sealing, INNER, &entropy);
        assert_eq!(**decrypt(opening, &token).unwrap(), *INNER);
        assert_eq!(header_of(&token)["cty"], "JWT");
        assert_ne!(token, encrypt(sealing, INNER, &entropy));
    }
    let token = encrypt(&shared(1), INNER, &entropy);
    assert_eq!(decrypt(&shared(2), &token).err(), Some(JweError::Broken));
    assert_eq!(decrypt(&recipient, &token).err(), Some(JweError::AlgorithmNotAllowed));
    let token = encrypt(&public, INNER, &entropy);
    assert_eq!(decrypt(&private(3), &token).err(), Some(JweError::UnknownKey));
    assert_eq!(decrypt(&public, &token).err(), Some(JweError::UnknownKey));
    assert_eq!(decrypt(&shared(1), &token).err(), Some(JweError::AlgorithmNotAllowed));
}

#[test]
fn the_secret_of_a_private_key_restores_it() {
    let (key, secret) = JweKey::generate(&Entropy::seeded(4));
    assert_eq!(JweKey::private(&secret).unwrap().public_jwk(), key.public_jwk());
    assert!(JweKey::private(&LockedKey::from_bytes(&mut [0; 32])).is_err());
    assert!(JweKey::private(&LockedKey::from_bytes(&mut [0xFF; 32])).is_err());
}

#[test]
fn recipients_must_be_public_encryption_keys_on_the_curve() {
    let jwk = private(1).public_jwk().unwrap();
    for (name, value) in [
        ("kty", json!("RSA")),
        ("crv", json!("P-384")),
        ("use", json!("sig")),
        ("alg", json!("ES256")),
        ("d", json!("AAAA")),
        ("x", jwk["y"].clone()),
        ("x", json!("AAAA")),
        ("y", json!(null)),
    ] {
        let mut changed = jwk.clone();
        changed[name] = value;
        assert!(JweKey::recipient(&changed).is_err(), "{name}");
    }
    assert!(JweKey::recipient(&json!([])).is_err());
}

#[test]
fn keys_come_from_the_text_of_a_jwk() {
    let text = |text: &str| base::Secret::new(text.to_owned());
    let k = encode(&[7; 32]);
    let key = JweKey::from_jwk(&text(&format!(r#"{{"kty":"oct","k":"{k}","kid":"studio-1"}}"#))).unwrap();
    assert_eq!(key.kid(), "studio-1");
    let same = JweKey::direct("studio-1", LockedKey::from_bytes(&mut [7; 32]));
    let token = encrypt(&key, INNER, &Entropy::seeded(1));
    assert_eq!(&*decrypt(&same, &token).unwrap(), INNER);
    let unnamed = JweKey::from_jwk(&text(&format!(r#"{{"kty":"oct","k":"{k}"}}"#))).unwrap();
    assert!(!unnamed.kid().is_empty() && unnamed.public_jwk().is_none());
    let recipient = private(5);
    let public = JweKey::from_jwk(&text(&recipient.public_jwk().unwrap().to_string())).unwrap();
    assert_eq!(public.kid(), recipient.kid());
    for wrong in [
        "",
        "{}",
        "[]",
        r#"{"kty":"oct"}"#,
        r#"{"kty":"oct","k":7}"#,
        r#"{"kty":"oct","k":"AAAA"}"#,
        r#"{"kty":"RSA","n":"AAAA","e":"AQAB"}"#,
        &format!(r#"{{"kty":"oct","k":"{k}","use":"sig"}}"#),
        &format!(r#"{{"kty":"oct","k":"{k}","alg":"HS256"}}"#),
        &format!(r#"{{"kty":"oct","k":"{k}="}}"#),
    ] {
        assert!(JweKey::from_jwk(&text(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn headers_of_another_form_are_refused() {
    let (entropy, recipient) = (Entropy::seeded(1), private(2));
    let token = encrypt(&recipient, INNER, &entropy);
    let header = header_of(&token);
    let curve = json!({ "kty": "EC", "crv": "P-384", "x": header["epk"]["x"], "y": header["epk"]["y"] });
    let off_curve = json!({ "kty": "EC", "crv": "P-256", "x": header["epk"]["y"], "y": header["epk"]["x"] });
    let with_secret =
        json!({ "kty": "EC", "crv": "P-256", "x": header["epk"]["x"], "y": header["epk"]["y"], "d": "AA" });
    for (name, value, reason) in [
        ("alg", json!("dir"), JweError::AlgorithmNotAllowed),
        ("alg", json!("ECDH-ES+A256KW"), JweError::AlgorithmNotAllowed),
        ("alg", json!("RSA1_5"), JweError::AlgorithmNotAllowed),
        ("alg", json!("PBES2-HS256+A128KW"), JweError::AlgorithmNotAllowed),
        ("enc", json!("A128GCM"), JweError::AlgorithmNotAllowed),
        ("enc", json!("A256CBC-HS512"), JweError::AlgorithmNotAllowed),
        ("zip", json!("DEF"), JweError::Malformed("a member that is not allowed here")),
        ("crit", json!(["exp"]), JweError::Malformed("a member that is not allowed here")),
        ("p2c", json!(1), JweError::Malformed("a member that is not allowed here")),
        ("jwk", json!({}), JweError::Malformed("a member that is not allowed here")),
        ("kid", json!("other"), JweError::UnknownKey),
        ("kid", json!(1), JweError::Malformed("a member that must be a string is not")),
        ("epk", json!(null), JweError::Malformed("no ephemeral key")),
        ("epk", curve, JweError::Malformed("the ephemeral key is not on P-256")),
        ("epk", with_secret, JweError::Malformed("a member that is not allowed here")),
        ("epk", off_curve, JweError::Broken),
        ("apu", json!("!"), JweError::Malformed("apu or apv is not base64url")),
        // A change that keeps the form changes what is authenticated.
        ("apu", json!("QWxpY2U"), JweError::Broken),
        ("typ", json!("JWT"), JweError::Broken),
    ] {
        let mut changed = header.clone();
        changed[name] = value.clone();
        assert_eq!(decrypt(&recipient, &with_header(&token, &changed)).err(), Some(reason), "{name} {value}");
    }
    let direct = encrypt(&shared(1), INNER, &entropy);
    let mut agreed = header_of(&direct);
    agreed["epk"] = header["epk"].clone();
    assert!(matches!(decrypt(&shared(1), &with_header(&direct, &agreed)), Err(JweError::Malformed(_))));
}

#[test]
fn parts_of_another_form_are_refused() {
    let token = encrypt(&shared(1), INNER, &Entropy::seeded(1));
    let parts: Vec<&str> = token.split('.').collect();
    let with = |index: usize, part: &str| {
        let mut changed = parts.clone();
        changed[index] = part;
        decrypt(&shared(1), &changed.join(".")).err()
    };
    assert!(matches!(with(1, "AAAA"), Some(JweError::Malformed(_))));
    assert!(matches!(with(2, "AAAA"), Some(JweError::Malformed(_))));
    assert!(matches!(with(2, &encode(&[0; 16])), Some(JweError::Malformed(_))));
    assert_eq!(with(2, &encode(&[0; 12])), Some(JweError::Broken));
    assert_eq!(with(3, ""), Some(JweError::Broken));
    // Truncated tags forge in fewer guesses.
    for length in [0, 1, 4, 8, 12, 15, 17] {
        assert!(matches!(with(4, &encode(&vec![0; length])), Some(JweError::Malformed(_))), "{length}");
    }
    for text in ["", "....", "a.b.c.d", &format!("{token}.x"), &token.replace('.', ""), "é....."] {
        assert!(matches!(decrypt(&shared(1), text), Err(JweError::Malformed(_))), "{text}");
    }
    assert_eq!(decrypt(&shared(1), &"A".repeat(20_000)).err(), Some(JweError::TooLong));
}

#[test]
fn only_nested_tokens_come_out() {
    let key = shared(1);
    let seal = |header: &Value, text: &[u8]| {
        let aad = encode(header.to_string().as_bytes());
        let mut sealed = text.to_vec();
        let tag = aes(&[1; 32])
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key([0; 12]), Aad::from(&aad), &mut sealed)
            .unwrap();
        format!("{aad}..{}.{}.{}", encode(&[0; 12]), encode(&sealed), encode(tag.as_ref()))
    };
    let plain = json!({ "alg": "dir", "enc": ENC });
    let nested = json!({ "alg": "dir", "enc": ENC, "cty": "jwt" });
    assert_eq!(decrypt(&key, &seal(&plain, b"x")).err(), Some(JweError::NotNested));
    assert_eq!(decrypt(&key, &seal(&nested, b"\xFF")).err(), Some(JweError::NotNested));
    assert_eq!(**decrypt(&key, &seal(&nested, b"x")).unwrap(), *"x");
}

#[test]
fn wycheproof_encryption() {
    let Some(set) = test_data::wycheproof("json_web_encryption_test.json") else { return };
    let (mut valid, mut refused) = (0, 0);
    for group in set["testGroups"].as_array().unwrap() {
        let jwk = &group["private"];
        let bytes = |name: &str| -> Option<[u8; 32]> { decode(jwk[name].as_str()?)?.try_into().ok() };
        let kid = jwk["kid"].as_str().unwrap_or_default().to_owned();
        // Keys of other kinds are tried as well: whatever fits into one of ours must not open.
        let keys = [
            bytes("k").map(|mut k| JweKey::direct(&kid, LockedKey::from_bytes(&mut k))),
            bytes("d").and_then(|mut d| {
                let key = JweKey::private(&LockedKey::from_bytes(&mut d)).ok()?;
                Some(JweKey { kid: kid.clone(), ..key })
            }),
            Some(private(9)),
        ];
        for test in group["tests"].as_array().unwrap() {
            let Some(token) = test["jwe"].as_str() else { continue };
            let opened = keys.iter().flatten().find_map(|key| open(key, token).ok());
            let alg = decode(token.split('.').next().unwrap())
                .and_then(|h| serde_json::from_slice::<Value>(&h).ok())
                .map(|h| h["alg"].clone());
            let ours = ["dir", "ECDH-ES"].iter().any(|name| alg == Some(json!(name))) && test["enc"] == ENC;
            match (ours && test["result"] == "valid", opened) {
                (true, Some((plain, _))) => {
                    assert_eq!(hex::encode(&*plain), test["pt"].as_str().unwrap());
                    valid += 1;
                }
                (false, None) => refused += 1,
                (expected, _) => panic!("vector {}: expected {expected}", test["tcId"]),
            }
        }
    }
    assert!(valid >= 1 && refused > 100, "{valid} opened, {refused} refused");
}

#[test]
fn concat_kdf_has_the_shape_of_rfc_7518() {
    // Appendix C with our cipher's name and length; the expected value was computed from 4.6.2 by hand.
    let z = hex::decode("9e56d91d817135d372834283bf84269cfb316ea3da806a48f6daa7798cfe90c4").unwrap();
    let info = [
        &1_u32.to_be_bytes()[..],
        &z,
        &[0, 0, 0, 7],
        b"A256GCM",
        &[0, 0, 0, 5],
        b"Alice",
        &[0, 0, 0, 3],
        b"Bob",
        &[0, 0, 1, 0],
    ];
    assert_eq!(*concat_kdf(&z, b"Alice", b"Bob"), sha256(&info.concat()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changed_character_is_noticed(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
        let token = encrypt(&shared(1), INNER, &Entropy::seeded(1));
        let mut changed = token.clone();
        let at = at.index(token.len());
        changed.replace_range(at..=at, &to);
        prop_assume!(changed != token);
        prop_assert!(decrypt(&shared(1), &changed).is_err());
    }

    #[test]
    fn arbitrary_text_does_not_open(text in r"[A-Za-z0-9_.-]{0,200}") {
        prop_assert!(decrypt(&shared(1), &text).is_err());
        prop_assert!(decrypt(&private(1), &text).is_err());
    }
}
