//! What checking an access token costs: seen before, and for the first time beside nothing but its ES256 signature.
//!
//! `cargo bench -p fortissimo-identity --bench tokens`; the targets: 2 µs, and 1.2 times the raw signature.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]
#![expect(clippy::print_stdout, reason = "a measurement speaks on stdout")]

mod house;

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::Settings;

use house::{House, PASSWORD, credentials, meta};

/// Tokens that are checked for the first time.
const TOKENS: usize = 2_000;
/// Checks of tokens that were seen before, for each of them.
const AGAIN: u32 = 50;
/// Sessions of which nothing is known yet.
const SESSIONS: usize = 60;

fn main() {
    // `cargo test` runs this too, and has no use for figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let (house, keys) = House::open(Settings::default()).await;
    house.account("ada").await;
    let key = raw_key(&serde_json::from_slice(&keys.jwks()).unwrap());
    let sign_in = async || {
        let signed_in = house.identity.sign_in(credentials("ada", PASSWORD), &meta()).await.unwrap();
        signed_in.done().unwrap()
    };

    let mut pair = sign_in().await;
    let mut tokens = Vec::with_capacity(TOKENS);
    for _ in 0..TOKENS {
        pair = house.identity.refresh(pair.refresh_token.expose(), &meta()).await.unwrap();
        tokens.push(pair.access_token.expose().clone());
    }
    // Turn by turn, so that a slow moment hits both.
    let (mut raw, mut first) = (Vec::with_capacity(TOKENS), Vec::with_capacity(TOKENS));
    for token in &tokens {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let begun = Instant::now();
        key.verify_sig(black_box(signed.as_bytes()), black_box(&signature)).unwrap();
        raw.push(begun.elapsed());
        let begun = Instant::now();
        black_box(house.identity.authenticate_token(black_box(token)).await.unwrap());
        first.push(begun.elapsed());
    }
    let (raw, first) = (median(raw), median(first));

    let begun = Instant::now();
    for _ in 0..AGAIN {
        for token in &tokens {
            black_box(house.identity.authenticate_token(black_box(token)).await.unwrap());
        }
    }
    let again = begun.elapsed().as_secs_f64() * 1e6 / (f64::from(AGAIN) * TOKENS as f64);

    let mut stranger = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        let pair = sign_in().await;
        let begun = Instant::now();
        black_box(house.identity.authenticate_token(pair.access_token.expose()).await.unwrap());
        stranger.push(begun.elapsed());
    }
    println!("row|Access token seen before, checked|≤ 2 µs|{again:.2} µs");
    println!(
        "row|Access token seen for the first time, of its raw ES256 signature (aws-lc-rs)|≤ 1.2|{:.2} ({:.1} µs of {:.1} µs)",
        first / raw,
        first,
        raw
    );
    println!(
        "note The first token of a session that this node knows nothing of takes {:.0} µs: its row is read.",
        median(stranger)
    );
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// The one signing key of the set.
fn raw_key(jwks: &serde_json::Value) -> ParsedPublicKey {
    let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["crv"] == "P-256").unwrap();
    let part = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [&[4][..], &part("x"), &part("y")].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).unwrap()
}
