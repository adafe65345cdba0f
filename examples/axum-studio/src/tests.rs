//! The service alone, with statements of a gateway that the test plays.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::http::{Method, Request};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

const GATEWAY: &str = "http://localhost:8080";
const SERVICE: &str = "http://127.0.0.1:9000";
const ADA: &str = "0198c0de-0000-7000-8000-00000000000a";
const BOB: &str = "0198c0de-0000-7000-8000-00000000000b";

struct House {
    router: Router,
    key: EncodingKey,
    _folder: tempfile::TempDir,
}

fn key() -> EncodingKey {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    EncodingKey::from_ec_der(pkcs8.as_ref())
}

async fn house() -> House {
    let key = key();
    let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
    public.common.key_id = Some("one".into());
    let verifier = Verifier::new(GATEWAY, SERVICE).unwrap();
    verifier.teach(&JwkSet { keys: vec![public] }).await;
    let folder = tempfile::tempdir().unwrap();
    let tracks = Tracks::open(folder.path().to_owned()).unwrap();
    let router = router(Studio { verifier: Arc::new(verifier), tracks: Arc::new(tracks) }).unwrap();
    House { router, key, _folder: folder }
}

fn claims(account: &str) -> Value {
    let exp = jsonwebtoken::get_current_timestamp() + 60;
    json!({ "iss": GATEWAY, "aud": SERVICE, "sub": account, "username": account, "role": "user", "tier": "free", "exp": exp })
}

fn sign(key: &EncodingKey, typ: &str, claims: &Value) -> String {
    let header = Header { typ: Some(typ.into()), kid: Some("one".into()), ..Header::new(Algorithm::ES256) };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

impl House {
    fn statement(&self, account: &str) -> String {
        sign(&self.key, "fortissimo-assertion+jwt", &claims(account))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        statements: &[&str],
        body: Vec<u8>,
    ) -> (StatusCode, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(path).header("content-type", "audio/wav");
        for statement in statements {
            request = request.header("fortissimo-assertion", *statement);
        }
        let response = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = response.status();
        (status, axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
    }
}

#[tokio::test]
async fn only_a_valid_statement_of_the_gateway_counts() {
    let house = house().await;
    let good = house.statement(ADA);
    let (status, body) = house.ask(Method::GET, "/open/whoami", &[&good], Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["account"], ADA);

    let typ = "fortissimo-assertion+jwt";
    let with = |name: &str, value: Value| {
        let mut claims = claims(ADA);
        claims[name] = value;
        sign(&house.key, typ, &claims)
    };
    let without = |name: &str| {
        let mut claims = claims(ADA);
        claims.as_object_mut().unwrap().remove(name);
        sign(&house.key, typ, &claims)
    };
    let mut tampered = good.clone();
    let middle = good.find('.').unwrap() + 10;
    tampered.replace_range(middle..=middle, if &good[middle..=middle] == "A" { "B" } else { "A" });
    let none = format!(
        "{}.{}.",
        "eyJhbGciOiJub25lIiwidHlwIjoiZm9ydGlzc2ltby1hc3NlcnRpb24rand0Iiwia2lkIjoib25lIn0",
        good.split('.').nth(1).unwrap()
    );
    let wrong = [
        ("another service", with("aud", json!("http://127.0.0.1:9001"))),
        ("another gateway", with("iss", json!("http://localhost:8081"))),
        ("expired", with("exp", json!(jsonwebtoken::get_current_timestamp() - 60))),
        ("another kind of token", sign(&house.key, "at+jwt", &claims(ADA))),
        ("another key", sign(&key(), typ, &claims(ADA))),
        ("no audience", without("aud")),
        ("no issuer", without("iss")),
        ("no account", without("sub")),
        ("no end", without("exp")),
        ("no account that could be", with("sub", json!("ada"))),
        ("tampered", tampered),
        ("alg none", none),
        ("not a token", "x".into()),
        ("too long", "x".repeat(9_000)),
    ];
    for (what, statement) in wrong {
        let (status, _) = house.ask(Method::GET, "/open/whoami", &[&statement], Vec::new()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}");
    }
    for several in [&[] as &[&str], &[&good, &good]] {
        assert_eq!(
            house.ask(Method::GET, "/api/tracks", several, Vec::new()).await.0,
            StatusCode::UNAUTHORIZED
        );
    }
}

#[tokio::test]
async fn a_track_comes_back_as_it_went_and_is_listed_for_its_owner() {
    let house = house().await;
    let (ada, bob) = (house.statement(ADA), house.statement(BOB));
    let mut wav = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
    wav.resize(300_000, 7);
    let (status, body) = house.ask(Method::POST, "/api/tracks?title=Opus%201", &[&ada], wav.clone()).await;
    assert_eq!(status, StatusCode::CREATED);
    let track: Track = serde_json::from_slice(&body).unwrap();
    assert_eq!((track.title.as_str(), track.size), ("Opus 1", 300_000));
    assert_eq!(track.sha256, hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&wav)));
    let path = format!("/api/tracks/{}/audio", track.id);
    assert_eq!(house.ask(Method::GET, &path, &[&ada], Vec::new()).await, (StatusCode::OK, wav));
    // Whom the gateway lets through has it: it may be shared with them.
    assert_eq!(house.ask(Method::GET, &path, &[&bob], Vec::new()).await.0, StatusCode::OK);
    assert_eq!(house.ask(Method::GET, "/api/tracks", &[&bob], Vec::new()).await.1, b"[]");
    let again = Tracks::open(house._folder.path().to_owned()).unwrap();
    assert_eq!(again.of(ADA), [track], "it is still there after a restart");
}

