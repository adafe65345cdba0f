//! From a stranger to a signed-in person and out again, and what the audit trail says of it.

use serde_json::json;
use testkit::{Client, Settings, code_in, wait_for_mail};

use crate::start;

const PASSWORD: &str = "violet thunder under the bridge";

#[tokio::test(flavor = "multi_thread")]
async fn register_verify_sign_in_refresh_sign_out() {
    let program = start(Settings::default());
    let client = program.client();
    let mail = program.folder().join("mail");

    let wish =
        json!({"username": "Ada", "email": "Ada@Example.com", "full_name": "Ada L", "password": PASSWORD});
    let first = client.post("/auth/register", wish.clone()).await.expect(202);

    // The same address again: the same answer, and no second account.
    let message = wait_for_mail(&mail, &["ada@example.com", "verify?code="]).await;
    client
        .post("/auth/login", json!({"identifier": "ada", "password": PASSWORD}))
        .await
        .problem(403, "email-not-verified");
    client
        .post("/auth/login", json!({"identifier": "ada", "password": "wrong but long enough"}))
        .await
        .problem(401, "wrong-credentials");
    let verification = json!({"code": code_in(&message), "password": PASSWORD});
    let others = json!({"code": code_in(&message), "password": "somebody else's password"});
    client.post("/auth/verify-email", others).await.problem(401, "wrong-credentials");
    client.post("/auth/verify-email", verification.clone()).await.expect(200);
    client.post("/auth/verify-email", verification).await.problem(400, "invalid-code");
    let again = client.post("/auth/register", wish).await.expect(202);
    assert_eq!(first.body, again.body);

    // By name and by address.
    program.sign_in("ada@example.com", PASSWORD).await;
    let pair = program.sign_in("ada", PASSWORD).await;
    let token = pair["access_token"].as_str().unwrap();
    let profile = client.bearer(token).get("/auth/profile").await.expect(200).json();
    assert_eq!((&profile["username"], &profile["email"]), (&json!("ada"), &json!("ada@example.com")));

    // The old refresh token gives the same successor within ten seconds.
    let refresh = |token: &serde_json::Value| {
        client.clone().post_owned("/auth/refresh", json!({"refresh_token": token}))
    };
    let one = refresh(&pair["refresh_token"]).await.expect(200).json();
    let two = refresh(&pair["refresh_token"]).await.expect(200).json();
    assert_eq!(one["refresh_token"], two["refresh_token"]);
    let token = one["access_token"].as_str().unwrap();

    // Out: the access token, which is valid for minutes, is refused at once.
    client.bearer(token).get("/auth/profile").await.expect(200);
    client.bearer(token).post("/auth/logout", json!({})).await.expect(204);
    client.bearer(token).get("/auth/profile").await.problem(401, "invalid-token");
    refresh(&one["refresh_token"]).await.problem(401, "invalid-refresh-token");

    let trail = String::from_utf8(program.output(&["audit", "search", "--json"]).stdout).unwrap();
    for kind in [
        "account.registered",
        "account.verified",
        "session.signed_in",
        "session.sign_in_failed",
        "session.refreshed",
        "session.signed_out",
    ] {
        assert!(trail.contains(kind), "{kind} is missing in\n{trail}");
    }
}

/// Owned arguments, for closures that make futures.
trait PostOwned {
    async fn post_owned(self, path: &str, document: serde_json::Value) -> testkit::Answer;
}

