use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base::{Entropy, Secret};

use crate::{FileRoot, RootError, RootKey};

fn phrase(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn made(path: &Path, passphrase: Option<&Secret<String>>) -> FileRoot {
    let entropy = Entropy::system();
    let file = FileRoot::open_or_create(path, passphrase, &entropy).unwrap();
    let root = RootKey::File(file);
    root.settle(&entropy).unwrap();
    let RootKey::File(file) = root;
    file
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    (folder, path)
}

fn error(path: &Path, passphrase: Option<&Secret<String>>) -> RootError {
    FileRoot::open_or_create(path, passphrase, &Entropy::system()).err().expect("refused")
}

#[test]
fn a_new_file_is_private_whole_and_read_back() {
    let (folder, path) = folder();
    let file = made(&path, None);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft stays behind");
    let again = FileRoot::open_or_create(&path, None, &Entropy::system()).unwrap();
    assert!(again.is_stored());
    assert_eq!(again.id(), file.id());
    assert_eq!(RootKey::File(again).key().expose(), RootKey::File(file).key().expose());
}

#[test]
fn preparing_alone_writes_nothing() {
    let (folder, path) = folder();
    let file = FileRoot::open_or_create(&path, None, &Entropy::system()).unwrap();
    assert!(!file.is_stored());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_remedy() {
    let (_folder, path) = folder();
    made(&path, None);
    for mode in [0o640, 0o604, 0o660, 0o610] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let message = error(&path, None).to_string();
        assert!(
            message.contains("chmod 600") && message.contains("root.key") && !message.contains('\n'),
            "{message}"
        );
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(FileRoot::open_or_create(&path, None, &Entropy::system()).is_ok());
}

#[test]
fn whoever_comes_second_takes_the_first_ones_key() {
    let (_folder, path) = folder();
    let entropy = Entropy::system();
    let slow = RootKey::File(FileRoot::open_or_create(&path, None, &entropy).unwrap());
    let first = made(&path, None);
    assert_ne!(slow.id(), first.id());
    slow.settle(&entropy).unwrap();
    assert_eq!(slow.id(), first.id());
    let again = FileRoot::open_or_create(&path, None, &entropy).unwrap();
    assert_eq!(again.id(), first.id(), "the file was not overwritten");
}

#[test]
fn a_passphrase_seals_the_key_and_only_it_opens_it() {
    let (_folder, path) = folder();
    let right = phrase("correct horse battery staple");
    let file = made(&path, Some(&right));
    let again = FileRoot::open_or_create(&path, Some(&right), &Entropy::system()).unwrap();
    assert_eq!(RootKey::File(again).key().expose(), RootKey::File(file).key().expose());
    assert!(matches!(error(&path, Some(&phrase("wrong"))), RootError::WrongPassphrase { .. }));
    assert!(matches!(error(&path, None), RootError::PassphraseNeeded { .. }));
    let (_other, plain) = self::folder();
    made(&plain, None);
    assert!(matches!(error(&plain, Some(&right)), RootError::NotSealed { .. }));
}

#[test]
fn two_sealed_files_do_not_share_a_salt() {
    let ((_a, first), (_b, second)) = (folder(), folder());
    let same = phrase("the same passphrase");
    made(&first, Some(&same));
    made(&second, Some(&same));
    let salt = |path: &Path| -> String {
        let content: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        content["sealed"]["salt"].as_str().unwrap().to_owned()
    };
    assert_ne!(salt(&first), salt(&second));
}

#[test]
fn damaged_files_are_refused_and_left_alone() {
    let (_folder, path) = folder();
    let id = "0198c0de-0000-7000-8000-000000000000";
    let format = r#""format": "fortissimo-root-key/1""#;
    let costs = r#""argon2id": {"memory_kib": 4294967295, "passes": 4294967295, "lanes": 1}"#;
    let long = "x".repeat(5_000);
    let wrongs = [
        String::new(),
        "{}".into(),
        "\u{0}\u{1}".into(),
        format!(r#"{{{format}, "id": "{id}", "key": "AAAA"}}"#),
        format!(r#"{{{format}, "id": "{id}", "key": "not base64!"}}"#),
        format!(r#"{{{format}, "id": "{id}"}}"#),
        format!(r#"{{{format}, "id": "nobody", "key": "AAAA"}}"#),
        format!(r#"{{"format": "fortissimo-root-key/2", "id": "{id}", "key": "AAAA"}}"#),
        format!(r#"{{{format}, "id": "{id}", "key": "AAAA", "extra": 1}}"#),
        format!(r#"{{{format}, "id": "{id}", "key": "{long}"}}"#),
    ];
    for wrong in &wrongs {
        fs::write(&path, wrong).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(error(&path, None), RootError::Damaged { .. }), "{wrong:.80}");
        assert_eq!(&fs::read_to_string(&path).unwrap(), wrong);
    }
    let greedy = format!(
        r#"{{{format}, "id": "{id}", "sealed": {{"record": "AAAA", "salt": "AAAAAAAAAAAAAAAAAAAAAA", {costs}}}}}"#
    );
    fs::write(&path, greedy).unwrap();
    assert!(matches!(error(&path, Some(&phrase("x"))), RootError::Damaged { .. }));
}

#[test]
fn a_folder_in_the_files_place_is_refused() {
    let (_folder, path) = folder();
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(error(&path, None), RootError::Damaged { .. }));
}
