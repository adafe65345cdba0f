//! Teams on their pages, in a real browser without scripts.

use testkit::{ARTIST_PASSWORD, Settings, node, node_modules};

use crate::live::person;
use crate::{repository, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_team_is_made_filled_left_and_dissolved_in_a_browser() {
    if node_modules().is_none() {
        return;
    }
    let program = start(Settings::default());
    let (_, bob) = (person(&program, "ada").await, person(&program, "bob").await);
    let shots = repository("target/xtask/screenshots");
    std::fs::create_dir_all(&shots).unwrap();
    let environment = [
        ("BASE", format!("http://localhost:{}", program.port)),
        ("PASSWORD", ARTIST_PASSWORD.to_owned()),
        ("SHOTS", shots.display().to_string()),
        ("BOB", bob.id.clone()),
    ];
    let told = tokio::task::spawn_blocking(move || {
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        node(&repository("crates/server/tests/browser/teams.cjs"), &environment)
    })
    .await
    .unwrap();
    assert!(told.is_none_or(|told| told.contains("teams complete")));
    let found = program.output(&["audit", "search", "--kind", "access.team_changed"]);
    // Made twice, three members, one left, one taken out, one dissolved; what was refused changed nothing.
    assert_eq!(String::from_utf8_lossy(&found.stdout).matches("access.team_changed").count(), 7);
}
