//! `kill -9` at any moment: what was acknowledged is there afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use testkit::Settings;

use crate::start;

const ROUNDS: u32 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_under_load_it_loses_nothing_that_was_acknowledged() {
    let mut program = start(Settings::default());
    program.operator().await;
    let mut failed_attempts = 0_usize;
    let mut registered = Vec::new();
    for round in 0..ROUNDS {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        for worker in 0..6 {
            let (client, stop) = (program.client(), Arc::clone(&stop));
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
                        Ok(answer) if answer.status == 401 => refusals += 1,
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
        // Another moment each round.
        tokio::time::sleep(Duration::from_millis(150 + u64::from(round) * 37)).await;
        program.kill();
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            let (refusals, names) = client.await.unwrap();
            failed_attempts += refusals;
            registered.extend(names);
        }
        program.run();
    }
    assert!(failed_attempts > 0 && !registered.is_empty(), "the load never got through");
    assert!(program.stop());
    let count = |kind: &str| {
        let mut total = 0;
        let output = program.output(&["audit", "search", "--json", "--kind", kind, "--all"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        total += String::from_utf8_lossy(&output.stdout).lines().count();
        total
    };
    let recorded = count("session.sign_in_failed");
    assert!(
        recorded >= failed_attempts,
        "{failed_attempts} failed sign-ins were answered, {recorded} are recorded"
    );
    let list = String::from_utf8(program.output(&["account", "list", "--all", "--json"]).stdout).unwrap();
    for name in registered {
        assert!(list.contains(&format!("\"{name}\"")), "{name} was acknowledged and is gone");
    }
}