#[tokio::test]
async fn what_is_not_music_leaves_nothing_behind() {
    let house = house().await;
    let ada = house.statement(ADA);
    for body in [b"<html>".to_vec(), Vec::new(), vec![0; 100_000]] {
        let (status, _) = house.ask(Method::POST, "/api/tracks", &[&ada], body).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    assert_eq!(std::fs::read_dir(house._folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn each_route_asks_for_its_own_right_whatever_the_gateway_let_through() {
    let house = house().await;
    let with = |account: &str, role: &str| {
        let mut claims = claims(account);
        claims["role"] = json!(role);
        sign(&house.key, "fortissimo-assertion+jwt", &claims)
    };
    let (ada, bob) = (house.statement(ADA), house.statement(BOB));
    let mut wav = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
    wav.resize(1_000, 7);
    let (status, body) = house.ask(Method::POST, "/api/tracks?title=One", &[&ada], wav.clone()).await;
    assert_eq!(status, StatusCode::CREATED);
    let track: Track = serde_json::from_slice(&body).unwrap();
    let path = format!("/api/tracks/{}", track.id);
    // Guests look and do not upload; what is no role at all may do nothing.
    for (role, reads, uploads) in [("guest", 200, 403), ("king", 403, 403), ("moderator", 200, 201)] {
        let statement = with(BOB, role);
        assert_eq!(
            house.ask(Method::GET, &path, &[&statement], Vec::new()).await.0.as_u16(),
            reads,
            "{role}"
        );
        let uploaded = house.ask(Method::POST, "/api/tracks", &[&statement], wav.clone()).await.0;
        assert_eq!(uploaded.as_u16(), uploads, "{role}");
    }
    // Only its owner takes a track away; to others this route says that there is none.
    for (who, statement) in [("another", &bob), ("a moderator", &with(BOB, "moderator"))] {
        let status = house.ask(Method::DELETE, &path, &[statement], Vec::new()).await.0;
        assert!([StatusCode::NOT_FOUND, StatusCode::FORBIDDEN].contains(&status), "{who}: {status}");
    }
    assert_eq!(house.ask(Method::DELETE, &path, &[], Vec::new()).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(house.ask(Method::DELETE, &path, &[&ada], Vec::new()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(house.ask(Method::DELETE, &path, &[&ada], Vec::new()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(house.ask(Method::GET, &path, &[&ada], Vec::new()).await.0, StatusCode::NOT_FOUND);
}
