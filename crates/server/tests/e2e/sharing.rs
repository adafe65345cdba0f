//! The sharing dialog: an artist shares till a date, the friend can, the artist takes it back, the friend cannot. In a
//! real browser without scripts, held against axe-core; and what a page must not tell.

use std::collections::BTreeSet;

use serde_json::json;
use testkit::{ARTIST_PASSWORD, Client, Program, Settings, node, node_modules, wait_for_mail};

use crate::live::registered;
use crate::{repository, start};

const PLACE: &str = "/account/sharing/project/song";

/// Ada, who may share and owns a song, and Bob.
async fn people(program: &Program) -> (Client, Client) {
    let mut clients = Vec::new();
    for name in ["ada", "bob"] {
        let artist = program.artist(name).await;
        clients.push(program.client().bearer(artist["access_token"].as_str().unwrap()));
    }
    for arguments in [["account", "set-tier", "ada", "studio"], ["account", "set-tier", "bob", "pro"]] {
        assert!(program.output(&arguments).status.success());
    }
    registered(program, "project/song", "ada");
    let bob = clients.pop().unwrap();
    (clients.pop().unwrap(), bob)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_friend_gets_access_until_a_date_and_loses_it_in_a_browser() {
    if node_modules().is_none() {
        return;
    }
    let program = start(Settings::default());
    let (ada, _) = people(&program).await;
    ada.post("/v1/teams", json!({"name": "Horns"})).await.expect(201);
    let shots = repository("target/xtask/screenshots");
    std::fs::create_dir_all(&shots).unwrap();
    let environment = [
        ("BASE", format!("http://localhost:{}", program.port)),
        ("PASSWORD", ARTIST_PASSWORD.to_owned()),
        ("SHOTS", shots.display().to_string()),
    ];
    let told = tokio::task::spawn_blocking(move || {
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        node(&repository("crates/server/tests/browser/sharing.cjs"), &environment)
    })
    .await
    .unwrap();
    assert!(told.is_none_or(|told| told.contains("sharing complete")));
    // Whom it was for was told; nobody else was.
    let mail = wait_for_mail(&program.folder().join("mail"), &["bob@example.com", "offers to share"]).await;
    assert!(mail.contains("project/song") && mail.contains("/account/sharing"), "{mail}");
    for (kind, times) in [("access.offered", 3), ("access.granted", 4), ("access.transferred", 2)] {
        let found = program.output(&["audit", "search", "--kind", kind]);
        assert_eq!(String::from_utf8_lossy(&found.stdout).matches(kind).count(), times, "{kind}");
    }
}

/// The text without what stands between these letters and the next quotation mark.
fn without(text: &str, letters: &str) -> String {
    let parts = text.split(letters).enumerate();
    parts.map(|(at, part)| if at == 0 { part } else { part.split_once('"').unwrap().1 }).collect()
}

/// A person's own page, and their forms.
pub(crate) struct Pages<'a> {
    client: &'a Client,
    token: String,
}

impl<'a> Pages<'a> {
    pub(crate) async fn of(client: &'a Client) -> Self {
        let page = client.get("/account").await.expect(200).text();
        let (_, rest) = page.split_once("name=\"form_token\" value=\"").expect("a form");
        Self { client, token: rest.split('"').next().unwrap().to_owned() }
    }

    pub(crate) async fn post(&self, path: &str, fields: &str) -> testkit::Answer {
        let body = format!("form_token={}&{fields}", self.token);
        self.client.upload(path, "application/x-www-form-urlencoded", body.into()).await
    }

