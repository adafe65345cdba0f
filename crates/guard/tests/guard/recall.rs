//! What another node changed counts at once for what cannot be taken back, though nobody told this one of it. The other
//! node is a statement on the database that announces nothing.

use base::Scope;
use identity::{AccountCaller, NewApiKey};
use store::{Sql, Value, params};

use crate::fixture::{Answer, House, credentials};

store::sql! {
    ROLE = "UPDATE account SET role = 'user' WHERE account_id = $1";
    TIER = "UPDATE account SET tier = $2 WHERE account_id = $1";
    SUSPEND = "UPDATE account SET status = 'disabled' WHERE account_id = $1";
    LOCK = "UPDATE account SET locked_at = 1 WHERE account_id = $1";
    END = "UPDATE session SET revoked_at = 1 WHERE session_id = $1";
    END_KEY = "UPDATE api_key SET revoked_at = 1 WHERE account_id = $1";
}

impl House {
    /// Another node does it, and the signal is lost.
    async fn elsewhere(&self, sql: Sql, params: &[Value]) {
        let mut tx = self.db.begin(Scope::System("another node")).await.unwrap();
        assert_eq!(tx.execute(sql, params).await.unwrap(), 1);
        tx.commit().await.unwrap();
    }

    async fn by(&self, bearer: &str, method: &str, path: &str) -> Answer {
        self.ask(method, path, &[("authorization", &format!("Bearer {bearer}"))]).await
    }
}

/// The operator, with a track and a playlist of theirs, remembered by this node.
async fn remembered(house: &House) -> (String, AccountCaller) {
    let token = house.token(house.operator().await).await;
    for kind in ["track", "playlist", "project"] {
        house.register(&token, kind, "1").await;
    }
    for (method, path) in [("GET", "/playlists/1"), ("DELETE", "/tracks/1")] {
        assert_eq!(house.by(&token, method, path).await.status, 200);
    }
    let caller = house.identity.authenticate_token(&token).await.unwrap();
    (token, caller)
}

#[tokio::test]
async fn a_role_that_was_taken_away_elsewhere_deletes_nothing_more() {
    let house = House::new(|_| {}).await;
    let (token, caller) = remembered(&house).await;
    house.elsewhere(ROLE, params![caller.account]).await;
    assert_eq!(house.by(&token, "GET", "/console/requests").await.status, 200, "nobody told this node");
    assert_eq!(house.by(&token, "DELETE", "/tracks/1").await.slug(), "forbidden");
    assert_eq!(house.by(&token, "GET", "/console/requests").await.slug(), "forbidden", "now it knows");
}

#[tokio::test]
async fn a_tier_that_was_taken_away_elsewhere_exports_nothing_more() {
    let house = House::new(|_| {}).await;
    let ada = house.person("ada").await;
    let token = house.token(ada).await;
    let account = house.identity.authenticate_token(&token).await.unwrap().account;
    house.register(&token, "project", "1").await;
    house.elsewhere(TIER, params![account, "studio"]).await;
    assert_eq!(house.by(&token, "GET", "/projects/1").await.status, 200, "it was given elsewhere, too");
    house.elsewhere(TIER, params![account, "free"]).await;
    assert_eq!(house.by(&token, "GET", "/projects/1").await.slug(), "forbidden");
}

#[tokio::test]
async fn a_session_that_was_ended_elsewhere_does_nothing_grave_and_changes_nothing_of_ours() {
    for (method, path) in [("DELETE", "/tracks/1"), ("POST", "/auth/change"), ("GET", "/auth/export")] {
        let house = House::new(|config| {
            config.endpoints.push(guard::Endpoint::api(http::Method::POST, "/auth/change", "authenticated"));
            let export = guard::Endpoint::api(http::Method::GET, "/auth/export", "authenticated").anew();
            config.endpoints.push(export);
        })
        .await;
        let (token, caller) = remembered(&house).await;
        house.elsewhere(END, params![caller.session]).await;
        assert_eq!(house.by(&token, "GET", "/auth/profile").await.status, 200, "nobody told this node");
        assert_eq!(house.by(&token, method, path).await.slug(), "invalid-token", "{method} {path}");
    }
}

#[tokio::test]
async fn a_cookie_whose_session_was_ended_elsewhere_is_nobodys() {
    let house = House::new(|_| {}).await;
    let (token, caller) = remembered(&house).await;
    let cookie = house.cookie(credentials("operator")).await;
    let (_, value) = cookie.split_once('=').unwrap();
    let session = house.identity.authenticate_cookie(value).await.unwrap().session;
    let same_site = [("cookie", &*cookie), ("sec-fetch-site", "same-origin")];
    assert_eq!(house.ask("DELETE", "/tracks/1", &same_site).await.status, 200);
    house.elsewhere(END, params![session]).await;
    assert_eq!(house.ask("GET", "/playlists/1", &same_site).await.status, 200, "nobody told this node");
    assert_eq!(house.ask("DELETE", "/tracks/1", &same_site).await.slug(), "unauthenticated");
    assert_eq!(house.by(&token, "DELETE", "/tracks/1").await.status, 200, "{:?}", caller.session);
}

#[tokio::test]
async fn an_account_that_was_suspended_or_locked_elsewhere_deletes_nothing_more() {
    for (change, refused) in [(SUSPEND, "invalid-token"), (LOCK, "forbidden")] {
        let house = House::new(|_| {}).await;
        let (token, caller) = remembered(&house).await;
        house.elsewhere(change, params![caller.account]).await;
        assert_eq!(house.by(&token, "GET", "/playlists/1").await.status, 200, "nobody told this node");
        assert_eq!(house.by(&token, "DELETE", "/tracks/1").await.slug(), refused);
    }
}

#[tokio::test]
async fn a_key_that_was_revoked_elsewhere_deletes_nothing_more() {
    let house = House::new(|_| {}).await;
    let (_, caller) = remembered(&house).await;
    let scopes = vec!["track:delete".into(), "playlist:read".into()];
    let wish = NewApiKey { name: "ci".into(), scopes, ..NewApiKey::default() };
    let key = house.identity.create_api_key(&caller, &wish, &house.meta()).await.unwrap();
    let key = key.key.expose();
    for (method, path) in [("GET", "/playlists/1"), ("DELETE", "/tracks/1")] {
        assert_eq!(house.by(key, method, path).await.status, 200);
    }
    house.elsewhere(END_KEY, params![caller.account]).await;
    assert_eq!(house.by(key, "GET", "/playlists/1").await.status, 200, "nobody told this node");
    assert_eq!(house.by(key, "DELETE", "/tracks/1").await.slug(), "invalid-token");
}
