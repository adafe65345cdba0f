//! An operator's own policies, from the folder to the answer of a route.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use testkit::Settings;

use crate::{BINARY, start};

const SCHEMA: &str = r#"namespace Fortissimo {
  action "stems:render" in ["creative"] appliesTo { principal: Account, resource: [Platform] };
}
"#;
const POLICY: &str = r#"@id("studio.renders-stems")
permit (
  principal in Fortissimo::Tier::"pro",
  action == Fortissimo::Action::"stems:render",
  resource
);
"#;

/// A folder with the operator's schema and this policy.
fn folder(policy: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("stems.cedarschema"), SCHEMA).unwrap();
    std::fs::write(folder.path().join("stems.cedar"), policy).unwrap();
    folder
}

/// A service that answers everything with 200, for as long as the test lasts.
fn upstream() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut head = [0; 16 * 1024];
                if stream.read(&mut head).is_ok() {
                    let _ = stream
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\nrendered");
                }
            });
        }
    });
    port
}

fn sections(policies: &Path, upstream: u16) -> String {
    format!(
        "[access]\npolicies = {policies:?}\n[[route]]\npath = \"/render/{{project}}\"\n\
         upstream = \"http://127.0.0.1:{upstream}\"\naccess = \"stems:render\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_added_action_decides_about_a_route() {
    let policies = folder(POLICY);
    let sections = sections(policies.path(), upstream());
    let program = start(Settings { sections, ..Settings::default() });
    let operator = program.client().bearer(program.operator().await["access_token"].as_str().unwrap());
    let artist = program.artist("ada").await;
    let ada = program.client().bearer(artist["access_token"].as_str().unwrap());
    let id = ada.get("/auth/profile").await.expect(200).json()["id"].as_str().unwrap().to_owned();

    // The free tier has no such right, the pro tier has it by the operator's own policy.
    ada.get("/render/7").await.problem(403, "forbidden");
    operator.patch(&format!("/v1/accounts/{id}"), json!({"tier": "pro"})).await.expect(204);
    assert_eq!(ada.get("/render/7").await.expect(200).text(), "rendered");
    operator.patch(&format!("/v1/accounts/{id}"), json!({"tier": "free"})).await.expect(204);
    ada.get("/render/7").await.problem(403, "forbidden");
    program.client().get("/render/7").await.problem(401, "unauthenticated");
}

#[test]
fn a_bad_policy_is_refused_with_its_place() {
    let wrong = POLICY.replace("action == Fortissimo::Action::\"stems:render\"", "action == Nowhere");
    for (command, policy, place) in [
        (&["config", "check"][..], POLICY.replace("@id(\"studio.renders-stems\")\n", ""), "stems.cedar:1:1: "),
        (&["serve"], POLICY.replace("stems:render", "stems:rendr"), "stems.cedar:4:"),
        (&["config", "check"], wrong, "stems.cedar:4:"),
    ] {
        let policies = folder(&policy);
        let place_of = tempfile::tempdir().unwrap();
        let data = place_of.path().join("data");
        let text = format!("[server]\ndata_dir = {data:?}\n{}", sections(policies.path(), 9));
        std::fs::write(place_of.path().join("fortissimo.toml"), text).unwrap();
        let output = Command::new(BINARY).args(command).current_dir(place_of.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {told}");
        assert!(told.contains(place) && told.contains("fortissimo.toml:4:"), "{command:?}: {told}");
        assert!(!data.exists(), "half-made");
    }
}