    pub(crate) async fn sees(&self, path: &str) -> String {
        self.client.get(path).await.expect(200).text()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_looks_the_same_whether_there_is_such_an_account() {
    let program = start(Settings::default());
    let (ada, bob) = people(&program).await;
    let pages = Pages::of(&ada).await;
    let mut seen = BTreeSet::new();
    // Somebody, nobody, an address of somebody's, one of nobody's, one who never followed their link.
    let pending = json!({"username": "carol", "email": "carol@example.com", "password": ARTIST_PASSWORD});
    program.client().post("/auth/register", pending).await.expect(202);
    let names =
        ["bob", "nobody", "bob%40example.com", "nobody%40example.com", "carol", "carol%40example.com"];
    for name in names {
        let answer =
            pages.post(&format!("{PLACE}/offer"), &format!("who={name}&relation=shared&until=")).await;
        let location = answer.header("location").to_owned();
        let page = pages.sees(&location).await;
        let (_, table) = page.split_once("id=\"waiting\"").expect("what waits");
        let row = table.split("<tr>").nth(2).expect("the newest row");
        let row = row.split("</tr>").next().unwrap().to_owned();
        let shown = name.replace("%40", "@");
        assert!(row.contains(&shown), "{row}");
        // But for the name, its own time and its id.
        let row = row.replace(&shown, "NAME").replace(&shown.replace('@', "&#64;"), "NAME");
        let row = without(&without(&row, "name=\"offer\" value=\""), "datetime=\"");
        seen.insert((answer.status.as_u16(), location, row));
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
    // Bob finds two offers, by his name and by his address; nothing is his before he says yes.
    let bobs = Pages::of(&bob).await;
    let offered = bobs.sees("/account/sharing").await;
    assert_eq!(offered.matches("/accept\"").count(), 2, "{offered}");
    bob.get("/v1/resources/project/song").await.problem(404, "not-found");
    // A name that never was cannot be told from one that does not answer.
    let wide = pages.sees(PLACE).await;
    assert!(wide.contains("Nobody else has access."), "{wide}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_form_stands_beside_its_field() {
    let program = start(Settings::default());
    let (ada, bob) = people(&program).await;
    let pages = Pages::of(&ada).await;
    for (form, fields, words) in [
        ("offer", "who=&relation=shared&until=", "Write a username or an e-mail address."),
        ("offer", "who=a%20b&relation=shared&until=", "Write a username or an e-mail address."),
        ("offer", "who=ada&relation=shared&until=", "Must be somebody else."),
        ("offer", "who=ada%40example.com&relation=shared&until=", "Must be somebody else."),
        ("offer", "who=bob&relation=king&until=", "Choose what they shall be."),
        ("offer", "who=bob&relation=owner&until=", "Choose what they shall be."),
        ("offer", "who=bob&until=", "Choose what they shall be."),
        ("offer", "who=bob&relation=shared&until=2001-01-01", "Must be in the future."),
        ("offer", "who=bob&relation=shared&until=tomorrow", "Write a date such as 2027-01-31."),
        ("links", "uses=1&hours=1", "Choose at least one."),
        ("links", "may+project%3Aread=yes&uses=0&hours=1", "Write a number from 1 to 100."),
        ("links", "may+project%3Aread=yes&uses=1&hours=x", "Write a number of hours, such as 24."),
        ("links", "may+project%3Aread=yes&uses=1&hours=48", "Is later than an invitation lasts here."),
        // What nobody can give by a token is no choice at all.
        ("links", "may+project%3Adelete=yes&uses=1&hours=1", "Choose at least one."),
        ("transfer", "heir=", "Choose who shall own it."),
        (
            "share",
            "new=team&subject=team:00000000-0000-7000-8000-000000000000&relation=shared&until=",
            "Is no team that you keep or are in.",
        ),
    ] {
        let answer = pages.post(&format!("{PLACE}/{form}"), fields).await.expect(400).text();
        // Where the page has no such form now, it stands above everything.
        assert!(form != "offer" || answer.contains("aria-invalid"), "{fields}: {answer}");
        assert!(answer.contains(words), "{fields}: {answer}");
    }
    for (form, fields) in [
        ("share", "subject=nobody&relation=shared"),
        ("revoke", "subject=00000000-0000-7000-8000-000000000000"),
        ("withdraw", "offer=x"),
        ("links/revoke", "link=00000000-0000-7000-8000-000000000000"),
    ] {
        pages.post(&format!("{PLACE}/{form}"), fields).await.expect(404);
    }
    // In German, too.
    let german = [("accept-language", "de"), ("content-type", "application/x-www-form-urlencoded")];
    let body = format!("form_token={}&who=ada&relation=shared&until=", pages.token);
    let told = ada.send(http::Method::POST, &format!("{PLACE}/offer"), &german, body.into()).await;
    assert!(told.expect(400).text().contains("Das muss jemand anderes sein."));
    // Who does not own it finds none of it.
    Pages::of(&bob)
        .await
        .post(&format!("{PLACE}/offer"), "who=carol&relation=shared&until=")
        .await
        .expect(404);
    assert!(!pages.sees(PLACE).await.contains("id=\"waiting\""), "something was offered all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_learns_who_looks_at_their_private_work_and_why() {
    let program = start(Settings::default());
    let operator = program.client().bearer(program.operator().await["access_token"].as_str().unwrap());
    let (ada, bob) = people(&program).await;
    let pages = Pages::of(&ada).await;
    let path = "/v1/resources/project/song/break-glass";
    for (wish, pointer) in [
        (json!({"reason": "curious", "minutes": 5}), "/reason"),
        (json!({"reason": "a report of a stolen recording", "minutes": 0}), "/minutes"),
        (json!({"reason": "a report of a stolen recording", "minutes": 241}), "/minutes"),
    ] {
        let told = operator.post(path, wish).await.expect(400).json();
        assert_eq!(told["errors"][0]["pointer"], pointer, "{told}");
    }
    bob.post(path, json!({"reason": "a report of a stolen recording", "minutes": 5})).await.expect(403);
    assert!(!pages.sees("/account/sharing").await.contains("operator"));
    operator.get("/v1/resources/project/song").await.problem(404, "not-found");
    let wish = json!({"reason": "a report of a stolen recording", "minutes": 5});
    let glass = operator.post(path, wish).await.expect(201).json();
    operator.get("/v1/resources/project/song").await.expect(200);
    // By mail, on the page of the work, on the page of all works, and in what happened lately.
    let mail =
        wait_for_mail(&program.folder().join("mail"), &["ada@example.com", "a report of a stolen"]).await;
    assert!(mail.contains("project/song") && mail.contains("operator"), "{mail}");
    for page in ["/account/sharing", PLACE] {
        let seen = pages.sees(page).await;
        assert!(
            seen.contains("<strong>operator</strong>") && seen.contains("project/song"),
            "{page}: {seen}"
        );
    }
    let activity = pages.sees("/account/activity").await;
    assert!(activity.contains("a report of a stolen recording"), "{activity}");
    let found = program.output(&["audit", "search", "--kind", "access.break_glass_opened", "--json"]);
    let event: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(
        (event["severity"].as_u64(), event["kind"].as_str()),
        (Some(5), Some("access.break_glass_opened"))
    );
    // It shows; it does not let change, share or export.
    operator
        .delete("/v1/resources/project/song/shares/00000000-0000-7000-8000-000000000000")
        .await
        .expect(403);
    operator.delete(&format!("/v1/break-glass/{}", glass["id"].as_str().unwrap())).await.expect(200);
    operator.get("/v1/resources/project/song").await.problem(404, "not-found");
    assert!(!pages.sees(PLACE).await.contains("<strong>operator</strong>"));
    assert!(pages.sees("/account/activity").await.contains("An administrator ended their look"));
}
