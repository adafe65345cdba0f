//! Nothing personal lies in clear on the disk.

use std::path::Path;

use identity::Mailer;
use store::{Db, DbConfig};

use crate::house::{House, PASSWORD, credentials, quick, secret};

#[tokio::test]
async fn canaries_are_not_found_in_the_data_folder() {
    let dir = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite:{}", dir.path().join("fortissimo.db").display());
    let db = Db::connect(&DbConfig::new(url.parse().unwrap())).await.unwrap();
    db.migrate().await.unwrap();
    let mailer = Mailer::Outbox { dir: dir.path().join("outbox") };
    let house = House::over(db.clone(), quick(), Some(mailer)).await;
    let mut wish = crate::house::wish("ada", "canaryaddress@example.com", PASSWORD);
    wish.full_name = Some("Canaryname Lovelace".parse().unwrap());
    house.identity.register(wish, &house.meta()).await.unwrap();
    let id = house.deliver().await.remove(0).unwrap();
    let text =
        house.identity.outbox_read(access::Permit::for_system("test"), id, &house.meta()).await.unwrap();
    let (_, rest) = text.expose().split_once("?code=").unwrap();
    let code = rest[..43].to_owned();
    house.identity.verify_email(&code, &secret(PASSWORD), &house.meta()).await.unwrap();
    let mut named = credentials("canaryaddress@example.com", PASSWORD);
    named.session_name = Some("Canarysession".into());
    let pair = house.identity.sign_in(named, &house.meta()).await.unwrap().done().unwrap();
    let browser = house
        .identity
        .sign_in_browser(credentials("ada", PASSWORD), &house.meta())
        .await
        .unwrap()
        .done()
        .unwrap();
    let secrets = [
        "canaryaddress",
        "Canaryname",
        "Canarysession",
        "CanaryAgent",
        "192.0.2.7",
        PASSWORD,
        &code,
        pair.refresh_token.expose(),
        browser.cookie.expose(),
    ];
    // First with the write-ahead log beside it, then closed.
    assert_eq!(found(dir.path(), &secrets), Vec::<String>::new());
    // The search itself works: the name is not sealed.
    assert!(!found(dir.path(), &["ada"]).is_empty());
    house.audit.shutdown().await;
    db.close().await.unwrap();
    assert_eq!(found(dir.path(), &secrets), Vec::<String>::new());
}

/// Which of the texts lie in which file of the folder.
fn found(dir: &Path, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(self::found(&path, texts));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for text in texts {
            if bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes())) {
                found.push(format!("{text} in {}", path.display()));
            }
        }
    }
    found
}
