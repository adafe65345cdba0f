//! Sinks and alerts, with the receivers of others: rsyslog, OpenTelemetry's and Standard Webhooks' own libraries, SMTP.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use testkit::{Program, Service, Settings, free_port, python, test_tool, wait_for_mail};

use crate::{repository, start};

/// 32 bytes in base64.
const KEY: &str = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

/// Asks until there is an answer, for at most half a minute.
async fn until<T>(what: impl Fn() -> String, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(45), "never happened: {}", what());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn statuses(program: &Program) -> Vec<Value> {
    let output = program.output(&["audit", "sinks", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    json_lines(&String::from_utf8_lossy(&output.stdout))
}

/// Makes some events.
async fn knock(program: &Program, times: usize) {
    for number in 0..times {
        program.client().get(&format!("/nothing/{number}")).await;
    }
}

/// How often each key came to the receiver of this name.
fn received(path: &Path) -> BTreeMap<String, usize> {
    let mut keys = BTreeMap::new();
    for line in json_lines(&std::fs::read_to_string(path).unwrap_or_default()) {
        *keys.entry(line["dedup"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    keys
}

/// The keys of events, without those of checkpoints and tests.
fn missing(keys: &BTreeMap<String, usize>, size: u64) -> Vec<u64> {
    let deployment = keys.keys().next().and_then(|key| key.split(':').next()).unwrap_or_default().to_owned();
    (0..size).filter(|index| !keys.contains_key(&format!("{deployment}:{index}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_stumble_get_every_event() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let _receiver = Service::start(
        Command::new(python)
            .arg(repository("tests/siem_receiver.py"))
            .arg(port.to_string())
            .arg(folder.path())
            .arg(KEY),
        port,
    );
    std::fs::write(folder.path().join("key"), KEY).unwrap();
    std::fs::write(folder.path().join("token"), "sesame").unwrap();
    let (base, at) = (format!("http://127.0.0.1:{port}"), folder.path().display());
    let common = "batch = 20\nflush_every = \"50ms\"\ncheckpoint_every = \"200ms\"\ntimeout = \"3s\"\n";
    let sections = format!(
        "[[sink]]\nname = \"elastic\"\nkind = \"elastic\"\nurl = \"{base}\"\nindex = \"audit\"\n{common}\
         [[sink]]\nname = \"splunk\"\nkind = \"splunk\"\nurl = \"{base}\"\ntoken = \"file:{at}/token\"\nacknowledge = true\n{common}\
         [[sink]]\nname = \"otlp\"\nkind = \"otlp\"\nurl = \"{base}\"\n{common}\
         [[sink]]\nname = \"webhook\"\nkind = \"webhook\"\nurl = \"{base}/hook\"\ntoken = \"file:{at}/key\"\n{common}\
         [[sink]]\nname = \"files\"\nkind = \"files\"\nfolder = \"{at}/export\"\nmax_file = \"4 KiB\"\n{common}"
    );
    let mut program = start(Settings { sections, ..Settings::default() });
    knock(&program, 60).await;
    until(
        || format!("the first events: {:?}", statuses(&program)),
        || statuses(&program).iter().all(|sink| sink["next_index"].as_u64() > Some(5)).then_some(()),
    )
    .await;
    // Killed in the middle of it; what was on its way comes again.
    program.kill();
    program.run();
    knock(&program, 60).await;
    let all = until(
        || format!("all sinks catching up: {:?}", statuses(&program)),
        || {
            let all = statuses(&program);
            let done = all.iter().all(|sink| sink["lag"] == 0 && sink["next_index"].as_u64() > Some(60));
            done.then_some(all)
        },
    )
    .await;
    assert_eq!(all.len(), 5);
    assert!(all.iter().all(|sink| sink["skipped"] == 0), "{all:?}");
    assert!(program.stop());
    assert!(
        !folder.path().join("wrong").exists(),
        "{:?}",
        std::fs::read_to_string(folder.path().join("wrong"))
    );
    for name in ["elastic", "splunk", "otlp", "webhook"] {
        let keys = received(&folder.path().join(format!("{name}.jsonl")));
        let size = all.iter().find(|sink| sink["name"] == name).unwrap()["next_index"].as_u64().unwrap();
        assert_eq!(missing(&keys, size), Vec::<u64>::new(), "{name}");
        assert!(keys.keys().any(|key| key.contains(":checkpoint:")), "{name} got no checkpoint");
        if name == "elastic" {
            assert!(keys.values().all(|times| *times == 1), "a document was created twice");
        }
    }
    let exported: Vec<u64> = exported(&folder.path().join("export"));
    assert_eq!(
        exported,
        (0..exported.len() as u64).collect::<Vec<_>>(),
        "files have every index once, in order"
    );
}

/// The indexes in all exported files, in the order of the files' names.
fn exported(folder: &Path) -> Vec<u64> {
    let mut files = Vec::new();
    for day in std::fs::read_dir(folder).unwrap() {
        files.extend(std::fs::read_dir(day.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    files.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    files.sort();
    let lines = files.iter().flat_map(|path| json_lines(&std::fs::read_to_string(path).unwrap()));
    lines.filter_map(|line| line["metadata"]["sequence"].as_u64()).collect()
}

/// Certificates of a private authority: its own, the receiver's, ours.
fn certificates(folder: &Path) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    for (file, name) in [("server", "localhost"), ("client", "fortissimo.example")] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        // With the authority's own name it would look signed by itself.
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &authority).unwrap();
        std::fs::write(folder.join(format!("{file}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
    }
}

fn rsyslog(program: &Path, folder: &Path, port: u16) -> Service {
    let at = folder.display();
    let text = format!(
        "global(workDirectory=\"{at}\" defaultNetstreamDriver=\"ossl\" defaultNetstreamDriverCAFile=\"{at}/ca.pem\" \
         defaultNetstreamDriverCertFile=\"{at}/server.pem\" defaultNetstreamDriverKeyFile=\"{at}/server.key\" \
         maxMessageSize=\"64k\")\n\
         main_queue(queue.type=\"Direct\")\n\
         module(load=\"imtcp\" streamDriver.name=\"ossl\" streamDriver.mode=\"1\" streamDriver.authMode=\"x509/certvalid\")\n\
         template(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")\n\
         ruleset(name=\"keep\" queue.type=\"Direct\") {{ action(type=\"omfile\" file=\"{at}/received.log\" template=\"raw\") }}\n\
         input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\" ruleset=\"keep\")\n"
    );
    let configuration = folder.join("rsyslog.conf");
    std::fs::write(&configuration, text).unwrap();
    let mut command = Command::new(program);
    command.args(["-n", "-C", "-f"]).arg(configuration).arg("-i").arg(folder.join("rsyslog.pid"));
    Service::start(command.stderr(std::fs::File::create(folder.join("rsyslog.err")).unwrap()), port)
}

/// What rsyslog complained about.
fn errors(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("rsyslog.err")).unwrap_or_default()
}

/// How often each key is in the file that rsyslog wrote; a line that a kill cut in half counts for nothing, and the next one
/// stands on the same line behind it. One key is one event and one event has one key: whoever removes what has the same key
/// has every event once.
fn written(folder: &Path) -> BTreeMap<String, usize> {
    let text = std::fs::read(folder.join("received.log")).unwrap_or_default();
    let (mut keys, mut uids, mut keys_of) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for line in String::from_utf8_lossy(&text).lines() {
        let Some((head, event)) = line.rsplit_once('\u{feff}') else { continue };
        let Ok(event) = serde_json::from_str::<Value>(event) else { continue };
        let key = event["unmapped"]["dedup"].as_str().unwrap();
        assert!(head.starts_with('<') && head.contains(&format!("dedup=\"{key}\"")), "{head}");
        let uid = event["metadata"]["uid"].as_str().unwrap_or(key).to_owned();
        assert_eq!(*uids.entry(key.to_owned()).or_insert_with(|| uid.clone()), uid, "{key} is two events");
        assert_eq!(*keys_of.entry(uid.clone()).or_insert_with(|| key.to_owned()), key, "{uid} has two keys");
        *keys.entry(key.to_owned()).or_default() += 1;
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_is_killed_and_restarted_and_nothing_is_lost() {
    let Some(rsyslogd) = test_tool("FORTISSIMO_TEST_RSYSLOG") else { return };
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let port = free_port();
    let at = folder.path().display();
    let sections = format!(
        "[[sink]]\nname = \"siem\"\nkind = \"syslog\"\naddress = \"localhost:{port}\"\nca_file = \"{at}/ca.pem\"\n\
         client_cert = \"{at}/client.pem\"\nclient_key = \"{at}/client.key\"\nbatch = 10\nflush_every = \"20ms\"\n\
         checkpoint_every = \"200ms\"\ntimeout = \"5s\"\n"
    );
    let program = start(Settings { sections, ..Settings::default() });
    for round in 0..6 {
        let receiver = rsyslog(&rsyslogd, folder.path(), port);
        let before = written(folder.path()).len();
        knock(&program, 30).await;
        // Some has arrived, some is on its way: killed where it stands (SIGKILL).
        until(
            || format!("round {round}: {:?} {}", statuses(&program), errors(folder.path())),
            || (written(folder.path()).len() > before + 5).then_some(()),
        )
        .await;
        drop(receiver);
        knock(&program, 10).await;
    }
    let _receiver = rsyslog(&rsyslogd, folder.path(), port);
    let size = until(
        || format!("rsyslog catching up: {:?}", statuses(&program)),
        || {
            let status = statuses(&program).remove(0);
            (status["lag"] == 0).then(|| status["next_index"].as_u64().unwrap())
        },
    )
    .await;
    assert!(size > 240, "{size}");
    // Doubles are allowed after a kill, and carry the same key: then they are counted under it.
    let keys = written(folder.path());
    assert_eq!(missing(&keys, size), Vec::<u64>::new(), "lost");
    assert!(keys.keys().any(|key| key.contains(":checkpoint:")));
    let doubled = keys.values().filter(|times| **times > 1).count();
    assert!(doubled <= 7 * 10, "{doubled} doubled, more than a batch for each kill");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_mailed_listed_and_acknowledged() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let script = repository("tests/smtp_catcher.py");
    let settings = Settings {
        sealed_mail: true,
        sections: format!(
            "[mail]\nfrom = \"no-reply@example.com\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n\
             [alerts]\nmail_to = [\"ops@example.com\"]\n"
        ),
        ..Settings::default()
    };
    let program = start(settings);
    program.setup_code().await;
    // Policies that are wrong. The mail server comes later.
    std::fs::write(program.folder().join("wrong.cedar"), "permit").unwrap();
    assert!(!program.output(&["policy", "activate", program.folder().to_str().unwrap()]).status.success());
    let alerts = until(
        || "an alert".to_owned(),
        || {
            let output = program.output(&["alert", "list", "--json"]);
            let alerts = json_lines(&String::from_utf8_lossy(&output.stdout));
            (!alerts.is_empty()).then_some(alerts)
        },
    )
    .await;
    // The set-up link of the first start stands before it in the log, and raised nothing.
    let [listed] = &alerts[..] else { panic!("{alerts:?}") };
    assert_eq!(
        (listed["rule"].as_str(), listed["state"].as_str()),
        (Some("policies-rolled-back"), Some("open"))
    );
    let _catcher = Service::start(
        Command::new(python).arg(&script).arg(port.to_string()).arg(folder.path()).arg("plain"),
        port,
    );
    let mail = wait_for_mail(folder.path(), &["ops@example.com", "[medium] policies-rolled-back"]).await;
    let id = listed["id"].as_str().unwrap();
    assert!(mail.contains(id) && mail.contains("What to do:"), "{mail}");
    let done = program.output(&["alert", "acknowledge", id]);
    assert!(done.status.success());
    let again = program.output(&["alert", "acknowledge", id]);
    assert!(!again.status.success(), "there is nothing to acknowledge any more");
    let listed = program.output(&["alert", "list", "--state", "acknowledged"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("policies-rolled-back"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_link_where_people_are_raises_an_alert() {
    let program = start(Settings::default());
    // Nobody became operator, and somebody has an account already: whoever prints another link now takes the house.
    program.artist("ada").await;
    let printed = program.output(&["setup-link"]);
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let listed = until(
        || "an alert".to_owned(),
        || {
            let output = program.output(&["alert", "list", "--json"]);
            json_lines(&String::from_utf8_lossy(&output.stdout)).pop()
        },
    )
    .await;
    assert_eq!((listed["rule"].as_str(), listed["severity"].as_u64()), (Some("break-glass"), Some(5)));
    let kinds = ["setup_link.first_issued", "setup_link.issued"];
    for kind in kinds {
        let found = program.output(&["audit", "search", "--kind", kind]);
        assert_eq!(String::from_utf8_lossy(&found.stdout).matches(kind).count(), 1, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_sink_is_told_and_stops_nothing() {
    let port = free_port();
    let sections = format!(
        "[[sink]]\nname = \"gone\"\nkind = \"otlp\"\nurl = \"http://127.0.0.1:{port}\"\nflush_every = \"20ms\"\n"
    );
    let program = start(Settings { sections, ..Settings::default() });
    let ready = || {
        let text = testkit::raw(
            program.ops_port,
            b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        );
        text.contains("degraded: gone").then_some(text)
    };
    let text = until(|| "/ready telling of it".to_owned(), ready).await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    program.client().get("/account/sign-in").await.expect(200);
    let metrics = testkit::raw(
        program.ops_port,
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(metrics.contains("fortissimo_sink_lag_events{sink=\"gone\"}"), "{metrics}");
    let tested = program.output(&["audit", "sink-test", "gone"]);
    assert!(!tested.status.success());
    let said = String::from_utf8_lossy(&tested.stderr).into_owned();
    assert!(said.contains("gone did not take the test record"), "{said}");
    let unknown = program.output(&["audit", "sink-test", "gon"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean gone?"));
}