impl PostOwned for Client {
    async fn post_owned(self, path: &str, document: serde_json::Value) -> testkit::Answer {
        self.post(path, document).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_lies_in_the_data_folder() {
    let mut program = start(Settings { sealed_mail: true, ..Settings::default() });
    let canary = "canary-7f3a@example.com";
    let wish = json!({"username": "canary", "email": canary, "full_name": "Canary Mc Canaryface", "password": PASSWORD});
    program.client().post("/auth/register", wish).await.expect(202);
    // Sealed mail is readable for whoever holds the keys, through the command line.
    let mut listed = String::new();
    for _ in 0..100 {
        listed = String::from_utf8(program.output(&["mail", "list"]).stdout).unwrap();
        if listed.contains("verify") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let id = listed
        .split_whitespace()
        .find(|word| word.len() == 36)
        .unwrap_or_else(|| panic!("no mail: {listed}"));
    let shown = String::from_utf8(program.output(&["mail", "show", id]).stdout).unwrap();
    assert!(shown.contains(canary), "{shown}");
    assert!(program.stop());

    let found = std::process::Command::new("grep")
        .args(["-r", "-a", "-l", "-i", "-e", "canary-7f3a", "-e", "Canaryface"])
        .arg(program.data())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    assert!(!program.log().contains("canary-7f3a"), "personal data in the log");
    assert!(!program.printed().contains("canary-7f3a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_disables_an_account_and_its_tokens_end_at_once() {
    let program = start(Settings::default());
    let operator = program.operator().await;
    let artist = program.artist("mallory").await;
    let client = program.client();
    let artist_client = client.bearer(artist["access_token"].as_str().unwrap());
    let operator_client = client.bearer(operator["access_token"].as_str().unwrap());
    let id = artist_client.get("/auth/profile").await.expect(200).json()["id"].as_str().unwrap().to_owned();

    artist_client.get("/v1/accounts").await.problem(403, "forbidden");
    operator_client.patch(&format!("/v1/accounts/{id}"), json!({"status": "disabled"})).await.expect(204);
    artist_client.get("/auth/profile").await.problem(401, "invalid-token");
    client
        .post("/auth/login", json!({"identifier": "mallory", "password": PASSWORD}))
        .await
        .problem(403, "account-disabled");

    // From the command line, in another process: known to the running server within a second.
    operator_client.patch(&format!("/v1/accounts/{id}"), json!({"status": "active"})).await.expect(204);
    let pair = program.sign_in("mallory", PASSWORD).await;
    let artist_client = client.bearer(pair["access_token"].as_str().unwrap());
    artist_client.get("/auth/profile").await.expect(200);
    let disabled = program.output(&["account", "disable", "mallory"]);
    assert!(disabled.status.success(), "{}", String::from_utf8_lossy(&disabled.stderr));
    tokio::time::sleep(std::time::Duration::from_millis(1_000)).await;
    artist_client.get("/auth/profile").await.problem(401, "invalid-token");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_set_up_link_works_once() {
    let program = start(Settings::default());
    let code = program.setup_code().await;
    program.operator().await;
    let second = json!({"code": code, "username": "second", "email": "s@example.com", "password": PASSWORD});
    program.client().post("/auth/setup", second).await.expect(400);
    let link = program.output(&["setup-link"]);
    assert!(!link.status.success(), "an operator exists, so no link may be made");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_life_on_postgresql_with_two_nodes() {
    let Some(url) = testkit::test_tool("FORTISSIMO_TEST_POSTGRES") else { return };
    let database = testkit::PostgresDatabase::create(url.to_str().unwrap());
    // Nodes of one deployment share the address that people see; here each has its own, so the issuer is named.
    let sections = "[tokens]\nissuer = \"http://localhost\"\n".to_owned();
    let settings = Settings {
        sections,
        migrate: database.owner_url,
        database: database.service_url,
        ..Settings::default()
    };
    let one = start(settings.clone());
    let pair = one.artist("ada").await;
    // The second node has its own folder but the same root key: the operator copies it.
    let two = testkit::Program::start_beside(settings, &one);
    let token = pair["access_token"].as_str().unwrap();
    two.client().bearer(token).get("/auth/profile").await.expect(200);
    one.client().bearer(token).post("/auth/logout", json!({})).await.expect(204);
    tokio::time::sleep(std::time::Duration::from_millis(1_000)).await;
    two.client().bearer(token).get("/auth/profile").await.problem(401, "invalid-token");
}
