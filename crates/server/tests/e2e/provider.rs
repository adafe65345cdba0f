//! Signing in with others: two real providers, one that attacks, a real browser.

use std::process::Command;

use testkit::{Answer, Client, Program, Service, Settings, free_port, node, node_modules, python};

use crate::{repository, start};

const PASSWORD: &str = "violet thunder under the bridge";
const FLOW: &str = "__Host-fortissimo-provider";
const SESSION: &str = "__Host-fortissimo";

fn provider(id: &str, issuer: &str) -> String {
    format!(
        "[[provider]]\nid = \"{id}\"\nissuer = \"{issuer}\"\nclient_id = \"studio\"\nclient_secret = \"file:secret\"\n"
    )
}

/// The program with these providers. Its port is not known before, so redirects go to `localhost:<port>`.
fn program(sections: String) -> Program {
    start(Settings { sections, ..Settings::default() })
}

fn secret_file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "studio-secret-that-is-long-enough-0123456789").unwrap();
    file
}

fn set_cookie(answer: &Answer, name: &str) -> Option<String> {
    let prefix = format!("{name}=");
    let all = answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    all.filter_map(|line| line.strip_prefix(&prefix))
        .map(|rest| rest.split(';').next().unwrap_or_default().to_owned())
        .find(|value| !value.is_empty())
}

/// Path and query of an address.
fn local(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/".to_owned(), |at| rest[at..].to_owned())
}

/// A way to a provider: the cookie and the address that the provider sends the browser back to.
async fn there(client: &Client, provider_port: u16, id: &str) -> (String, String) {
    let begun = client.get(&format!("/auth/oauth/{id}/start?next=%2Fprivate")).await.expect(303);
    let cookie = set_cookie(&begun, FLOW).expect("a cookie for the way back");
    let sent = Client::new(provider_port).get(&local(begun.header("location"))).await.expect(302);
    (cookie, local(sent.header("location")))
}

