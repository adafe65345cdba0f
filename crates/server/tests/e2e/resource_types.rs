//! A type of objects that an operator adds by configuration (`[[access.resource_type]]`), from the file to the answer of a
//! route, the API and the pages.

use std::process::Command;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use testkit::{Client, Settings};

use crate::policies::upstream;
use crate::{BINARY, start};

const STEMS: &str = r#"
[[access.resource_type]]
name = "stem_pack"
[[access.resource_type.action]]
name = "stem:render"
relations = ["owner", "shared", "token"]
roles = ["user"]
tiers = ["pro"]
[[access.resource_type.action]]
name = "stem:burn"
relations = ["owner"]
tiers = ["studio"]
sensitive = true
"#;

fn sections(upstream: u16) -> String {
    let route = |method: &str, access: &str| {
        format!(
            "[[route]]\npath = \"/stems/{{id}}\"\nmethods = [\"{method}\"]\naccess = \"{access} on stem_pack/{{id}}\"\n\
             upstream = \"http://127.0.0.1:{upstream}\"\n"
        )
    };
    format!("{STEMS}{}{}", route("GET", "stem:render"), route("DELETE", "stem:burn"))
}

async fn put(client: &Client, path: &str, body: Value) -> testkit::Answer {
    let headers = [("content-type", "application/json")];
    client.send(Method::PUT, path, &headers, Bytes::from(body.to_string())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_of_ones_own_is_owned_shared_listed_and_decided_like_any_other() {
    let program = start(Settings { sections: sections(upstream()), ..Settings::default() });
    let operator = program.client().bearer(program.operator().await["access_token"].as_str().unwrap());
    let mut people = Vec::new();
    for name in ["ada", "bob"] {
        let token = program.artist(name).await["access_token"].as_str().unwrap().to_owned();
        let client = program.client().bearer(&token);
        let id = client.get("/auth/profile").await.expect(200).json()["id"].as_str().unwrap().to_owned();
        people.push((client, id));
    }
    let [(ada, ada_id), (bob, bob_id)] = &people[..] else { panic!("two people") };
    put(&operator, "/v1/resources/stem_pack/drums", json!({"owner": ada_id})).await.expect(201);

    assert_eq!(ada.get("/stems/drums").await.expect(200).text(), "rendered");
    bob.get("/stems/drums").await.problem(404, "not-found");
    ada.get("/stems/nothing").await.problem(404, "not-found");
    program.client().get("/stems/drums").await.problem(401, "unauthenticated");
    let share = format!("/v1/resources/stem_pack/drums/shares/{bob_id}");
    put(ada, &share, json!({"relation": "shared"})).await.expect(200);
    bob.get("/stems/drums").await.expect(200);
    bob.delete("/stems/drums").await.problem(403, "forbidden");
    let wish = json!({"action": "stem:render", "type": "stem_pack"});
    let list = bob.post("/v1/access/list", wish).await.expect(200).json();
    assert_eq!(list["objects"][0]["id"], "drums", "{list}");
    let wish = json!({"checks": [
        {"action": "stem:render", "resource": {"type": "stem_pack", "id": "drums"}},
        {"action": "stem:burn", "resource": {"type": "stem_pack", "id": "drums"}},
        {"action": "track:read", "resource": {"type": "stem_pack", "id": "drums"}},
    ]});
    let answer = bob.post("/v1/access/check", wish).await.expect(200).json();
    let codes: Vec<_> =
        answer["decisions"].as_array().unwrap().iter().map(|one| one["code"].clone()).collect();
    assert_eq!(codes, ["granted", "no-grant", "unknown-resource"]);
    assert_eq!(answer["decisions"][1]["tiers"], json!(["studio"]));

    // Its owner burns it where the tier grants that, and nobody else does.
    ada.delete("/stems/drums").await.problem(403, "forbidden");
    operator.patch(&format!("/v1/accounts/{ada_id}"), json!({"tier": "studio"})).await.expect(204);
    ada.delete("/stems/drums").await.expect(200);
    operator.patch(&format!("/v1/accounts/{bob_id}"), json!({"tier": "studio"})).await.expect(204);
    bob.delete("/stems/drums").await.problem(403, "forbidden");
    assert!(ada.get("/account/sharing/stem_pack/drums").await.expect(200).text().contains("drums"));

    ada.delete(&share).await.expect(200);
    bob.get("/stems/drums").await.problem(404, "not-found");
    let matrix = program.output(&["policy", "matrix"]);
    let matrix = String::from_utf8_lossy(&matrix.stdout).into_owned();
    assert!(matrix.contains("stem:burn"), "{matrix}");
}

#[test]
fn a_type_that_cannot_be_is_one_clear_line_with_its_place() {
    let action = |name: &str, relations: &str| {
        format!(
            "[[access.resource_type.action]]\nname = \"{name}\"\nrelations = [{relations}]\nroles = [\"user\"]\n"
        )
    };
    let of = |name: &str, actions: &str| format!("[[access.resource_type]]\nname = \"{name}\"\n{actions}");
    let good = of("stem_pack", &action("stem:render", "\"owner\""));
    // What the file says, on which line the mistake stands, and what is told of it.
    let cases = [
        (of("Stem", &action("stem:render", "\"owner\"")), 2, "lower-case words"),
        (of("track", &action("stem:render", "\"owner\"")), 2, "there is a type track already"),
        (of("stem_pack", ""), 1, "action"),
        (of("stem_pack", &action("stem:render", "")), 2, "must name the relations"),
        (of("stem_pack", &action("stem:render", "\"friend\"")), 5, "friend"),
        (of("stem_pack", &action("render", "\"owner\"")), 2, "must be named like \"stem:render\""),
        (of("stem_pack", &action("track:read", "\"owner\"")), 2, "there is an action track:read already"),
        (format!("{good}{good}"), 8, "there is a type stem_pack already"),
        (
            format!("{good}{}", of("loop", &action("stem:render", "\"owner\""))),
            8,
            "an action stem:render already",
        ),
        (format!("{good}colour = \"red\"\n"), 7, "colour"),
    ];
    for (text, line, told) in cases {
        for command in [&["config", "check"][..], &["policy", "validate", "."], &["serve"]] {
            let place = tempfile::tempdir().unwrap();
            std::fs::write(place.path().join("fortissimo.toml"), &text).unwrap();
            std::fs::write(place.path().join("x.cedar"), "").unwrap();
            let output = Command::new(BINARY).args(command).current_dir(place.path()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{command:?} {text}: {said}");
            assert_eq!(
                said.lines().filter(|line| line.contains("error")).count(),
                1,
                "{command:?} {text}: {said}"
            );
            assert!(said.contains(told), "{command:?} {text}: {said}");
            if command[0] != "policy" {
                assert!(said.contains(&format!("fortissimo.toml:{line}:")), "{command:?} {text}: {said}");
            }
        }
    }
}
