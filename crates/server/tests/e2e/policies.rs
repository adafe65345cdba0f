//! An operator's own policies, from the folder to the answer of a route.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Client, Program, Settings};

use crate::{BINARY, start};

const SCHEMA: &str = r#"namespace Fortissimo {
  action "stems:render" in ["creative"] appliesTo { principal: Account, resource: [Platform] };
}
"#;
const POLICY: &str = r#"@id("studio.renders-stems")
permit (
  principal in Fortissimo::Tier::"pro",
  action == Fortissimo::Action::"stems:render",
  resource
);
"#;

/// A folder with the operator's schema and this policy.
fn folder(policy: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("stems.cedarschema"), SCHEMA).unwrap();
    std::fs::write(folder.path().join("stems.cedar"), policy).unwrap();
    folder
}

/// A service that answers everything with 200, for as long as the test lasts.
pub(crate) fn upstream() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut head = [0; 16 * 1024];
                if stream.read(&mut head).is_ok() {
                    let _ = stream.write_all(
                        b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\nrendered",
                    );
                }
            });
        }
    });
    port
}

fn sections(policies: &Path, upstream: u16) -> String {
    format!(
        "[access]\npolicies = {policies:?}\n[[route]]\npath = \"/render/{{project}}\"\n\
         upstream = \"http://127.0.0.1:{upstream}\"\naccess = \"stems:render\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_added_action_decides_about_a_route() {
    let policies = folder(POLICY);
    let sections = sections(policies.path(), upstream());
    let program = start(Settings { sections, ..Settings::default() });
    let operator = program.client().bearer(program.operator().await["access_token"].as_str().unwrap());
    let artist = program.artist("ada").await;
    let ada = program.client().bearer(artist["access_token"].as_str().unwrap());
    let id = ada.get("/auth/profile").await.expect(200).json()["id"].as_str().unwrap().to_owned();

    // The free tier has no such right, the pro tier has it by the operator's own policy.
    ada.get("/render/7").await.problem(403, "forbidden");
    operator.patch(&format!("/v1/accounts/{id}"), json!({"tier": "pro"})).await.expect(204);
    assert_eq!(ada.get("/render/7").await.expect(200).text(), "rendered");
    operator.patch(&format!("/v1/accounts/{id}"), json!({"tier": "free"})).await.expect(204);
    ada.get("/render/7").await.problem(403, "forbidden");
    program.client().get("/render/7").await.problem(401, "unauthenticated");
}

#[test]
fn a_bad_policy_is_refused_with_its_place() {
    let wrong = POLICY.replace("action == Fortissimo::Action::\"stems:render\"", "action == Nowhere");
    for (command, policy, place) in [
        (
            &["config", "check"][..],
            POLICY.replace("@id(\"studio.renders-stems\")\n", ""),
            "stems.cedar:1:1: ",
        ),
        (&["serve"], POLICY.replace("stems:render", "stems:rendr"), "stems.cedar:4:"),
        (&["config", "check"], wrong, "stems.cedar:4:"),
    ] {
        let policies = folder(&policy);
        let place_of = tempfile::tempdir().unwrap();
        let data = place_of.path().join("data");
        let text = format!("[server]\ndata_dir = {data:?}\n{}", sections(policies.path(), 9));
        std::fs::write(place_of.path().join("fortissimo.toml"), text).unwrap();
        let output = Command::new(BINARY).args(command).current_dir(place_of.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {told}");
        assert!(told.contains(place) && told.contains("fortissimo.toml:4:"), "{command:?}: {told}");
        assert!(!data.exists(), "half-made");
    }
}

/// Tokens of an operator and of an artist on the free tier.
async fn people(program: &Program) -> (Client, Client) {
    let operator = program.client().bearer(program.operator().await["access_token"].as_str().unwrap());
    let artist = program.artist("ada").await;
    (operator, program.client().bearer(artist["access_token"].as_str().unwrap()))
}

/// Waits until the route answers like that; gives how long it took.
async fn answers(client: &Client, status: u16) -> Duration {
    let begun = Instant::now();
    loop {
        let answer = client.get("/render/7").await;
        if answer.status == status {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "still {}", answer.status);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn told(output: &std::process::Output) -> (Option<i32>, String) {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[track_caller]
fn expect(program: &Program, arguments: &[&str], code: i32, words: &[&str]) -> String {
    let (status, text) = told(&program.output(arguments));
    assert_eq!(status, Some(code), "{arguments:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{arguments:?}: {word:?} is missing:\n{text}");
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_compared_activated_and_rolled_back_while_the_server_runs() {
    let policies = folder(POLICY);
    let path = policies.path().to_str().unwrap().to_owned();
    let sections = sections(policies.path(), upstream());
    let program = start(Settings { sections, ..Settings::default() });
    let (_operator, ada) = people(&program).await;
    for _ in 0..3 {
        ada.get("/render/7").await.problem(403, "forbidden");
    }
    expect(&program, &["policy", "validate"], 0, &["right: 2 files"]);
    expect(&program, &["policy", "history"], 0, &["nothing was ever activated"]);
    let cases = policies.path().join("cases.toml");
    std::fs::write(
        &cases,
        "[[case]]\nname = \"free\"\naction = \"stems:render\"\nexpect = \"deny\"\n\
         [[case]]\nprincipal = { tier = \"pro\" }\naction = \"stems:render\"\nexpect = \"allow\"\nrule = \"studio.renders-stems\"\n",
    )
    .unwrap();
    let cases = cases.to_str().unwrap();
    expect(&program, &["policy", "test", cases], 0, &["all 2 cases"]);

    // Now free artists may, too.
    let wider = POLICY.replace("Tier::\"pro\"", "Tier::\"free\"");
    std::fs::write(policies.path().join("stems.cedar"), wider).unwrap();
    expect(&program, &["policy", "test", cases], 1, &["case 1 (\"free\"): expected denied", "2 of 2 cases"]);
    let diff = expect(
        &program,
        &["policy", "diff", "--requests", "1000"],
        0,
        &["stems:render", "unknown-action", "14 newly allowed, 0 newly denied", "allowed 3 more of 1 people"],
    );
    assert!(diff.contains("with the built-in"), "{diff}");
    // What the matrix shows of plain sessions, the solver proves of everybody, where there is one.
    let proof =
        if has_solver() { "newly allowed, for example: stems:render to guest/free" } else { "no solver" };
    assert!(diff.contains(proof), "{proof:?} is missing:\n{diff}");
    ada.get("/render/7").await.problem(403, "forbidden");
    expect(
        &program,
        &["policy", "activate", "--comment", "stems for everybody"],
        0,
        &["in force", "number 1 "],
    );
    answers(&ada, 200).await;
    // The same again is no news.
    expect(&program, &["policy", "activate", &path], 0, &["number 1 "]);

    // What going back would cost is known beforehand.
    std::fs::write(policies.path().join("stems.cedar"), POLICY).unwrap();
    expect(
        &program,
        &["policy", "diff", "--requests", "1000"],
        0,
        &["no-grant", "newly denied", "of 1 people and allowed 0", "stems:render  denied"],
    );

    // What is wrong changes nothing.
    std::fs::write(policies.path().join("stems.cedar"), POLICY.replace("stems:render", "stems:rendr"))
        .unwrap();
    for command in ["activate", "diff"] {
        expect(&program, &["policy", command, &path], 2, &["stems.cedar:4:"]);
    }
    ada.get("/render/7").await.expect(200);
    std::fs::write(policies.path().join("stems.cedar"), "").unwrap();
    std::fs::write(policies.path().join("stems.cedarschema"), "").unwrap();
    expect(&program, &["policy", "activate", &path], 2, &["stems:render"]);
    // Back to what the configuration named when the server started.
    std::fs::write(policies.path().join("stems.cedar"), POLICY).unwrap();
    std::fs::write(policies.path().join("stems.cedarschema"), SCHEMA).unwrap();
    expect(&program, &["policy", "rollback", "--comment", "too generous"], 0, &["number 2 "]);
    answers(&ada, 403).await;
    expect(&program, &["policy", "rollback", "--to", "1"], 0, &["number 3 "]);
    answers(&ada, 200).await;
    expect(&program, &["policy", "rollback", "--to", "9"], 1, &["no activation 9"]);
    expect(&program, &["policy", "rollback", "--to", "1"], 1, &["in force already"]);
    let history =
        expect(&program, &["policy", "history"], 0, &["stems for everybody", "too generous", "command line"]);
    assert_eq!(history.lines().count(), 4, "{history}");
    for kind in ["policy.activated", "policy.rolled_back", "policy.refused"] {
        expect(&program, &["audit", "search", "--kind", kind], 0, &[kind]);
    }
}

/// Whether `policy diff` can prove anything here; CI must have the solver.
fn has_solver() -> bool {
    let there = Command::new("cvc5").arg("--version").output().is_ok();
    assert!(there || testkit::test_tool("FORTISSIMO_TEST_POSTGRES").is_none(), "xtask installs cvc5");
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dry_run_takes_relations_into_account_as_they_are_now() {
    let policies = folder(POLICY);
    let sections = format!(
        "[access]\npolicies = {:?}\nself_registration = true\n[[route]]\npath = \"/listen/{{id}}\"\n\
         upstream = \"http://127.0.0.1:{}\"\naccess = \"track:read on track/{{id}}\"\n",
        policies.path(),
        upstream()
    );
    let program = start(Settings { sections, ..Settings::default() });
    let mut people = Vec::new();
    for name in ["ada", "bob", "eve"] {
        let artist = program.artist(name).await;
        let client = program.client().bearer(artist["access_token"].as_str().unwrap());
        let id = client.get("/auth/profile").await.expect(200).json()["id"].as_str().unwrap().to_owned();
        people.push((client, id));
    }
    let [(ada, _), (bob, bobs), (eve, _)] = &people[..] else { unreachable!("three people") };
    let put = async |path: &str, body: serde_json::Value| {
        let headers = [("content-type", "application/json")];
        ada.send(http::Method::PUT, path, &headers, body.to_string().into()).await
    };
    let registered = put("/v1/resources/track/7", json!({})).await;
    assert!(registered.status.is_success(), "{}", registered.text());
    let share = format!("/v1/resources/track/7/shares/{bobs}");
    put(&share, json!({"relation": "shared"})).await.expect(200);
    for _ in 0..2 {
        ada.get("/listen/7").await.expect(200);
    }
    bob.get("/listen/7").await.expect(200);
    for _ in 0..3 {
        eve.get("/listen/7").await.problem(404, "not-found");
    }
    // Nobody but owners would listen any more: that costs bob one request, and the others nothing, as ada owns it and eve
    // had nothing to do with it.
    let owners = "@id(\"owners\") forbid (principal, action == Fortissimo::Action::\"track:read\", \
                  resource is Fortissimo::Track) unless { context.owner };";
    std::fs::write(policies.path().join("stems.cedar"), format!("{POLICY}{owners}")).unwrap();
    expect(
        &program,
        &["policy", "diff", "--requests", "1000"],
        0,
        &[
            "of the last 6 requests that needed an action, this would have denied 1 of 1 people and allowed 0 more",
            "relations as they are now",
        ],
    );
    // Relations are those of now, not those of then.
    ada.delete(&share).await.expect(200);
    expect(
        &program,
        &["policy", "diff", "--requests", "1000"],
        0,
        &["this would have denied 0 of 0 people and allowed 0 more"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_activated_survives_a_restart_and_a_watched_folder_is_taken_up() {
    let policies = folder(POLICY);
    let sections = sections(policies.path(), upstream()).replace("[[route]]", "reload = true\n[[route]]");
    let mut program = start(Settings { sections, ..Settings::default() });
    let (_operator, ada) = people(&program).await;
    ada.get("/render/7").await.problem(403, "forbidden");
    let stems = policies.path().join("stems.cedar");
    std::fs::write(&stems, POLICY.replace("Tier::\"pro\"", "Tier::\"free\"")).unwrap();
    answers(&ada, 200).await;
    expect(&program, &["policy", "history"], 0, &["system:policy folder", "the folder changed"]);
    // A wrong one is refused, and said once.
    std::fs::write(&stems, "permit").unwrap();
    let begun = Instant::now();
    while !program.log().contains("stems.cedar:1:") {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", program.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ada.get("/render/7").await.expect(200);
    std::fs::write(&stems, POLICY.replace("Tier::\"pro\"", "Tier::\"free\"")).unwrap();
    assert!(program.stop());
    program.run();
    ada.get("/render/7").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_follows_an_activation() {
    let Some(url) = testkit::test_tool("FORTISSIMO_TEST_POSTGRES") else { return };
    let database = testkit::PostgresDatabase::create(url.to_str().unwrap());
    let policies = folder(POLICY);
    let sections =
        format!("[tokens]\nissuer = \"http://localhost\"\n{}", sections(policies.path(), upstream()));
    let settings = Settings {
        sections,
        migrate: database.owner_url,
        database: database.service_url,
        ..Settings::default()
    };
    let one = start(settings.clone());
    let two = Program::start_beside(settings, &one);
    let token = one.artist("ada").await["access_token"].as_str().unwrap().to_owned();
    let nodes = [one.client().bearer(&token), two.client().bearer(&token)];
    for node in &nodes {
        node.get("/render/7").await.problem(403, "forbidden");
    }
    std::fs::write(policies.path().join("stems.cedar"), POLICY.replace("Tier::\"pro\"", "Tier::\"free\""))
        .unwrap();
    expect(&one, &["policy", "activate"], 0, &["number 1 "]);
    for node in &nodes {
        assert!(answers(node, 200).await < Duration::from_secs(1), "later than a second");
    }
    expect(&two, &["policy", "rollback", "--to", "0"], 0, &["number 2 "]);
    for node in &nodes {
        assert!(answers(node, 403).await < Duration::from_secs(1), "later than a second");
    }
}

/// The folder is looked at without anything of the program being made; what it says goes to standard error.
fn validate(folder: &Path) -> (Option<i32>, String) {
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(BINARY)
        .args(["policy", "validate", folder.to_str().unwrap()])
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(output.stdout.is_empty() || output.status.success());
    told(&output)
}

#[test]
fn a_folder_that_is_none_is_refused_in_one_line() {
    let right = folder(POLICY);
    let (code, told) = validate(right.path());
    assert!(code == Some(0) && told.starts_with("right: 2 files"), "{told}");
    // What is done to the folder, and what the line says after its path.
    type Harm = fn(&Path);
    let cases: [(Harm, &str); 9] = [
        (|path| std::fs::remove_dir_all(path).unwrap(), ": No such file or directory"),
        (
            |path| {
                std::fs::remove_dir_all(path).unwrap();
                std::fs::write(path, POLICY).unwrap();
            },
            ": Not a directory",
        ),
        (
            |path| {
                std::fs::remove_file(path.join("stems.cedar")).unwrap();
                std::fs::rename(path.join("stems.cedarschema"), path.join("stems.txt")).unwrap();
            },
            ": holds no *.cedar and no *.cedarschema file",
        ),
        (
            |path| std::fs::write(path.join("x.cedar"), [0xff, 0xfe]).unwrap(),
            "/x.cedar: stream did not contain valid",
        ),
        (|path| std::fs::create_dir(path.join("x.cedar")).unwrap(), "/x.cedar: is no regular file"),
        (
            |path| std::os::unix::fs::symlink("nowhere", path.join("x.cedar")).unwrap(),
            "/x.cedar: No such file or directory",
        ),
        (
            |path| std::fs::write(path.join("x.cedar"), vec![b' '; 10 << 20]).unwrap(),
            "/x.cedar: larger than 1 MiB",
        ),
        (
            |path| {
                std::fs::write(path.join("x.cedar"), "@id(\"x\")\npermit (principal action, resource);")
                    .unwrap()
            },
            "/x.cedar:2:19: ",
        ),
        (
            |path| {
                std::fs::write(path.join("x.cedarschema"), "namespace Fortissimo {\n  entity Stem\n").unwrap()
            },
            "/x.cedarschema:",
        ),
    ];
    for (harm, line) in cases {
        let folder = folder(POLICY);
        harm(folder.path());
        let (code, told) = validate(folder.path());
        let wanted = format!("{}{line}", folder.path().display());
        assert_eq!((code, told.lines().count()), (Some(2), 1), "{wanted}: {told}");
        assert!(told.contains(&wanted), "{wanted}: {told}");
    }
}
