//! Second factors against codes that another program makes, and guesses that another program tries.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use testkit::{Settings, python, test_tool};

use crate::start;

const PASSWORD: &str = testkit::ARTIST_PASSWORD;

/// The code that `pyotp` shows, some steps from now.
fn pyotp(python: &Path, url: &str, steps: i32) -> String {
    let script = "import pyotp, sys, datetime; totp = pyotp.parse_uri(sys.argv[1]); \
                  print(totp.issuer, totp.name, totp.at(datetime.datetime.now(), int(sys.argv[2])))";
    let output = Command::new(python).args(["-c", script, url, &steps.to_string()]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words[..2], ["Fortissimo", "ada"], "{text}");
    words[2].to_owned()
}

#[tokio::test]
async fn codes_of_another_program_open_the_second_door() {
    let Some(python) = python() else { return };
    let program = start(Settings::default());
    let signed_in = program.artist("ada").await;
    let client = program.client().bearer(signed_in["access_token"].as_str().unwrap());
    let setup = client.post("/auth/mfa/totp/setup", json!({"name": "Phone"})).await.expect(201).json();
    let url = setup["otpauth_url"].as_str().unwrap().to_owned();
    let confirm = |code: String| json!({"factor_id": setup["factor_id"], "code": code});
    client.post("/auth/mfa/totp/confirm", confirm("000000".into())).await.problem(401, "wrong-code");
    let confirmed =
        client.post("/auth/mfa/totp/confirm", confirm(pyotp(&python, &url, 0))).await.expect(200).json();
    assert_eq!(confirmed["recovery_codes"].as_array().unwrap().len(), 10);

    let login = json!({"identifier": "ada", "password": PASSWORD});
    let partial = program.client().post("/auth/login", login.clone()).await.expect(200).json();
    assert_eq!(partial["status"], "mfa_required");
    assert!(partial.get("access_token").is_none() && partial.get("refresh_token").is_none());
    let challenge = partial["challenge"].as_str().unwrap();
    program.client().bearer(challenge).get("/auth/profile").await.problem(401, "invalid-token");
    // The step that confirmed the app is used up; the next one is taken already.
    let second = json!({"challenge": challenge, "code": pyotp(&python, &url, 1)});
    let pair = program.client().post("/auth/login/mfa", second.clone()).await.expect(200).json();
    program.client().bearer(pair["access_token"].as_str().unwrap()).get("/auth/profile").await.expect(200);
    program.client().post("/auth/login/mfa", second).await.problem(401, "invalid-challenge");
    // A recovery code instead of the app.
    let partial = program.client().post("/auth/login", login).await.expect(200).json();
    let paper = json!({"challenge": partial["challenge"], "code": confirmed["recovery_codes"][0]});
    program.client().post("/auth/login/mfa", paper).await.expect(200);
}

#[tokio::test]
async fn a_brute_force_by_hydra_finds_nothing_and_locks_nobody_out() {
    let Some(hydra) = test_tool("FORTISSIMO_TEST_HYDRA") else { return };
    let program = start(Settings::default());
    let own = program.artist("ada").await;
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("passwords.txt");
    // The right one is among the last: without the counters it would be found.
    let mut guesses: Vec<String> = (0..60).map(|n| format!("a wrong guess number {n}")).collect();
    guesses.push(PASSWORD.to_owned());
    std::fs::write(&list, guesses.join("\n")).unwrap();
    let form = "/auth/login:{\"identifier\"\\:\"^USER^\",\"password\"\\:\"^PASS^\"}\
                :H=Content-Type\\: application/json:S=access_token";
    let port = program.client().port().to_string();
    let output = Command::new(hydra)
        .current_dir(folder.path())
        .args(["-l", "ada", "-P", list.to_str().unwrap(), "-t", "4", "-I", "-s", &port])
        .args(["127.0.0.1", "http-post-form", form])
        .output()
        .unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("0 valid password"), "{text}");
    let login = json!({"identifier": "ada", "password": PASSWORD});
    let stranger = program.client().post("/auth/login", login).await.problem(429, "rate-limited");
    assert!(!stranger.header("retry-after").is_empty());
    let nobody = json!({"identifier": "nobody", "password": PASSWORD});
    program.client().post("/auth/login", nobody).await.problem(401, "wrong-credentials");
    // The owner's own device never noticed.
    let known = json!({"identifier": "ada", "password": PASSWORD, "device_token": own["device_token"]});
    program.client().post("/auth/login", known).await.expect(200);
}
