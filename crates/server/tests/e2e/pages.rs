//! The pages in a real browser: sign up, verify, sign in, upload, watch, sign out.

use testkit::{Settings, node};

use crate::{repository, start, studio};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_uses_the_pages_in_a_browser() {
    let Some(studio) = studio::studio() else { return };
    let program = studio.program;
    let shots = repository("target/xtask/screenshots");
    std::fs::create_dir_all(&shots).unwrap();
    let setup = program.setup_code().await;
    let port = program.port.to_string();
    let environment = [
        ("BASE", format!("http://localhost:{port}")),
        ("SETUP_CODE", setup),
        ("MAIL", program.folder().join("mail").display().to_string()),
        ("SHOTS", shots.display().to_string()),
    ];
    let script = repository("crates/server/tests/browser/journey.cjs");
    let told = tokio::task::spawn_blocking(move || {
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        node(&script, &environment)
    })
    .await
    .unwrap();
    if let Some(told) = told {
        assert!(told.contains("journey complete"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_a_strict_policy_and_refuse_forged_forms() {
    let program = start(Settings::default());
    let client = program.client();
    let page = client.get("/account/sign-in").await.expect(200);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!page.text().contains("<script>") && !page.text().contains("style="), "inline code in a page");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("cache-control", "no-store"),
    ] {
        assert!(
            page.header(name).contains(value) || name == "referrer-policy",
            "{name}: {}",
            page.header(name)
        );
    }
    for version in ["server", "x-powered-by"] {
        assert_eq!(page.header(version), "", "{version}");
    }
    let form = "identifier=ada&password=whatever-it-is";
    let forged = client.upload("/account/sign-in", "application/x-www-form-urlencoded", form.into()).await;
    assert_eq!(forged.status, 403, "{}", forged.text());
    // A page for signed-in people sends a browser to the sign-in.
    let sent =
        client.send(http::Method::GET, "/account", &[("accept", "text/html")], bytes::Bytes::new()).await;
    assert_eq!((sent.status.as_u16(), sent.header("location")), (303, "/account/sign-in?next=/account"));
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_say_when_to_come_back_while_too_many_passwords_wait() {
    let sections = "[accounts]\nhash_workers = 1\nhash_queue = 1\n".to_owned();
    let program = start(Settings { sections, ..Settings::default() });
    let page = program.client().get("/account/sign-in").await.expect(200);
    let cookie = page.header("set-cookie").split_once(';').unwrap().0.split_once('=').unwrap().1.to_owned();
    let token = page.text().split_once("name=\"form_token\" value=\"").unwrap().1[..43].to_owned();
    let client = program.client().cookie("__Host-fortissimo-form", &cookie);
    let origin = format!("http://127.0.0.1:{}", program.port);
    let mut posts = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (client, origin) = (client.clone(), origin.clone());
        let password = "password=violet+thunder+under+the+bridge";
        let (path, form) = if number % 2 == 0 {
            ("/account/sign-in", format!("form_token={token}&identifier=ada{number}&{password}"))
        } else {
            let who = format!("username=name{number}&email=name{number}%40example.com");
            ("/account/sign-up", format!("form_token={token}&{who}&{password}"))
        };
        posts.spawn(async move {
            let headers =
                [("content-type", "application/x-www-form-urlencoded"), ("origin", origin.as_str())];
            (path, client.send(http::Method::POST, path, &headers, form.into()).await)
        });
    }
    let mut busy = std::collections::BTreeSet::new();
    while let Some(answered) = posts.join_next().await {
        let (path, answer) = answered.unwrap();
        assert!(
            [200, 401, 503].contains(&answer.status.as_u16()),
            "{path} {}: {}",
            answer.status,
            answer.text()
        );
        if answer.status == 503 {
            assert!(!answer.header("retry-after").is_empty(), "{path}");
            busy.insert(path);
        }
    }
    assert_eq!(busy.len(), 2, "forty at once were not too many: {busy:?}");
}

/// The token that a page's forms carry.
fn form_token(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"form_token\" value=\"").expect("a form");
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_asks_why_and_goes_back_to_earlier_policies() {
    let program = start(Settings::default());
    let operator = program.client().bearer(program.operator().await["access_token"].as_str().unwrap());
    program.artist("ada").await;
    let token = form_token(&operator.get("/console/explain").await.expect(200).text());
    let ask = async |fields: &str| {
        let body = format!("form_token={token}&{fields}");
        operator.upload("/console/explain", "application/x-www-form-urlencoded", body.into()).await
    };
    let answer = ask("account=ada&action=project:export&resource=").await.expect(200).text();
    for words in ["may not", "no-grant", "tier studio", "role super_admin"] {
        assert!(answer.contains(words), "{words} is missing: {answer}");
    }
    let answer = ask("account=ada&action=project:read&resource=project/7").await.expect(200).text();
    assert!(answer.contains("no-relation") && answer.contains("owning it"), "{answer}");
    let answer = ask("account=nobody&action=project:reed&resource=project").await.expect(400).text();
    for words in ["no such account", "did you mean", "Write it as kind/id"] {
        assert!(answer.contains(words), "{words} is missing: {answer}");
    }
    let events = program.output(&["audit", "search", "--kind", "policy.explained"]);
    assert_eq!(String::from_utf8_lossy(&events.stdout).matches("policy.explained").count(), 2);

    let folder = tempfile::tempdir().unwrap();
    let text = r#"@id("frozen") forbid (principal, action == Fortissimo::Action::"track:write", resource);"#;
    std::fs::write(folder.path().join("frozen.cedar"), text).unwrap();
    let activate = ["policy", "activate", "--comment", "<b>freeze</b>"];
    let activated = program.output(&[&activate[..], &[folder.path().to_str().unwrap()]].concat());
    assert!(activated.status.success(), "{}", String::from_utf8_lossy(&activated.stderr));
    let activated = program.output(&["policy", "activate", "--builtin"]);
    assert!(activated.status.success(), "{}", String::from_utf8_lossy(&activated.stderr));
    let list = operator.get("/console/policies").await.expect(200).text();
    assert!(list.contains("&#60;b&#62;freeze") && !list.contains("<b>freeze"), "{list}");
    let begun = std::time::Instant::now();
    let page = loop {
        // This process follows what the command did within a second.
        let page = operator.get("/console/policies/1").await.expect(200).text();
        if page.contains("newly denied") {
            break page;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{page}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert!(page.contains("frozen.cedar") && page.contains("track:write"), "{page}");
    let (_, present) = page.split_once("name=\"present\" value=\"").expect("what it is compared with");
    let present = present.split('"').next().unwrap();
    let activate = async |fields: &str| {
        let body = format!("form_token={}&{fields}", form_token(&page));
        operator
            .upload("/console/policies/1/activate", "application/x-www-form-urlencoded", body.into())
            .await
    };
    for (fields, words) in [
        (format!("comment=&confirm=yes&present={present}"), "Say why"),
        (format!("comment=once+again&present={present}"), "say that you did"),
        ("comment=once+again&confirm=yes&present=another".to_owned(), "Other policies are in force by now"),
    ] {
        let told = activate(&fields).await.expect(400).text();
        assert!(told.contains(words), "{fields}: {told}");
    }
    let back = activate(&format!("comment=once+again&confirm=yes&present={present}")).await;
    assert_eq!((back.status.as_u16(), back.header("location")), (303, "/console/policies?done=policies"));
    assert!(operator.get("/console/policies").await.expect(200).text().contains("again"));
    let roles = operator.get("/console/roles?relation=owner").await.expect(200).text();
    assert!(roles.contains("On an object of their own.") && roles.contains("track:read"), "{roles}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artist_sees_who_has_access_and_takes_it_away() {
    let program = start(Settings::default());
    let mut clients = Vec::new();
    for name in ["ada", "bob"] {
        let client = program.client().bearer(program.artist(name).await["access_token"].as_str().unwrap());
        let id = client.get("/auth/profile").await.expect(200).json()["id"].as_str().unwrap().to_owned();
        clients.push((client, id));
    }
    let [(ada, ada_id), (bob, bob_id)] = &clients[..] else { unreachable!() };
    let changed = program.output(&["account", "set-tier", "ada", "studio"]);
    assert!(changed.status.success(), "{ada_id}");
    let json = [("content-type", "application/json")];
    let put =
        async |path: &str, body: &'static str| ada.send(http::Method::PUT, path, &json, body.into()).await;
    // People do not register by themselves; they hear how it is done, and nothing about what others have.
    let told = put("/v1/resources/project/song", "{}").await.problem(404, "not-found");
    assert!(
        told.text().contains("Fortissimo-Register") && told.text().contains("object register"),
        "{}",
        told.text()
    );
    let registered = program.output(&["object", "register", "project/song", "--owner", "ada"]);
    assert!(registered.status.success(), "{}", String::from_utf8_lossy(&registered.stderr));
    let other = bob.send(http::Method::PUT, "/v1/resources/project/song", &json, "{}".into()).await;
    assert_eq!(other.problem(404, "not-found").json()["detail"], told.json()["detail"]);
    let shown = program.output(&["object", "show", "project/song", "--account", "ada"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("owner"), "{shown:?}");
    let share = format!("/v1/resources/project/song/shares/{bob_id}");
    let begun = std::time::Instant::now();
    while put(&share, r#"{"relation":"shared"}"#).await.status != 200 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "the tier was not noticed");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(ada.get("/account/sharing").await.expect(200).text().contains("/account/sharing/project/song"));
    let page = ada.get("/account/sharing/project/song").await.expect(200).text();
    assert!(page.contains("bob") && page.contains("shared") && page.contains("taken away"), "{page}");
    // Who it is shared with sees it, and that it is not theirs.
    assert!(bob.get("/account/sharing/project/song").await.expect(200).text().contains("not yours"));
    let body = format!("form_token={}&subject={bob_id}", form_token(&page));
    let done = ada
        .upload("/account/sharing/project/song/revoke", "application/x-www-form-urlencoded", body.into())
        .await;
    assert_eq!(done.status, 303, "{}", done.text());
    assert!(
        ada.get("/account/sharing/project/song").await.expect(200).text().contains("Nobody else has access")
    );
    bob.get("/v1/resources/project/song").await.problem(404, "not-found");
}
