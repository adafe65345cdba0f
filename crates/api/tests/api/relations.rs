//! Objects, shares, teams, lists, break-glass and collaboration tokens, as clients meet them.

use serde_json::{Value, json};

use crate::house::{Answer, House};

/// A house with an operator, and people who may share.
struct Studio {
    house: House,
    chief: String,
}

impl Studio {
    async fn new() -> Self {
        let house = House::new().await;
        let chief = house.operator().await;
        Self { house, chief }
    }

    /// A token and an account.
    async fn artist(&self, name: &str) -> (String, String) {
        self.house.person(name).await;
        let token = self.house.token(name).await;
        let id = self.house.get("/auth/profile", &token).await.text("id");
        let path = format!("/v1/accounts/{id}");
        for made in [json!({"role": "premium_user"}), json!({"tier": "studio"})] {
            assert_eq!(self.house.send("PATCH", &path, Some(&self.chief), Some(made)).await.status, 204);
        }
        self.house.clock.advance_ms(1_000);
        (token, id)
    }

    async fn ask(&self, method: &str, path: &str, token: &str, body: Value) -> Answer {
        let body = (!body.is_null()).then_some(body);
        self.house.send(method, path, Some(token), body).await
    }

    async fn may(&self, token: &str, action: &str, kind: &str, id: &str) -> bool {
        let question = json!({"checks": [{"action": action, "resource": {"type": kind, "id": id}}]});
        self.ask("POST", "/v1/access/check", token, question).await.ok()["decisions"][0]["allowed"] == true
    }
}

#[tokio::test]
async fn an_artist_shares_a_track_and_takes_it_back() {
    let studio = Studio::new().await;
    let ((ada, ada_id), (bob, bob_id)) = (studio.artist("ada").await, studio.artist("bob").await);
    let track = "/v1/resources/track/song-1";
    assert_eq!(studio.ask("GET", track, &ada, Value::Null).await.problem(), (404, "not-found", "-"));
    assert_eq!(studio.ask("PUT", track, &ada, json!({})).await.status, 201);
    assert_eq!(studio.ask("PUT", track, &ada, json!({})).await.status, 200, "again is no harm");
    assert_eq!(studio.ask("PUT", track, &bob, json!({})).await.problem(), (404, "not-found", "-"));
    let seen = studio.ask("GET", track, &ada, Value::Null).await.ok();
    assert_eq!((seen["owner"].as_str(), &seen["relations"]), (Some(&*ada_id), &json!(["owner"])));

    let share = format!("{track}/shares/{bob_id}");
    let given = studio.ask("PUT", &share, &ada, json!({"relation": "shared"})).await.ok();
    let revision = given["revision"].as_i64().unwrap();
    assert!(studio.may(&bob, "track:read", "track", "song-1").await);
    let listed = json!({"action": "track:read", "type": "track"});
    let mine = studio.ask("POST", "/v1/access/list", &bob, listed.clone()).await.ok();
    let listed_track = &mine["objects"][0];
    assert_eq!((&listed_track["type"], &listed_track["id"]), (&json!("track"), &json!("song-1")), "{mine}");
    assert!(listed_track["expires_at"].is_string(), "an answer ends with the session that asked: {mine}");
    assert!(mine["revision"].as_i64().unwrap() >= revision);
    let who = json!({"action": "track:read", "resource": {"type": "track", "id": "song-1"}});
    let who = studio.ask("POST", "/v1/access/list", &ada, who).await.ok();
    assert_eq!(who["subjects"].as_array().unwrap().len(), 2);
    let shares = studio.ask("GET", &format!("{track}/shares"), &ada, Value::Null).await.ok();
    assert_eq!((&shares["shares"][0]["subject"], &shares["next"]), (&json!(bob_id), &Value::Null));

    assert_eq!(studio.ask("DELETE", &share, &ada, Value::Null).await.status, 200);
    assert!(!studio.may(&bob, "track:read", "track", "song-1").await);
    assert_eq!(studio.ask("POST", "/v1/access/list", &bob, listed).await.ok()["objects"], json!([]));
    assert_eq!(studio.ask("GET", track, &bob, Value::Null).await.status, 404);
    // The denied question is on record, with what was asked.
    let trail = studio.house.get("/v1/audit/events?kind=authz.denied", &studio.chief).await.ok();
    assert!(trail["events"].to_string().contains("track/song-1"), "{trail}");

    let moved = studio.ask("POST", &format!("{track}/transfer"), &ada, json!({"to": bob_id})).await;
    assert_eq!(moved.status, 200);
    assert!(studio.may(&bob, "track:read", "track", "song-1").await);
    assert!(!studio.may(&ada, "track:read", "track", "song-1").await);
    assert_eq!(studio.ask("DELETE", track, &ada, Value::Null).await.status, 404);
    assert_eq!(studio.ask("DELETE", track, &bob, Value::Null).await.status, 200);
}

