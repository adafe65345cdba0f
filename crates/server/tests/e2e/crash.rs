//! `kill -9` at any moment: what was acknowledged is there afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use testkit::{Program, Settings};
use tokio::sync::Notify;

use crate::start;

/// Rounds of every run; `FORTISSIMO_TEST_CRASHES=200` for the long one.
const ROUNDS: u32 = 12;

fn rounds() -> u32 {
    #[expect(clippy::disallowed_methods, reason = "how long a test runs is said from outside")]
    let wished = std::env::var("FORTISSIMO_TEST_CRASHES").ok();
    wished.and_then(|text| text.parse().ok()).unwrap_or(ROUNDS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_under_load_it_loses_nothing_that_was_acknowledged() {
    let mut program = start(Settings::default());
    program.operator().await;
    let mut failed_attempts = 0_usize;
    let mut registered = Vec::new();
    for round in 0..rounds() {
        let begun = base::Clock::system().now().to_rfc3339();
        let mut refused_now = 0_usize;
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(Notify::new());
        let mut clients = Vec::new();
        for worker in 0..6 {
            let (client, stop, answered) = (program.client(), Arc::clone(&stop), Arc::clone(&answered));
            clients.push(tokio::spawn(async move {
                let (mut refusals, mut names) = (0_usize, Vec::new());
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    // A failed sign-in is a critical event; a registration is a change of accounts. Only what was
                    // answered counts.
                    let name = format!("r{round}w{worker}n{n}");
                    let wrong = json!({"identifier": name, "password": "wrong but long enough"}).to_string();
                    let json_type = [("content-type", "application/json")];
                    match client.try_send(http::Method::POST, "/auth/login", &json_type, wrong.into()).await {
                        // 429: so many names from one network make it wait, which is on record like any failure.
                        Ok(answer) if answer.status == 401 || answer.status == 429 => {
                            refusals += 1;
                            answered.notify_one();
                        }
                        Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                        Err(_) => break,
                    }
                    let wish = json!({"username": name, "email": format!("{name}@example.com"), "password": "violet thunder under the bridge"});
                    match client.try_send(http::Method::POST, "/auth/register", &json_type, wish.to_string().into()).await {
                        Ok(answer) if answer.status == 202 => names.push(name),
                        Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                        Err(_) => break,
                    }
                }
                (refusals, names)
            }));
        }
        // Another moment each round; in most of them the load gets through first, however busy the machine is.
        if round % 4 > 0 {
            let first = tokio::time::timeout(Duration::from_secs(60), answered.notified()).await;
            assert!(first.is_ok(), "round {round}: nothing was answered within a minute");
        }
        tokio::time::sleep(Duration::from_millis(150 + u64::from(round % 16) * 37)).await;
        program.kill();
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            let (refusals, names) = client.await.unwrap();
            refused_now += refusals;
            registered.extend(names);
        }
        failed_attempts += refused_now;
        // Offline, on what the killed one left behind; then with what still waited in the outbox.
        let verified = program.output(&["audit", "verify"]);
        assert!(verified.status.success(), "round {round}: {}", String::from_utf8_lossy(&verified.stdout));
        let recorded = count(&program, "session.sign_in_failed", &["--from", &begun]);
        assert!(
            recorded >= refused_now,
            "round {round}: {refused_now} were answered, {recorded} are recorded"
        );
        program.run();
    }
    assert!(failed_attempts > 0 && !registered.is_empty(), "the load never got through");
    assert!(program.stop());
    let verified = program.output(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let recorded = count(&program, "session.sign_in_failed", &[]);
    assert!(
        recorded >= failed_attempts,
        "{failed_attempts} failed sign-ins were answered, {recorded} are recorded"
    );
    let list = String::from_utf8(program.output(&["account", "list", "--all", "--json"]).stdout).unwrap();
    for name in registered {
        assert!(list.contains(&format!("\"{name}\"")), "{name} was acknowledged and is gone");
    }
}

/// How many events of a kind the trail has.
fn count(program: &Program, kind: &str, more: &[&str]) -> usize {
    let mut arguments = vec!["audit", "search", "--json", "--kind", kind, "--all"];
    arguments.extend(more);
    let output = program.output(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().count()
}
