//! Passkeys over the API, with an authenticator in software that also lies.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use testkit::{Settings, node, node_modules, python};

use crate::{repository, start};

#[tokio::test(flavor = "multi_thread")]
async fn passkeys_sign_in_and_every_lie_is_refused() {
    let Some(python) = python() else { return };
    let program = start(Settings::default());
    program.artist("ada").await;
    let port = program.port.to_string();
    let output = tokio::task::spawn_blocking(move || {
        Command::new(python)
            .arg(repository("tests/passkeys.py"))
            .args([&port, "ada", "violet thunder under the bridge"])
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let told =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("passkeys complete"), "{told}");
    // The trail has the registration and the copies; mail told the owner.
    let trail = program.output(&["audit", "search", "--kind", "passkey.clone_suspected"]);
    assert_eq!(String::from_utf8_lossy(&trail.stdout).matches("passkey.clone_suspected").count(), 2);
    let endpoints = program.client().get("/.well-known/passkey-endpoints").await.expect(200).json();
    assert!(endpoints["enroll"].as_str().unwrap().ends_with("/account/security"), "{endpoints}");
    let related = program.client().get("/.well-known/webauthn").await.expect(200).json();
    assert_eq!(related["origins"].as_array().unwrap().len(), 1, "{related}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_registers_a_passkey_and_signs_in_with_it() {
    if node_modules().is_none() {
        return;
    }
    let program = start(Settings::default());
    program.artist("ada").await;
    let shots = repository("target/xtask/screenshots");
    std::fs::create_dir_all(&shots).unwrap();
    let environment = [
        ("BASE", format!("http://localhost:{}", program.port)),
        ("PASSWORD", "violet thunder under the bridge".to_owned()),
        ("SHOTS", shots.display().to_string()),
    ];
    let told = tokio::task::spawn_blocking(move || {
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        node(&repository("crates/server/tests/browser/passkeys.cjs"), &environment)
    })
    .await
    .unwrap();
    assert!(told.is_none_or(|told| told.contains("passkeys complete")));
}

/// Every view of a sign-in page asks for a passkey. That must not use up what the limit leaves for attempts.
#[tokio::test]
async fn to_begin_with_a_passkey_is_no_attempt_to_sign_in() {
    let program = start(Settings { limits: true, ..Settings::default() });
    for _ in 0..5 {
        program.client().post("/auth/passkeys/login/start", json!({})).await.expect(200);
    }
    // The tier of whoever is not signed in: five per second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let wrong = json!({"identifier": "nobody", "password": "violet thunder under the bridge"});
    program.client().post("/auth/login", wrong).await.problem(401, "wrong-credentials");
}