#[tokio::test]
async fn giving_something_away_asks_for_the_factors_again() {
    let studio = Studio::new().await;
    let ((ada, _), (_, bob_id)) = (studio.artist("ada").await, studio.artist("bob").await);
    let track = "/v1/resources/track/song-1";
    studio.ask("PUT", track, &ada, json!({})).await;
    // A token lives a quarter of an hour; what cannot be taken back asks for the password after ten minutes.
    studio.house.clock.advance_ms(11 * 60_000);
    let wish = json!({"to": bob_id});
    let refused = studio.ask("POST", &format!("{track}/transfer"), &ada, wish).await;
    assert_eq!(refused.problem(), (403, "reauthentication-required", "-"));
    let seen = studio.ask("GET", track, &ada, Value::Null).await.ok();
    assert_eq!(seen["relations"], json!(["owner"]));
}

#[tokio::test]
async fn wrong_wishes_name_their_field() {
    let studio = Studio::new().await;
    let ((ada, ada_id), (_, bob_id)) = (studio.artist("ada").await, studio.artist("bob").await);
    let track = "/v1/resources/track/1";
    studio.ask("PUT", track, &ada, json!({})).await;
    let bob = format!("{track}/shares/{bob_id}");
    for (method, path, body, status, pointer) in [
        ("PUT", "/v1/resources/trakc/1", json!({}), 400, "/type"),
        ("PUT", "/v1/resources/user/1", json!({}), 400, "/type"),
        ("PUT", track, json!({"publik": true}), 400, "/publik"),
        ("PUT", track, json!({"parent": {"type": "project", "id": "none"}}), 400, "/parent"),
        ("PUT", track, json!({"owner": bob_id}), 400, "/owner"),
        ("PUT", &bob, json!({"relation": "owner"}), 400, "/relation"),
        ("PUT", &bob, json!({}), 400, "/relation"),
        (
            "PUT",
            &bob,
            json!({"relation": "shared", "expires_at": "2001-01-01T00:00:00Z"}),
            400,
            "/expires_at",
        ),
        ("PUT", &bob, json!({"relation": "shared", "expires_at": "soon"}), 400, "/expires_at"),
        ("PUT", &format!("{track}/shares/{ada_id}"), json!({"relation": "shared"}), 400, "/subject"),
        (
            "PUT",
            &format!("{track}/shares/0198c0de-0000-7000-8000-000000000000"),
            json!({"relation": "shared"}),
            400,
            "/subject",
        ),
        ("PUT", &format!("{track}/shares/nobody"), json!({"relation": "shared"}), 404, "-"),
        ("DELETE", &bob, Value::Null, 404, "-"),
        ("POST", "/v1/access/list", json!({"action": "track:read"}), 400, "/type"),
        ("POST", "/v1/access/list", json!({"action": "track:raed", "type": "track"}), 400, "/action"),
        ("POST", "/v1/access/list", json!({"action": "track:read", "type": "playlist"}), 400, "/type"),
        (
            "POST",
            "/v1/access/list",
            json!({"action": "track:read", "type": "track", "limit": 0}),
            400,
            "/limit",
        ),
        (
            "POST",
            "/v1/access/list",
            json!({"action": "track:read", "type": "track", "after": "x"}),
            400,
            "/after",
        ),
        ("POST", "/v1/teams", json!({"name": " "}), 400, "/name"),
        ("POST", "/v1/collaboration-tokens/redeem", json!({"token": "x"}), 400, "/token"),
        ("POST", "/v1/projects/p/collaboration-tokens", json!({"permissions": ["project:read"]}), 404, "-"),
        (
            "POST",
            "/v1/projects/p/collaboration-tokens",
            json!({"permissions": ["x:y"]}),
            400,
            "/permissions/0",
        ),
        (
            "POST",
            "/v1/access/check",
            json!({"checks": [{"action": "track:read", "resource": {"type": "track", "id": "1"}}], "at_least": 999999}),
            400,
            "/at_least",
        ),
    ] {
        let answer = studio.ask(method, path, &ada, body.clone()).await;
        let problem = answer.problem();
        assert_eq!((problem.0, problem.2), (status, pointer), "{method} {path} {body}");
    }
}

