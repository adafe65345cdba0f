//! The classic attacks on token verifiers, one row each, with the reason for which they must be refused.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::tests::{Claims, EXPECTED, NOW, claims};
use super::{Algorithm, Expected, SigningKey, TokenError, VerifyingKeys};
use crate::compact::encode;
use crate::mac::hmac_sha256;

const MEMBER: TokenError = TokenError::Malformed("a member that is not allowed here");
const TWICE: TokenError = TokenError::Malformed("a member occurs twice");
const BASE64: TokenError = TokenError::Malformed("a part is not canonical base64url");
const PARTS: TokenError = TokenError::Malformed("not three parts");

/// A verifier with one key of each kind, and its ES256 key.
struct Scene {
    key: SigningKey,
    rsa: SigningKey,
    keys: VerifyingKeys,
    good: String,
}

/// Made once: an RSA key takes its time.
static SCENE: LazyLock<Scene> = LazyLock::new(Scene::new);

impl Scene {
    fn new() -> Self {
        let (key, rsa) = (SigningKey::generate(Algorithm::ES256).0, SigningKey::generate(Algorithm::RS256).0);
        let keys = VerifyingKeys::of([&key, &rsa]);
        let good = key.sign("at+jwt", &claims());
        Self { key, rsa, keys, good }
    }

    fn header(&self, changes: Value) -> String {
        let mut header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": self.key.kid() });
        for (name, value) in changes.as_object().unwrap() {
            header[name] = value.clone();
        }
        header.to_string()
    }

    /// A token whose signature is right for whatever its header says.
    fn signed(&self, header: &str, payload: &str) -> String {
        self.key.sign_parts(header.as_bytes(), payload.as_bytes())
    }

    /// A token with an attacker's signature bytes.
    fn forged(&self, header: &str, signature: &[u8]) -> String {
        format!("{}.{}.{}", encode(header.as_bytes()), self.part(1), encode(signature))
    }

    fn part(&self, index: usize) -> &str {
        self.good.split('.').nth(index).unwrap()
    }

    #[track_caller]
    fn refuses(&self, name: &str, token: &str, reason: TokenError) {
        assert_eq!(self.keys.verify::<Claims>(token, &EXPECTED), Err(reason), "{name}");
    }
}

fn payload() -> String {
    serde_json::to_string(&claims()).unwrap()
}

#[test]
fn algorithms_chosen_by_the_attacker() {
    let scene = &*SCENE;
    for alg in [
        "none",
        "NONE",
        "None",
        "nOnE",
        "",
        "HS256",
        "ES384",
        "ES256K",
        "PS256",
        "es256",
        "EdDSA ",
        "ES256\u{0}",
    ] {
        let header = scene.header(json!({ "alg": alg }));
        for signature in [&b""[..], &[0; 64], b"x"] {
            scene.refuses(alg, &scene.forged(&header, signature), TokenError::AlgorithmNotAllowed);
        }
    }
    // The public key as a shared secret, in every spelling that a careless verifier would use.
    let jwk = scene.key.public_jwk();
    for secret in [jwk.to_string().into_bytes(), jwk["x"].to_string().into_bytes(), scene.key.kid().into()] {
        let head = encode(scene.header(json!({ "alg": "HS256" })).as_bytes());
        let message = format!("{head}.{}", scene.part(1));
        let token = format!("{message}.{}", encode(&hmac_sha256(&secret, message.as_bytes())));
        scene.refuses("key confusion", &token, TokenError::AlgorithmNotAllowed);
    }
    // A supported algorithm, but not that key's.
    let rsa = scene.header(json!({ "alg": "RS256" }));
    scene.refuses("other key's algorithm", &scene.signed(&rsa, &payload()), TokenError::AlgorithmNotAllowed);
    let confused = scene.header(json!({ "kid": scene.rsa.kid() }));
    scene.refuses("other key's id", &scene.signed(&confused, &payload()), TokenError::AlgorithmNotAllowed);
}

