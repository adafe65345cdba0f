//! Our tokens and our key set, judged by libraries that others check them with: npm's `jose`, PyPI's `joserfc`.

use std::process::Command;

use base::Entropy;
use serde_json::{Value, json};
use testkit::{Program, Settings, node_modules, python};

use crate::{repository, start};

fn b64(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(part: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()
}

/// Both judges look at the same cases; what they disagree about is the failure's text.
fn judged(judge: &str, command: &mut Command, cases: &std::path::Path) {
    let output = command.arg(cases).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{judge} disagrees:\n{text}");
}

/// A program that signs so, and encrypts for `studio` (a key pair) and `mixer` (a shared key); with the private keys.
fn program(algorithm: &str, folder: &std::path::Path) -> (Program, Value, Value) {
    let (key, secret) = crypto::jwe::JweKey::generate(&Entropy::system());
    let public = key.public_jwk().unwrap();
    let mut private = public.clone();
    private["d"] = b64(secret.expose()).into();
    let shared = json!({ "kty": "oct", "k": b64(Entropy::system().bytes::<32>()) });
    std::fs::write(folder.join("studio.jwk"), public.to_string()).unwrap();
    std::fs::write(folder.join("mixer.jwk"), shared.to_string()).unwrap();
    let at = folder.display();
    let sections = format!(
        "[tokens]\nalgorithm = \"{algorithm}\"\n\
         encrypted_audiences = {{ studio = \"file:{at}/studio.jwk\", mixer = \"file:{at}/mixer.jwk\" }}\n"
    );
    (start(Settings { sections, ..Settings::default() }), private, shared)
}

/// What nobody may take for one of ours, made of two good tokens.
fn tampered(token: &str, other: &str, jwks: &Value) -> Vec<(&'static str, String)> {
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("not a JWS") };
    let [_, other_claims, other_signature] = other.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let changed = |part: &str, change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&decode(part)).unwrap();
        change(&mut value);
        b64(value.to_string())
    };
    let with_head = |name: &'static str, value: Value| changed(header, &|head| head[name] = value.clone());
    let with_claim = |name: &'static str, value: Value| changed(claims, &|body| body[name] = value.clone());
    let mut flipped = decode(signature);
    flipped[3] ^= 1;
    vec![
        ("no algorithm", format!("{}.{claims}.", with_head("alg", json!("none")))),
        ("no signature", format!("{header}.{claims}.")),
        ("key confusion", format!("{}.{claims}.{}", with_head("alg", json!("HS256")), b64(jwks.to_string()))),
        ("another's signature", format!("{header}.{claims}.{other_signature}")),
        ("another's claims", format!("{header}.{other_claims}.{signature}")),
        ("a flipped bit", format!("{header}.{claims}.{}", b64(flipped))),
        ("zeros", format!("{header}.{claims}.{}", b64([0; 64]))),
        ("unknown key", format!("{}.{claims}.{signature}", with_head("kid", json!("nobodys")))),
        ("another type", format!("{}.{claims}.{signature}", with_head("typ", json!("JWT")))),
        ("later expiry", format!("{header}.{}.{signature}", with_claim("exp", json!(4_102_444_800_i64)))),
        ("another subject", format!("{header}.{}.{signature}", with_claim("sub", json!("somebody")))),
        ("another audience", format!("{header}.{}.{signature}", with_claim("aud", json!("elsewhere")))),
    ]
}

async fn judge(algorithm: &str) {
    let (Some(modules), Some(python)) = (node_modules(), python()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (program, studio, mixer) = program(algorithm, folder.path());
    program.artist("ada").await;
    let client = program.client();
    let sign_in = async |audience: Option<&str>| {
        let mut wish = json!({ "identifier": "ada", "password": testkit::ARTIST_PASSWORD });
        if let Some(audience) = audience {
            wish["audience"] = audience.into();
        }
        client.post("/auth/login", wish).await.expect(200).json()
    };
    let access = |pair: &Value| pair["access_token"].as_str().unwrap().to_owned();
    let refreshed = async |pair: &Value| {
        let wish = json!({ "refresh_token": pair["refresh_token"] });
        access(&client.post("/auth/refresh", wish).await.expect(200).json())
    };
    let case = |name: &str, audience: &str, token: &str, good: bool| json!({ "name": name, "audience": audience, "token": token, "good": good });
    let nested = |name: &str, audience: &str, token: &str, good: bool| {
        let mut one = case(name, audience, token, good);
        let (jwk, management) = if audience == "studio" { (&studio, "ECDH-ES") } else { (&mixer, "dir") };
        (one["jwk"], one["management"]) = (jwk.clone(), management.into());
        one
    };

    let pair = sign_in(None).await;
    let (token, next) = (access(&pair), refreshed(&pair).await);
    let mut cases = vec![
        case("at sign-in", "fortissimo", &token, true),
        case("after a refresh", "fortissimo", &next, true),
        case("for us, shown elsewhere", "studio", &token, false),
        case("a refresh token", "fortissimo", pair["refresh_token"].as_str().unwrap(), false),
    ];
    let jwks = client.get("/.well-known/jwks.json").await.expect(200).json();
    cases.extend(
        tampered(&token, &next, &jwks).iter().map(|(name, token)| case(name, "fortissimo", token, false)),
    );
    for audience in ["studio", "mixer"] {
        let pair = sign_in(Some(audience)).await;
        let token = access(&pair);
        cases.push(nested(&format!("nested for {audience}"), audience, &token, true));
        cases.push(nested(&format!("refreshed for {audience}"), audience, &refreshed(&pair).await, true));
        for part in 0..5 {
            let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
            let mut bytes = decode(&parts[part]);
            match bytes.last_mut() {
                Some(last) => *last ^= 1,
                // Both kinds of keys leave the place of the encrypted key empty; it must stay so.
                None => bytes.push(1),
            }
            parts[part] = b64(bytes);
            cases.push(nested(
                &format!("nested for {audience}, part {part} altered"),
                audience,
                &parts.join("."),
                false,
            ));
        }
    }
    let whole = json!({
        "jwks_uri": format!("http://localhost:{}/.well-known/jwks.json", program.port),
        "issuer": format!("http://localhost:{}", program.port),
        "algorithm": algorithm,
        "cases": cases,
    });
    let file = folder.path().join("cases.json");
    std::fs::write(&file, whole.to_string()).unwrap();
    let mut jose = Command::new("node");
    judged("jose", jose.arg(repository("tests/judges/tokens.mjs")).env("NODE_PATH", modules), &file);
    judged("joserfc", Command::new(python).arg(repository("tests/judges/tokens.py")), &file);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_signed_with_es256_are_taken_and_altered_ones_are_not() {
    judge("ES256").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_signed_with_rs256_are_taken_and_altered_ones_are_not() {
    judge("RS256").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_signed_with_eddsa_are_taken_and_altered_ones_are_not() {
    judge("EdDSA").await;
}
