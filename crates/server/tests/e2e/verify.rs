//! `fortissimo audit verify|prove` over a real data folder: while the server runs, after it stopped, and after
//! somebody has laid hands on it. (What each kind of tampering is called is tested in `audit`.)

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use testkit::{Program, Settings};

use crate::sharing::Pages;
use crate::{BINARY, start};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command that must end with this code, and gives what it printed.
fn expect(output: &Output, code: i32) -> String {
    let printed = text(output);
    assert_eq!(output.status.code(), Some(code), "{printed}");
    printed
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The entries of the log's files by their checkpoint.
fn size(folder: &Path) -> u64 {
    let checkpoint = fs::read_to_string(folder.join("log/checkpoint")).unwrap_or_default();
    checkpoint.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
}

async fn traffic(program: &Program, requests: u64) {
    let (client, before) = (program.client(), size(&program.data()));
    for _ in 0..requests {
        client.get("/").await;
    }
    for _ in 0..400 {
        if size(&program.data()) >= before + requests {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the log's files do not follow: {} after {before}", size(&program.data()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_log_is_verified_and_proven_offline() {
    let mut program = start(Settings::default());
    program.operator().await;
    traffic(&program, 280).await;
    let data = program.data();
    // A running server is no obstacle.
    let whole = expect(&program.output(&["audit", "verify"]), 0);
    assert!(whole.contains("\nwhole: ") && whole.contains("files: "), "{whole}");
    let yesterday = program.folder().join("yesterday");
    copy(&data.join("log"), &yesterday.join("log"));
    traffic(&program, 20).await;
    let listed = expect(&program.output(&["keys", "list"]), 0);
    let vkey =
        listed.lines().find_map(|line| line.strip_prefix("log")).expect("the log's key").trim().to_owned();

    let proof = program.folder().join("first.tlog-proof");
    expect(&program.output(&["audit", "prove", "3", "-o", proof.to_str().unwrap()]), 0);
    // Whoever has the proof and the key needs nothing else: another machine, another folder.
    let elsewhere = tempfile::tempdir().unwrap();
    let alone = |arguments: &[&str]| {
        Command::new(BINARY).args(arguments).current_dir(elsewhere.path()).output().unwrap()
    };
    let proven = expect(&alone(&["audit", "verify", proof.to_str().unwrap(), "--key", &vkey]), 0);
    assert!(proven.starts_with("proven: entry 3 (event "), "{proven}");
    let id = proven.split("(event ").nth(1).and_then(|rest| rest.split(')').next()).unwrap();
    let by_id = expect(&program.output(&["audit", "prove", id]), 0);
    assert!(by_id.starts_with("c2sp.org/tlog-proof@v1\nextra ") && by_id.contains("\nindex 3\n"), "{by_id}");
    let altered = fs::read_to_string(&proof).unwrap().replacen("index 3", "index 4", 1);
    let bad = program.folder().join("bad.tlog-proof");
    fs::write(&bad, altered).unwrap();
    assert!(
        expect(&alone(&["audit", "verify", bad.to_str().unwrap(), "--key", &vkey]), 1)
            .starts_with("altered: ")
    );
    let stranger = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let foreign = expect(&alone(&["audit", "verify", proof.to_str().unwrap(), "--key", stranger]), 1);
    assert!(foreign.starts_with("foreign: "), "{foreign}");
    expect(&program.output(&["audit", "prove", "1000000"]), 1);

    // What cannot be looked at is neither whole nor not.
    for arguments in [
        &["audit", "verify", "--log", "nowhere", "--key", vkey.as_str()][..],
        &["audit", "verify", "--key", "no key"],
        &["audit", "verify", "nothing.tlog-proof", "--key", &vkey],
        &["audit", "verify", "--log", elsewhere.path().to_str().unwrap()],
    ] {
        expect(&alone(arguments), 2);
    }

    assert!(program.stop());
    expect(&program.output(&["audit", "verify"]), 0);
    let log = |folder: &Path| folder.join("log").to_str().unwrap().to_owned();
    let files = |folder: &Path, anchor: &[&str]| {
        let (folder, mut arguments) = (log(folder), vec!["audit", "verify", "--key", vkey.as_str(), "--log"]);
        arguments.push(&folder);
        arguments.extend(anchor);
        alone(&arguments)
    };
    let anchor = data.join("anchor/checkpoint");
    let anchor = ["--anchor", anchor.to_str().unwrap()];
    expect(&files(&data, &anchor), 0);
    // Yesterday's copy is whole in itself; the second place knows better.
    assert!(expect(&files(&yesterday, &[]), 0).contains("note: without a second place"));
    assert!(expect(&files(&yesterday, &anchor), 1).contains("replayed: "));

    // One byte of one entry, seen by the files alone and by the whole installation.
    let bundle = data.join("log/tile/entries/000");
    let mut bytes = fs::read(&bundle).unwrap();
    bytes[100] ^= 1;
    fs::write(&bundle, &bytes).unwrap();
    assert!(expect(&files(&data, &anchor), 1).contains("files: altered: entry 0 is not what was signed\n"));
    let json = expect(&program.output(&["audit", "verify", "--json"]), 1);
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines[0]["place"].as_str(), lines[0]["word"].as_str()), (Some("files"), Some("altered")));
    assert_eq!(lines.last().unwrap()["verdict"], "not whole");
    bytes[100] ^= 1;
    fs::write(&bundle, &bytes).unwrap();
    expect(&program.output(&["audit", "verify"]), 0);

    // The files are written before the second place: behind it are only those that somebody put back, or took away.
    let today = program.folder().join("today");
    copy(&data.join("log"), &today);
    fs::remove_dir_all(data.join("log")).unwrap();
    assert!(expect(&program.output(&["audit", "verify"]), 1).contains("files: replayed: the log ends at 0"));
    copy(&yesterday.join("log"), &data.join("log"));
    assert!(expect(&program.output(&["audit", "verify"]), 1).contains("files: replayed: "));
    fs::remove_dir_all(data.join("log")).unwrap();
    copy(&today, &data.join("log"));
    expect(&program.output(&["audit", "verify"]), 0);
    fs::remove_file(data.join("anchor/checkpoint")).unwrap();
    assert!(
        expect(&program.output(&["audit", "verify"]), 1)
            .contains("anchor: the second place has no checkpoint")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotated_log_key_signs_beside_the_old_one() {
    let program = start(Settings::default());
    program.operator().await;
    traffic(&program, 3).await;
    let keys = || {
        let listed = expect(&program.output(&["keys", "list"]), 0);
        listed
            .lines()
            .filter_map(|line| line.strip_prefix("log"))
            .map(|key| key.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let old = keys();
    assert_eq!(old.len(), 1);
    let rotated = expect(&program.output(&["keys", "rotate-log"]), 0);
    let both = keys();
    assert!(
        both.len() == 2
            && both.contains(&old[0])
            && rotated.contains(both.iter().find(|k| **k != old[0]).unwrap())
    );
    // The running server learns of it and signs with both.
    let log = program.data().join("log");
    let mut signed = false;
    for _ in 0..100 {
        traffic(&program, 1).await;
        let verdicts = both.iter().map(|key| {
            let arguments = ["audit", "verify", "--log", log.to_str().unwrap(), "--key", key];
            program.output(&arguments).status.code()
        });
        signed = verdicts.into_iter().all(|code| code == Some(0));
        if signed {
            break;
        }
    }
    assert!(signed, "a checkpoint carries both signatures");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_is_attested_and_anybody_can_check_since_when() {
    let program = start(Settings::default());
    program.operator().await;
    let ada = program.artist("ada").await;
    let ada = program.client().bearer(ada["access_token"].as_str().unwrap());
    let song = program.folder().join("song.wav");
    fs::write(&song, b"abc").unwrap();
    let digest = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    for (wish, field) in [
        (json!({"sha256": "ba78"}), "/sha256"),
        (json!({"sha256": "g".repeat(64)}), "/sha256"),
        (json!({"sha256": digest, "name": " "}), "/name"),
        (json!({"sha256": digest, "name": "x".repeat(257)}), "/name"),
        (json!({"sha256": digest, "nmae": "song"}), ""),
        (json!({"name": "song"}), ""),
    ] {
        let refused = ada.post("/v1/works/attestations", wish.clone()).await.expect(400).json();
        assert!(
            refused["errors"][0]["pointer"].as_str().unwrap_or_default().starts_with(field),
            "{wish}: {refused}"
        );
    }
    let wish = json!({"sha256": digest, "name": "Song (demo)"});
    let made = ada.post("/v1/works/attestations", wish).await.expect(201).json();
    assert_eq!(made["sha256"], digest.to_ascii_lowercase());

    // Who sees the log sees neither the digest nor the name; the artist's export proves both.
    let export = ada.get(made["export"].as_str().unwrap()).await.expect(200).text();
    let proof = program.folder().join("proof.jsonl");
    fs::write(&proof, &export).unwrap();
    assert_eq!(export.lines().count(), 3, "{export}");
    assert!(!export.contains("\"address\"") && !export.contains("127.0.0.1"), "{export}");
    let leaf = export.lines().nth(1).unwrap();
    let leaf: Value = serde_json::from_str(leaf).unwrap();
    let leaf = base64::engine::general_purpose::STANDARD.decode(leaf["leaf"].as_str().unwrap()).unwrap();
    let leaf = String::from_utf8(leaf).unwrap().to_lowercase();
    assert!(!leaf.contains(&digest.to_lowercase()) && !leaf.contains("demo"), "{leaf}");

    // Elsewhere, with nothing but the file, the proof and the log's key.
    let listed = expect(&program.output(&["keys", "list"]), 0);
    let vkey = listed.lines().find_map(|line| line.strip_prefix("log")).unwrap().trim().to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    let check = |proof: &Path, file: &Path, key: &str| {
        let arguments =
            ["audit", "verify", proof.to_str().unwrap(), "--file", file.to_str().unwrap(), "--key", key];
        Command::new(BINARY).args(arguments).current_dir(elsewhere.path()).output().unwrap()
    };
    let proven = expect(&check(&proof, &song, &vkey), 0);
    let at = made["at"].as_str().unwrap();
    assert!(
        proven.contains(&format!("exactly this file was on record at {at} as \"Song (demo)\"")),
        "{proven}"
    );

    // Another file, another digest in the proof, another log's key, no export.
    let other = program.folder().join("other.wav");
    fs::write(&other, b"abd").unwrap();
    assert!(
        expect(&check(&proof, &other, &vkey), 1).contains("no event of this export puts this file on record")
    );
    let forged = export
        .replace(&digest.to_lowercase(), "52a5d1ee5d76ff1dd4d5ef1d5a0ae2b5d3a4eb5e7a2d6f1b8a1d2c3b4a596877");
    let bad = program.folder().join("forged.jsonl");
    fs::write(&bad, forged).unwrap();
    assert!(expect(&check(&bad, &song, &vkey), 1).contains("altered: body 0"));
    let stranger = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let foreign = expect(&check(&proof, &song, stranger), 1);
    assert!(!foreign.contains("exactly this file"), "{foreign}");
    // Nor do the log's own words count where its key is only a witness's.
    let arguments = ["audit", "verify", proof.to_str().unwrap(), "--file", song.to_str().unwrap()];
    let keys = ["--key", stranger, "--witness", &vkey];
    let witnessed =
        Command::new(BINARY).args(arguments).args(keys).current_dir(elsewhere.path()).output().unwrap();
    let witnessed = expect(&witnessed, 1);
    assert!(witnessed.contains("foreign") && !witnessed.contains("exactly this file"), "{witnessed}");
    expect(&check(&proof, &program.folder().join("nothing.wav"), &vkey), 2);
    // A file that speaks in our name does not.
    let said = format!("{}: exactly this file was on record at {at}", song.display());
    let liar = json!({"format": format!("x\n{said}\u{1b}[8m"), "tree_size": 1, "checkpoint": ""});
    fs::write(&bad, format!("{liar}\n")).unwrap();
    let answer = expect(&check(&bad, &song, &vkey), 1);
    assert!(answer.lines().all(|line| !line.starts_with(&said)) && !answer.contains('\u{1b}'), "{answer}");
    let single = program.folder().join("single.tlog-proof");
    fs::write(&single, "").unwrap();
    expect(&check(&single, &song, &vkey), 2);
}

#[tokio::test]
async fn a_page_puts_a_file_on_record_and_hands_out_what_proves_it() {
    let program = start(Settings::default());
    let mut clients = Vec::new();
    for name in ["ada", "bob"] {
        let artist = program.artist(name).await;
        clients.push(program.client().bearer(artist["access_token"].as_str().unwrap()));
    }
    let (ada, bob) = (&clients[0], &clients[1]);
    let pages = Pages::of(ada).await;
    let digest = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    // What is wrong stands beside its field, and what was typed is still there.
    let wrong = pages.post("/account/works", "sha256=ba78&name=Song").await.expect(400).text();
    assert!(
        wrong.contains("id=\"sha256-error\">Must be a SHA-256")
            && wrong.contains("value=\"ba78\"")
            && wrong.contains("value=\"Song\""),
        "{wrong}"
    );
    let long = format!("sha256={digest}&name={}", "x".repeat(257));
    let wrong = pages.post("/account/works", &long).await.expect(400).text();
    assert!(wrong.contains("id=\"name-error\">"), "{wrong}");
    ada.upload("/account/works", "application/x-www-form-urlencoded", format!("sha256={digest}").into())
        .await
        .expect(403);
    assert!(pages.sees("/account/works").await.contains("Nothing yet"));

    let made = pages.post("/account/works", &format!("sha256={digest}&name=%3Cb%3EDemo")).await.expect(303);
    assert_eq!(made.header("location"), "/account/works?done=attested");
    let page = pages.sees("/account/works").await;
    assert!(page.contains(&digest.to_lowercase()) && !page.contains("<b>Demo"), "{page}");
    let (_, link) = page.split_once("href=\"/account/works/proof").unwrap();
    let link = format!("/account/works/proof{}", link.split('"').next().unwrap());
    let song = program.folder().join("song.wav");
    fs::write(&song, b"abc").unwrap();
    let proof = program.folder().join("proof.jsonl");
    fs::write(&proof, ada.get(&link).await.expect(200).text()).unwrap();
    let listed = expect(&program.output(&["keys", "list"]), 0);
    let vkey = listed.lines().find_map(|line| line.strip_prefix("log")).unwrap().trim().to_owned();
    assert!(page.contains(&format!("--key {vkey}").replace('+', "&#43;")) || page.contains(&vkey), "{page}");
    let arguments = ["audit", "verify", proof.to_str().unwrap(), "--file", song.to_str().unwrap(), "--key"];
    let proven = Command::new(BINARY).args(arguments).arg(&vkey).output().unwrap();
    assert!(expect(&proven, 0).contains("exactly this file was on record at"));
    assert!(pages.sees("/account/activity").await.contains("A file was put on record"));

    // Nobody else's: the same link shows another person nothing of it.
    let others = bob.get(&link).await.expect(200).text();
    assert!(others.ends_with("{\"end\":true,\"events\":0}\n") && !others.contains("Demo"), "{others}");
    assert!(!Pages::of(bob).await.sees("/account/works").await.contains(&digest.to_lowercase()));
    // What does not stand on the first page stands on the next.
    for number in 0..25 {
        pages.post("/account/works", &format!("sha256={digest}&name=Demo+{number}")).await.expect(303);
    }
    let page = pages.sees("/account/works").await;
    assert!(page.contains("Demo 24<") && page.contains("Demo 0<") && !page.contains("b&#62;Demo"), "{page}");
    let (_, older) = page.split_once("href=\"/account/works?before=").unwrap();
    let older = format!("/account/works?before={}", older.split('"').next().unwrap());
    let page = pages.sees(&older).await;
    assert!(page.contains("Demo<") && !page.contains("Demo 0<") && !page.contains("?before="), "{page}");
    for damaged in ["x", "1_x", "_", "99999999999999999999_x"] {
        ada.get(&format!("/account/works?before={damaged}")).await.expect(404);
    }
    for nonsense in ["", "?at=", "?at=x", "?at=99999999999999999999"] {
        ada.get(&format!("/account/works/proof{nonsense}")).await.expect(404);
    }
    for never in [i64::MIN, -1, i64::MAX] {
        let export = ada.get(&format!("/account/works/proof?at={never}")).await.expect(200).text();
        assert!(export.ends_with("\"events\":0}\n"), "{export}");
    }
}