#[test]
fn keys_brought_by_the_attacker() {
    let scene = &*SCENE;
    let theirs = SigningKey::generate(Algorithm::ES256).0;
    for (name, value) in [
        ("jwk", theirs.public_jwk()),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("enc", json!("A256GCM")),
        ("ALG", json!("none")),
        ("x", json!(1)),
    ] {
        let header = scene.header(json!({ name: value }));
        scene.refuses(name, &scene.signed(&header, &payload()), MEMBER);
        scene.refuses(name, &theirs.sign_parts(header.as_bytes(), payload().as_bytes()), MEMBER);
    }
    for kid in [
        "",
        "../../../../dev/null",
        "' OR '1'='1",
        "x' UNION SELECT 'key' --",
        "| sleep 10",
        "\0",
        theirs.kid(),
        &format!("{} ", scene.key.kid()),
    ] {
        let header = scene.header(json!({ "kid": kid }));
        scene.refuses(
            kid,
            &theirs.sign_parts(header.as_bytes(), payload().as_bytes()),
            TokenError::UnknownKey,
        );
    }
    for kid in [json!(null), json!(7), json!(["a"]), json!({})] {
        let header = scene.header(json!({ "kid": kid }));
        let token = scene.signed(&header, &payload());
        scene.refuses("kid", &token, TokenError::Malformed("a member that must be a string is not"));
    }
    let without = r#"{"alg":"ES256","typ":"at+jwt"}"#;
    scene.refuses("no kid", &scene.signed(without, &payload()), TokenError::UnknownKey);
    let spoofed = scene.header(json!({}));
    let token = theirs.sign_parts(spoofed.as_bytes(), payload().as_bytes());
    scene.refuses("their key under our id", &token, TokenError::BadSignature);
}

#[test]
fn signatures_that_were_never_made() {
    let scene = &*SCENE;
    let header = scene.header(json!({}));
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    let one = [[0; 31].to_vec(), vec![1]].concat();
    let zero = [0; 32].to_vec();
    for (r, s) in [
        (&zero, &zero),
        (&zero, &one),
        (&one, &zero),
        (&order, &order),
        (&order, &one),
        (&one, &order),
        (&one, &one),
    ] {
        let token = scene.forged(&header, &[&r[..], s].concat());
        scene.refuses("psychic signature", &token, TokenError::BadSignature);
    }
    let real = crate::compact::decode(scene.part(2)).unwrap();
    for (name, signature) in [
        ("empty", vec![]),
        ("short", real[..63].to_vec()),
        ("half", real[..32].to_vec()),
        ("long", [&real[..], &[0]].concat()),
        ("twice", [&real[..], &real].concat()),
        ("swapped", [&real[32..], &real[..32]].concat()),
        // DER, and P-384's length: other encodings and curves.
        ("der", [&[0x30, 0x44, 0x02, 0x20][..], &real[..32], &[0x02, 0x20], &real[32..]].concat()),
        ("p-384", vec![1; 96]),
    ] {
        scene.refuses(name, &scene.forged(&header, &signature), TokenError::BadSignature);
    }
}

#[test]
fn tokens_that_were_tampered_with() {
    let scene = &*SCENE;
    let (head, body, signature) = (scene.part(0), scene.part(1), scene.part(2));
    let admin = encode(payload().replace("ada", "root").as_bytes());
    scene.refuses("changed claim", &format!("{head}.{admin}.{signature}"), TokenError::BadSignature);
    for token in [
        String::new(),
        ".".to_owned(),
        head.to_owned(),
        format!("{head}.{body}"),
        format!("{}.", scene.good),
        format!("{}.{signature}", scene.good),
        format!(".{}", scene.good),
    ] {
        assert_eq!(
            scene.keys.verify::<Claims>(&token, &EXPECTED).map_err(|e| match e {
                TokenError::Malformed(_) => PARTS,
                other => other,
            }),
            Err(PARTS),
            "{token}"
        );
    }
    for token in [
        format!("{head}=.{body}.{signature}"),
        format!("{head}.{body}==.{signature}"),
        format!("{head}.{body}.{signature}="),
        format!("{head}.{body}.{signature} "),
        format!("{head}.{body}.{signature}\n"),
        format!("{head}.{body}.{}+", &signature[1..]),
        format!("{head}.{body}.é{signature}"),
    ] {
        scene.refuses("not base64url", &token, BASE64);
    }
    // The last character of a 64-byte signature has four spare bits; any but zero is another spelling.
    let last = signature.chars().last().unwrap();
    let spelt =
        (b'A'..=b'Z').map(char::from).find(|c| *c != last && !(*c as u8 - b'A').is_multiple_of(16)).unwrap();
    let spelling = format!("{head}.{body}.{}{spelt}", &signature[..signature.len() - 1]);
    scene.refuses("second spelling", &spelling, BASE64);
    scene.refuses("too long", &format!("{}{}", scene.good, "A".repeat(8192)), TokenError::TooLong);
    let flattened = json!({ "protected": head, "payload": body, "signature": signature }).to_string();
    scene.refuses("JSON serialisation", &flattened, PARTS);
    let spaced = Expected { now: NOW.plus_ms(-1_000_000_000), ..EXPECTED };
    assert_eq!(scene.keys.verify::<Claims>(&scene.good, &spaced), Err(TokenError::IssuedInFuture));
    assert!(scene.keys.verify::<Claims>(&scene.good, &EXPECTED).is_ok(), "the untouched token is good");
}

