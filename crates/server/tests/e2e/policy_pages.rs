//! The operator's pages about roles, policies and reasons, in a real browser and held against axe-core.

use testkit::{Settings, node, node_modules};

use crate::live::registered;
use crate::{repository, start};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_reads_changes_and_explains_policies_in_a_browser() {
    if node_modules().is_none() {
        return;
    }
    let program = start(Settings::default());
    program.operator().await;
    program.artist("ada").await;
    registered(&program, "track/7", "ada");
    let folder = tempfile::tempdir().unwrap();
    let text = r#"@id("frozen") forbid (principal, action == Fortissimo::Action::"track:write", resource);"#;
    std::fs::write(folder.path().join("frozen.cedar"), text).unwrap();
    for arguments in [
        [folder.path().to_str().unwrap(), "--comment", "freeze the library"],
        ["--builtin", "--comment", "thaw"],
    ] {
        let output = program.output(&[&["policy", "activate"][..], &arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let shots = repository("target/xtask/screenshots");
    std::fs::create_dir_all(&shots).unwrap();
    let environment = [
        ("BASE", format!("http://localhost:{}", program.port)),
        ("PASSWORD", "an operator keeps good notes".to_owned()),
        ("SHOTS", shots.display().to_string()),
    ];
    let told = tokio::task::spawn_blocking(move || {
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        node(&repository("crates/server/tests/browser/policies.cjs"), &environment)
    })
    .await
    .unwrap();
    assert!(told.is_none_or(|told| told.contains("policies complete")));
    let history = program.output(&["policy", "history"]);
    assert!(String::from_utf8_lossy(&history.stdout).contains("winter is back"), "{history:?}");
}
