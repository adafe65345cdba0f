//! The people of the table, and everything that its paths name.

use std::collections::HashMap;
use std::time::Duration;

use base::{Entropy, Id, Scope};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use store::{Db, DbConfig, params};
use testkit::{Client, Program};

use super::{FORM_BODY, JSON};

/// The people of the table and the names in its paths. No name is part of another.
pub(super) struct Cast {
    pub(super) stranger: Client,
    pub(super) wrong: Client,
    pub(super) lapsed: Client,
    pub(super) owner: Client,
    pub(super) operator: Client,
    pub(super) names: HashMap<&'static str, String>,
}

async fn signed_in(program: &Program, name: &str) -> (Client, String) {
    let token = program.artist(name).await["access_token"].as_str().unwrap().to_owned();
    let client = program.client().bearer(&token);
    let id = client.get("/auth/profile").await.expect(200).json()["id"].as_str().unwrap().to_owned();
    (client, id)
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}")).to_owned()
}

/// What the operator offers to the owner.
const GIFTS: [&str; 4] = ["GIFT1", "GIFT2", "GIFT3", "GIFT4"];

/// Makes everything that the table names.
pub(super) async fn cast(program: &Program) -> Cast {
    let operator = program.client().bearer(program.operator().await["access_token"].as_str().unwrap());
    let operator_id = text(&operator.get("/auth/profile").await.expect(200).json(), "id");
    let (owner, ada) = signed_in(program, "ada").await;
    let (wrong, other) = signed_in(program, "mallory").await;
    let (lapsed, lapsed_id) = signed_in(program, "bob").await;
    operator.patch(&format!("/v1/accounts/{ada}"), json!({"tier": "studio"})).await.expect(204);
    let own = [("P1", &ada), ("P2", &ada), ("P3", &ada)];
    for (project, whose) in own.into_iter().chain(GIFTS.map(|gift| (gift, &operator_id))) {
        let place = format!("/v1/resources/project/{project}");
        let body = json!({"owner": whose}).to_string();
        operator.send(Method::PUT, &place, &[JSON], body.into()).await.expect(201);
    }
    let soon = base::Clock::system().now().plus_ms(1_500).to_rfc3339();
    for project in ["P1", "P2", "P3"] {
        let place = format!("/v1/resources/project/{project}/shares/{lapsed_id}");
        let body = json!({"relation": "collaborator", "expires_at": soon}).to_string();
        owner.send(Method::PUT, &place, &[JSON], body.into()).await.expect(200);
        lapsed.get(&format!("/v1/resources/project/{project}")).await.expect(200);
    }
    let team = text(&owner.post("/v1/teams", json!({"name": "horns"})).await.expect(201).json(), "id");
    // Who was in the team once is to it as who was a collaborator once.
    let member = format!("/v1/teams/{team}/members/{lapsed_id}");
    owner.send(Method::PUT, &member, &[], Bytes::new()).await.expect(200);
    lapsed.get(&format!("/v1/teams/{team}/members")).await.expect(200);
    owner.delete(&member).await.expect(200);
    // One more, which its keeper is in.
    let crew = text(&owner.post("/v1/teams", json!({"name": "crew"})).await.expect(201).json(), "id");
    for member in [&ada, &lapsed_id] {
        owner
            .send(Method::PUT, &format!("/v1/teams/{crew}/members/{member}"), &[], Bytes::new())
            .await
            .expect(200);
    }
    lapsed.get(&format!("/account/teams/{crew}")).await.expect(200);
    owner.delete(&format!("/v1/teams/{crew}/members/{lapsed_id}")).await.expect(200);
    let wish = json!({"permissions": ["project:read"]});
    let token = owner.post("/v1/projects/P2/collaboration-tokens", wish.clone()).await.expect(201).json();
    let link = owner.post("/v1/projects/P1/collaboration-tokens", wish).await.expect(201).json();
    let share = json!({"relation": "shared"}).to_string();
    let place = format!("/v1/resources/project/P2/shares/{operator_id}");
    owner.send(Method::PUT, &place, &[JSON], share.into()).await.expect(200);
    offer(&owner, "P1", "somebody").await;
    let pending = between(
        &owner.get("/account/sharing/project/P1").await.expect(200).text(),
        "name=\"offer\" value=\"",
    );
    let mut gifts = Vec::new();
    for project in GIFTS {
        offer(&operator, project, "ada").await;
        // The newest stands first.
        gifts.push(between(
            &owner.get("/account/sharing").await.expect(200).text(),
            "action=\"/account/offers/",
        ));
    }
    let reason = json!({"reason": "a report of a stolen recording", "minutes": 15});
    let glass = operator.post("/v1/resources/project/P2/break-glass", reason).await.expect(201).json();
    let mut keys = Vec::new();
    for name in ["desk", "sofa", "shed"] {
        let wish = json!({"name": name, "scopes": ["track:read"]});
        keys.push(text(&owner.post("/auth/api-keys", wish).await.expect(201).json(), "id"));
    }
    let trace = owner.get("/auth/events?kind=session.signed_in").await.expect(200).json();
    let sessions = more_sessions(program, &owner).await;
    let apps = apps(&owner).await;
    let elsewhere = linked_elsewhere(program, &ada).await;
    let letter = between(&operator.get("/console/mail").await.expect(200).text(), "href=\"/console/mail/");
    let (_, eve) = signed_in(program, "eve").await;
    let names = HashMap::from([
        ("PRESENT", policies(program, &owner).await),
        ("ADA", ada),
        ("OTHER", other),
        ("OPERATOR", operator_id),
        ("EVE", eve),
        ("SESSION", sessions[0].clone()),
        ("DESK", sessions[1].clone()),
        ("SOFA", sessions[2].clone()),
        ("TEAM", team),
        ("CREW", crew),
        ("TOKEN", text(&token, "id")),
        ("GLASS", text(&glass, "id")),
        ("LINK", text(&link, "id")),
        ("APIKEY", keys[0].clone()),
        ("KEYTWO", keys[1].clone()),
        ("KEYTHREE", keys[2].clone()),
        ("APPONE", apps[0].clone()),
        ("APPTWO", apps[1].clone()),
        ("ELSEWHERE", elsewhere),
        ("LETTER", letter),
        ("TRACE", text(&trace["events"][0], "id")),
        ("PENDING", pending),
        ("GIFTA", gifts[0].clone()),
        ("GIFTB", gifts[1].clone()),
        ("GIFTC", gifts[2].clone()),
        ("GIFTD", gifts[3].clone()),
    ]);
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    Cast { stranger: program.client(), wrong, lapsed, owner, operator, names }
}