#[test]
fn json_that_two_readers_read_differently() {
    let scene = &*SCENE;
    let good_header = scene.header(json!({}));
    for header in [
        good_header.replace(r#""alg":"#, r#""alg":"none","alg":"#),
        good_header.replace(r#""alg":"#, r#""\u0061lg":"none","alg":"#),
        good_header.replace(r#""typ":"#, r#""kid":"x","typ":"#),
    ] {
        scene.refuses(&header, &scene.signed(&header, &payload()), TWICE);
    }
    for claims in [
        payload().replace(r#""sub":"#, r#""sub":"root","sub":"#),
        payload().replace(r#""exp":"#, r#""exp":9999999999,"exp":"#),
        payload().replace(r#""aud":"#, r#""a\u0075d":"other","aud":"#),
        payload().replace(r#""sub":"#, r#""act":{"sub":"a","sub":"b"},"sub":"#),
    ] {
        scene.refuses(&claims, &scene.signed(&good_header, &claims), TWICE);
    }
    for (claims, reason) in [
        ("", "not JSON"),
        ("null", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("{} {}", "not JSON"),
        ("\u{feff}{}", "not JSON"),
        (r#"{"iss":NaN}"#, "not JSON"),
    ] {
        scene.refuses(claims, &scene.signed(&good_header, claims), TokenError::Malformed(reason));
    }
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
    scene.refuses("deep", &scene.signed(&good_header, &deep), TokenError::Malformed("not JSON"));
    scene.refuses("deep header", &scene.signed(&deep, &payload()), TokenError::Malformed("not JSON"));
    let no_alg = format!(r#"{{"typ":"at+jwt","kid":"{}"}}"#, scene.key.kid());
    scene.refuses("no alg", &scene.signed(&no_alg, &payload()), TokenError::Malformed("no algorithm"));
}

#[test]
fn tokens_of_another_purpose() {
    let scene = &*SCENE;
    for typ in ["JWT", "logout+jwt", "dpop+jwt", "at+jwt\u{0}"] {
        let token = scene.signed(&scene.header(json!({ "typ": typ })), &payload());
        scene.refuses(typ, &token, TokenError::WrongType);
    }
    let untyped = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, scene.key.kid());
    scene.refuses("no type", &scene.signed(&untyped, &payload()), TokenError::WrongType);
}

/// The wrong primitive: an encrypted token proves nobody's authorship, and a shared key signs nothing.
#[test]
fn tokens_of_another_primitive() {
    let scene = &*SCENE;
    let entropy = base::Entropy::seeded(3);
    let shared = crate::jwe::JweKey::direct(scene.key.kid(), crate::memory::LockedKey::generate(&entropy));
    let recipient = crate::jwe::JweKey::generate(&entropy).0;
    for key in [&shared, &recipient] {
        // Anybody who has the recipient's public key can make this; only what is inside is signed.
        let encrypted = crate::jwe::encrypt(key, &payload(), &entropy);
        scene.refuses("encrypted instead of signed", &encrypted, PARTS);
        assert!(crate::jwe::decrypt(key, &scene.good).is_err(), "a signed token is not an encrypted one");
        let inside = crate::jwe::decrypt(key, &encrypted).unwrap();
        assert!(scene.keys.verify::<Claims>(&inside, &EXPECTED).is_err(), "unsigned claims inside");
    }
    // The private half published by mistake, and a shared key among the public ones.
    for (name, value) in [("d", "AAAA"), ("k", "AAAA")] {
        let mut jwk = scene.key.public_jwk();
        jwk[name] = json!(value);
        assert!(VerifyingKeys::from_jwks(&json!({ "keys": [jwk] }), |_| ()).is_err(), "{name}");
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_text_is_never_a_token(text in r"[A-Za-z0-9_.=-]{0,200}", any in "\\PC{0,100}") {
            prop_assert!(SCENE.keys.verify::<Value>(&text, &EXPECTED).is_err());
            prop_assert!(SCENE.keys.verify::<Value>(&any, &EXPECTED).is_err());
        }

        #[test]
        fn any_changed_character_is_noticed(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
            let mut token = SCENE.good.clone();
            let at = at.index(token.len());
            token.replace_range(at..=at, &to);
            prop_assume!(token != SCENE.good);
            prop_assert!(SCENE.keys.verify::<Value>(&token, &EXPECTED).is_err());
        }

        #[test]
        fn arbitrary_signed_json_does_not_panic(header in "\\PC{0,60}", claims in "\\PC{0,60}") {
            prop_assert!(SCENE.keys.verify::<Value>(&SCENE.signed(&header, &claims), &EXPECTED).is_err());
        }
    }
}
