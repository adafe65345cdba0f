//! Every page of identity in both languages, in light, dark and on a phone: axe-core, screenshots, no words left behind.

use testkit::{Settings, node, node_modules};

use crate::{repository, start};

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_identity_is_fit_to_be_seen() {
    if node_modules().is_none() {
        return;
    }
    // Four people make the same mistakes from one network, which would be called spraying.
    let sections = "[attempts]\nspray_names = 50\n".to_owned();
    let program = start(Settings { sections, ..Settings::default() });
    let shots = repository("target/xtask/screenshots");
    std::fs::create_dir_all(&shots).unwrap();
    let setup = program.setup_code().await;
    let environment = [
        ("BASE", format!("http://localhost:{}", program.port)),
        ("PASSWORD", testkit::ARTIST_PASSWORD.to_owned()),
        ("SETUP_CODE", setup),
        ("MAIL", program.folder().join("mail").display().to_string()),
        ("SHOTS", shots.display().to_string()),
    ];
    let told = tokio::task::spawn_blocking(move || {
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        node(&repository("crates/server/tests/browser/identity_pages.cjs"), &environment)
    })
    .await
    .unwrap();
    assert!(told.is_none_or(|told| told.contains("identity pages complete")));
}