/// Others were in force once; gives the version of the present ones, which were in force before, too.
async fn policies(program: &Program, owner: &Client) -> String {
    let wish = json!({"checks": [{"action": "track:read"}]});
    let present = text(&owner.post("/v1/access/check", wish).await.expect(200).json(), "policy_version");
    let folder = tempfile::tempdir().unwrap();
    let quiet = r#"@id("quiet") forbid (principal in Fortissimo::Role::"guest", action == Fortissimo::Action::"user:read", resource);"#;
    std::fs::write(folder.path().join("quiet.cedar"), quiet).unwrap();
    for arguments in
        [&["policy", "activate", folder.path().to_str().unwrap()][..], &["policy", "activate", "--builtin"]]
    {
        let output = program.output(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    present
}

/// Three more sessions of the owner's.
async fn more_sessions(program: &Program, owner: &Client) -> Vec<String> {
    for _ in 0..3 {
        program.sign_in("ada", testkit::ARTIST_PASSWORD).await;
    }
    let sessions = owner.get("/auth/sessions").await.expect(200).json();
    let others = sessions["sessions"].as_array().unwrap().iter().filter(|one| one["current"] == false);
    others.map(|one| text(one, "id")).collect()
}

/// Two apps of the owner's, set up.
async fn apps(owner: &Client) -> Vec<String> {
    let mut apps = Vec::new();
    for name in ["phone", "tablet"] {
        let setup = owner.post("/auth/mfa/totp/setup", json!({"name": name})).await.expect(201).json();
        let secret = totp_rs::Secret::try_from_base32(text(&setup, "secret")).unwrap();
        let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
        let now = u64::try_from(base::Clock::system().now().as_secs()).unwrap();
        let wish = json!({"factor_id": setup["factor_id"], "code": totp.generate(now).to_string()});
        owner.post("/auth/mfa/totp/confirm", wish).await.expect(200);
        apps.push(text(&setup, "factor_id"));
    }
    apps
}

store::sql! {
    LINK = "INSERT INTO provider_link (link_id, account_id, provider, subject_index, created_at, last_used_at) \
        VALUES ($1, $2, 'elsewhere', $3, 1, 1)";
}

/// An account elsewhere that the owner signs in with. Written as the program writes it, because what is tried here is whom
/// it belongs to, and `provider` tries the way there.
async fn linked_elsewhere(program: &Program, account: &str) -> String {
    let url = format!("sqlite:{}", program.data().join("fortissimo.db").display());
    let db = Db::connect(&DbConfig::new(url.parse().unwrap())).await.unwrap();
    let link: Id<base::kind::ProviderLink> = Id::new(&base::Clock::system(), &Entropy::system());
    let account: Id<base::kind::Account> = account.parse().unwrap();
    let mut tx = db.begin(Scope::System("test")).await.unwrap();
    tx.execute(LINK, params![link, account, [7_u8; 32]]).await.unwrap();
    tx.commit().await.unwrap();
    db.close().await.unwrap();
    link.to_string()
}

/// What stands behind these letters, up to the next quotation mark or slash.
fn between(page: &str, before: &str) -> String {
    let (_, rest) = page.split_once(before).unwrap_or_else(|| panic!("{before} is missing in {page}"));
    rest.split(['"', '/']).next().unwrap_or_default().to_owned()
}

/// The token of the forms of a person's pages.
pub(super) async fn form_token(client: &Client) -> String {
    between(&client.get("/account").await.expect(200).text(), "name=\"form_token\" value=\"")
}

async fn offer(by: &Client, project: &str, to: &str) {
    let body = format!("form_token={}&who={to}&relation=shared&until=", form_token(by).await);
    let place = format!("/account/sharing/project/{project}/offer");
    by.send(Method::POST, &place, &[FORM_BODY], body.into()).await.expect(303);
}