async fn there_and_back(client: &Client, provider_port: u16, id: &str) -> Answer {
    let (cookie, back) = there(client, provider_port, id).await;
    client.cookie(FLOW, &cookie).get(&back).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_by_providers_and_on_the_way_are_refused() {
    let Some(python) = python() else { return };
    let port = free_port();
    let _hostile = Service::start(
        Command::new(python).arg(repository("tests/openid/hostile_provider.py")).arg(port.to_string()),
        port,
    );
    let refused = [
        "wrong-nonce",
        "no-nonce",
        "wrong-aud",
        "many-aud",
        "wrong-azp",
        "wrong-iss",
        "expired",
        "future",
        "empty-sub",
        "long-sub",
        "wrong-at-hash",
        "alg-none",
        "key-confusion",
        "embedded-key",
        "other-key",
        "no-id-token",
        "wrong-iss-parameter",
        "no-iss-parameter",
        "declined",
        "unverified",
    ];
    let unreachable = ["other-metadata", "huge", "redirecting"];
    let secret = secret_file();
    let mut sections = String::new();
    for id in refused.iter().chain(&unreachable).chain(&["honest", "rotated", "text-verified"]) {
        sections += &provider(id, &format!("http://127.0.0.1:{port}/{id}"));
    }
    for id in ["plain", "plain-verified"] {
        let at = format!("http://127.0.0.1:{port}/{id}");
        sections += &format!(
            "[[provider]]\nid = \"{id}\"\nissuer = \"{at}\"\nclient_id = \"studio\"\nclient_secret = \"file:secret\"\n\
             authorize_url = \"{at}/authorize\"\ntoken_url = \"{at}/token\"\nprofile_url = \"{at}/me\"\n\
             email_field = \"email\"\nverified_field = \"verified\"\n"
        );
    }
    let program = program(sections.replace("file:secret", &format!("file:{}", secret.path().display())));
    let client = program.client();

    for id in refused {
        let answer = there_and_back(&client, port, id).await;
        assert_eq!(answer.status, 403, "{id}: {}", answer.text());
        assert!(set_cookie(&answer, SESSION).is_none(), "{id} signed somebody in");
    }
    for id in unreachable {
        let answer = client.get(&format!("/auth/oauth/{id}/start")).await;
        assert!([403, 502].contains(&answer.status.as_u16()), "{id}: {}", answer.status);
    }
    // The honest ones work, so the refusals above are for their faults.
    for id in ["honest", "rotated", "text-verified", "plain-verified"] {
        let answer = there_and_back(&client, port, id).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (303, "/private"),
            "{id}: {}",
            answer.text()
        );
        assert!(set_cookie(&answer, SESSION).is_some(), "{id}");
    }
    assert_eq!(there_and_back(&client, port, "plain").await.status, 403, "an address nobody vouches for");

    // Replay: an answer counts once, even with the right cookie.
    let (cookie, back) = there(&client, port, "honest").await;
    let with_cookie = client.cookie(FLOW, &cookie);
    with_cookie.get(&back).await.expect(303);
    with_cookie.get(&back).await.expect(400);
    // Another browser's answer (login CSRF): without that browser's cookie nothing happens.
    let (_, back) = there(&client, port, "honest").await;
    client.get(&back).await.expect(400);
    let (stolen, _) = there(&client, port, "honest").await;
    let (_, back) = there(&client, port, "honest").await;
    client.cookie(FLOW, &stolen).get(&back).await.expect(400);
    // Mix-up: the state of one provider at another's callback.
    let (cookie, back) = there(&client, port, "rotated").await;
    client.cookie(FLOW, &cookie).get(&back.replace("/rotated/", "/honest/")).await.expect(400);
    // Bad input.
    for wrong in ["", "?state=x", "?state=%FF", "?code=a&state=&iss=x", "?state=a&state=b"] {
        let answer = client.get(&format!("/auth/oauth/honest/callback{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
    }
    client.get("/auth/oauth/nobody/start").await.expect(404);
    client.get("/auth/oauth/honest/start?link=forged").await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_never_opens_an_existing_account_but_linking_does() {
    let Some(python) = python() else { return };
    let port = free_port();
    let _hostile = Service::start(
        Command::new(python).arg(repository("tests/openid/hostile_provider.py")).arg(port.to_string()),
        port,
    );
    let secret = secret_file();
    let sections = provider("honest", &format!("http://127.0.0.1:{port}/honest"))
        .replace("file:secret", &format!("file:{}", secret.path().display()));
    let program = program(sections);
    let client = program.client();
    // The provider says honest@example.com, and an account here has that address.
    program.artist("honest").await;
    let answer = there_and_back(&client, port, "honest").await.expect(403);
    assert!(answer.text().contains("same e-mail address"), "{}", answer.text());
    program.sign_in("honest", PASSWORD).await;
}

/// What comes of giving the first factor again by this provider, in this session.
async fn again(client: &Client, session: &str, port: u16, id: &str) -> Answer {
    let own = client.cookie(SESSION, session);
    let page = own.get("/account/confirm?next=/account/security/email").await.expect(200);
    let (_, rest) =
        page.text().split_once("again=").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a way");
    let token = &rest[..43];
    let begun =
        own.get(&format!("/auth/oauth/{id}/start?again={token}&next=%2Faccount%2Fsecurity%2Femail")).await;
    let begun = begun.expect(303);
    let address = begun.header("location").to_owned();
    assert!(address.contains("prompt=login") && address.contains("max_age=0"), "{address}");
    let flow = set_cookie(&begun, FLOW).expect("a cookie for the way back");
    let sent = Client::new(port).get(&local(&address)).await.expect(302);
    own.cookie(FLOW, &flow).get(&local(sent.header("location"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_again_elsewhere_must_have_been_asked() {
    let Some(python) = python() else { return };
    let port = free_port();
    let _hostile = Service::start(
        Command::new(python).arg(repository("tests/openid/hostile_provider.py")).arg(port.to_string()),
        port,
    );
    let secret = secret_file();
    let mut sections = String::new();
    for id in ["fresh", "stale", "silent", "honest"] {
        sections += &provider(id, &format!("http://127.0.0.1:{port}/{id}"));
    }
    let program = program(sections.replace("file:secret", &format!("file:{}", secret.path().display())));
    let client = program.client();
    let mut sessions = Vec::new();
    for id in ["fresh", "stale", "silent", "honest"] {
        let answer = there_and_back(&client, port, id).await.expect(303);
        sessions.push((id, set_cookie(&answer, SESSION).expect("a session")));
    }
    for (id, session) in &sessions {
        let answer = again(&client, session, port, id).await;
        match *id {
            // One that says when it was is held to it: an old time, or none, is a way past the question.
            "stale" | "silent" => assert_eq!(answer.status, 403, "{id}: {}", answer.text()),
            // One that never says is believed, as at a sign-in.
            _ => {
                let went = (answer.status.as_u16(), answer.header("location"));
                assert_eq!(went, (303, "/account/security/email"), "{id}: {}", answer.text());
            }
        }
    }
    // Somebody else's account there.
    let answer = again(&client, &sessions[0].1, port, "honest").await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(answer.text().contains("not linked to this one"), "{}", answer.text());
    // Begun by a page of another site or session.
    let own = client.cookie(SESSION, &sessions[0].1);
    own.get("/auth/oauth/fresh/start?again=forged").await.expect(403);
    client.get("/auth/oauth/fresh/start?again=forged").await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn idpyoidc_signs_people_in() {
    let Some(python) = python() else { return };
    let (port, own) = (free_port(), secret_file());
    // The redirect address must be known to the provider before the program has a port, so the two are started twice.
    let sections = provider("idpy", &format!("http://127.0.0.1:{port}"))
        .replace("file:secret", &format!("file:{}", own.path().display()));
    let program = program(sections);
    let redirect = format!("http://localhost:{}/auth/oauth/idpy/callback", program.port);
    let _provider = Service::start(
        Command::new(python)
            .arg(repository("tests/openid/idpyoidc_provider.py"))
            .arg(port.to_string())
            .arg(redirect),
        port,
    );
    let client = program.client();
    for _ in 0..2 {
        let answer = there_and_back(&client, port, "idpy").await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert!(set_cookie(&answer, SESSION).is_some());
    }
    let accounts = program.output(&["account", "list"]);
    assert_eq!(
        String::from_utf8_lossy(&accounts.stdout).matches("diana").count(),
        1,
        "one account for two sign-ins"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_with_oidc_provider_and_links() {
    let Some(modules) = node_modules() else { return };
    let (port, own) = (free_port(), secret_file());
    let sections = provider("studio-id", &format!("http://127.0.0.1:{port}"))
        .replace("client_id", "name = \"Studio ID\"\nclient_id")
        .replace("file:secret", &format!("file:{}", own.path().display()));
    let program = program(sections);
    let redirect = format!("http://localhost:{}/auth/oauth/studio-id/callback", program.port);
    let _provider = Service::start(
        Command::new("node")
            .arg(repository("tests/openid/oidc_provider.mjs"))
            .args([port.to_string(), redirect])
            .env("NODE_PATH", modules),
        port,
    );
    program.artist("bob").await;
    let shots = repository("target/xtask/screenshots");
    std::fs::create_dir_all(&shots).unwrap();
    let environment = [
        ("BASE", format!("http://localhost:{}", program.port)),
        ("PROVIDER", format!("http://127.0.0.1:{port}")),
        ("PASSWORD", PASSWORD.to_owned()),
        ("SHOTS", shots.display().to_string()),
    ];
    let told = tokio::task::spawn_blocking(move || {
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        node(&repository("crates/server/tests/browser/provider.cjs"), &environment)
    })
    .await
    .unwrap();
    assert!(told.is_none_or(|told| told.contains("providers complete")));
}
