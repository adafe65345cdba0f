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
