//! Closing one's own account over HTTP, on the pages and in the mail.

use serde_json::json;
use testkit::{Settings, code_in, wait_for_mail};

use crate::start;

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_closed_and_taken_back_or_erased() {
    let program = start(Settings::default());
    program.operator().await;
    let ada = program.artist("ada").await;
    let own = program.client().bearer(ada["access_token"].as_str().unwrap());
    let close = json!({"username": "ada"});
    // A stranger closes nothing, and a slip neither.
    program.client().post("/auth/account/close", close.clone()).await.problem(401, "unauthenticated");
    let slipped = own.post("/auth/account/close", json!({"username": "operator"})).await;
    assert_eq!(slipped.problem(400, "invalid-field").json()["errors"][0]["pointer"], "/username");
    own.get("/auth/profile").await.expect(200);

    // An API key of theirs goes with the account.
    let key =
        own.post("/auth/api-keys", json!({"name": "x", "scopes": ["track:read"]})).await.expect(201).json();
    let robot = program.client().bearer(key["key"].as_str().expect("a key"));
    let question = json!({"checks": []});
    assert_ne!(robot.post("/v1/access/check", question.clone()).await.status, 401);
    let closed = own.post("/auth/account/close", close.clone()).await.expect(202).json();
    assert!(closed["erased_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{closed}");
    own.get("/auth/profile").await.problem(401, "invalid-token");
    own.post("/auth/account/close", close).await.problem(401, "invalid-token");
    assert_eq!(robot.post("/v1/access/check", question).await.status, 401);
    let refresh = json!({"refresh_token": ada["refresh_token"]});
    assert_eq!(program.client().post("/auth/refresh", refresh).await.status, 401);
    let sign_in = json!({"identifier": "ada", "password": testkit::ARTIST_PASSWORD});
    program.client().post("/auth/login", sign_in).await.problem(403, "account-disabled");
    let wrong = json!({"identifier": "ada", "password": "not the right one at all"});
    program.client().post("/auth/login", wrong).await.problem(401, "wrong-credentials");

    // The link of the mail, which only opens.
    let folder = program.folder().join("mail");
    let mail = wait_for_mail(&folder, &["ada@example.com", "/account/reopen?code="]).await;
    let code = code_in(&mail);
    let page = program.client().get(&format!("/account/reopen?code={code}")).await.expect(200);
    assert!(page.text().contains(&code), "a button, for programs only look at links");
    for wrong in ["", "x", &"A".repeat(43), &format!("{code}x")] {
        let refused = program.client().post("/auth/account/reopen", json!({"code": wrong})).await;
        refused.problem(400, "invalid-code");
    }
    program.client().post("/auth/account/reopen", json!({"code": code})).await.expect(204);
    program.client().post("/auth/account/reopen", json!({"code": code})).await.problem(400, "invalid-code");
    own.get("/auth/profile").await.problem(401, "invalid-token");
    let again = program.sign_in("ada", testkit::ARTIST_PASSWORD).await;

    // Closed once more, and not waited for: the operator's command is what the janitor does.
    let own = program.client().bearer(again["access_token"].as_str().unwrap());
    own.post("/auth/account/close", json!({"username": "ada"})).await.expect(202);
    let erased = program.output(&["account", "erase", "ada", "--reason", "asked in writing", "--yes"]);
    assert!(erased.status.success(), "{}", String::from_utf8_lossy(&erased.stderr));
    let sign_in = json!({"identifier": "ada", "password": testkit::ARTIST_PASSWORD});
    program.client().post("/auth/login", sign_in).await.problem(401, "wrong-credentials");
    // The name and the address are free.
    program.artist("ada").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_operator_cannot_close_their_account() {
    let program = start(Settings::default());
    let operator = program.operator().await;
    let own = program.client().bearer(operator["access_token"].as_str().unwrap());
    own.post("/auth/account/close", json!({"username": "operator"})).await.problem(409, "conflict");
    own.get("/auth/profile").await.expect(200);
}