#[tokio::test]
async fn a_collaboration_token_brings_somebody_into_a_project() {
    let studio = Studio::new().await;
    let ((ada, _), (bob, _)) = (studio.artist("ada").await, studio.artist("bob").await);
    studio.ask("PUT", "/v1/resources/project/album", &ada, json!({})).await;
    let tokens = "/v1/projects/album/collaboration-tokens";
    let wish = json!({"permissions": ["project:read", "collab.real_time"]});
    let made = studio.ask("POST", tokens, &ada, wish.clone()).await;
    assert_eq!(made.status, 201);
    let redeem = json!({"token": made.text("token")});
    let got = studio.ask("POST", "/v1/collaboration-tokens/redeem", &bob, redeem).await.ok();
    assert_eq!(got["resource"], json!({"type": "project", "id": "album"}));
    assert!(studio.may(&bob, "collab:real_time", "project", "album").await);
    assert_eq!(studio.ask("POST", tokens, &bob, wish).await.status, 403, "nobody passes a token on");
    let listed = studio.ask("GET", tokens, &ada, Value::Null).await.ok();
    assert_eq!(listed["tokens"][0]["uses_left"], 0);
    let one = format!("/v1/collaboration-tokens/{}", made.text("id"));
    assert_eq!(studio.ask("DELETE", &one, &bob, Value::Null).await.status, 404);
    assert_eq!(studio.ask("DELETE", &one, &ada, Value::Null).await.status, 200);
    assert!(!studio.may(&bob, "project:read", "project", "album").await);
}

#[tokio::test]
async fn break_glass_is_for_administrators_and_the_owner_is_told() {
    let studio = Studio::new().await;
    let (ada, _) = studio.artist("ada").await;
    studio.ask("PUT", "/v1/resources/track/diary", &ada, json!({})).await;
    let path = "/v1/resources/track/diary/break-glass";
    let wish = json!({"reason": "a court order, case 7", "minutes": 30});
    assert_eq!(studio.ask("POST", path, &ada, wish.clone()).await.status, 403);
    assert!(!studio.may(&studio.chief, "track:read", "track", "diary").await);
    let opened = studio.ask("POST", path, &studio.chief, wish).await;
    assert_eq!(opened.status, 201);
    assert!(studio.may(&studio.chief, "track:read", "track", "diary").await);
    assert!(!studio.may(&studio.chief, "track:write", "track", "diary").await);
    let mut told = false;
    let outbox = studio.house.dir.path().join("outbox");
    studio.house.deliver().await;
    for entry in std::fs::read_dir(outbox).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap().replace("=\r\n", "");
        told |= text.contains("a court order, case 7") && text.contains("ada@example.org");
    }
    assert!(told, "the owner reads why");
    let open = studio.ask("GET", "/v1/break-glass", &studio.chief, Value::Null).await.ok();
    assert_eq!(open["open"][0]["resource"], "diary");
    let close = format!("/v1/break-glass/{}", opened.text("id"));
    assert_eq!(studio.ask("DELETE", &close, &studio.chief, Value::Null).await.status, 200);
    assert!(!studio.may(&studio.chief, "track:read", "track", "diary").await);
}

#[tokio::test]
async fn teams_share_together() {
    let studio = Studio::new().await;
    let ((ada, _), (bob, bob_id)) = (studio.artist("ada").await, studio.artist("bob").await);
    let team = studio.ask("POST", "/v1/teams", &ada, json!({"name": "Band"})).await.text("id");
    let member = format!("/v1/teams/{team}/members/{bob_id}");
    assert_eq!(studio.ask("PUT", &member, &bob, Value::Null).await.status, 404, "who keeps it, adds");
    assert_eq!(studio.ask("PUT", &member, &ada, Value::Null).await.status, 200);
    studio.ask("PUT", "/v1/resources/track/1", &ada, json!({})).await;
    let share = format!("/v1/resources/track/1/shares/team:{team}");
    assert_eq!(studio.ask("PUT", &share, &ada, json!({"relation": "collaborator"})).await.status, 200);
    assert!(studio.may(&bob, "track:read", "track", "1").await);
    let members = studio.ask("GET", &format!("/v1/teams/{team}/members"), &bob, Value::Null).await.ok();
    assert_eq!(members["members"][0]["subject"], json!(bob_id));
    assert_eq!(studio.ask("GET", "/v1/teams", &bob, Value::Null).await.ok()["teams"][0]["name"], "Band");
    assert_eq!(studio.ask("DELETE", &member, &bob, Value::Null).await.status, 200, "one may leave");
    assert!(!studio.may(&bob, "track:read", "track", "1").await);
    assert_eq!(studio.ask("DELETE", &format!("/v1/teams/{team}"), &ada, Value::Null).await.status, 200);
}
