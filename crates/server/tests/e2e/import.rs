//! `fortissimo account import`: people of another system sign in here with the passwords they have.

use serde_json::json;
use testkit::{Program, Settings};

use crate::BINARY;

const PASSWORD: &str = "imported staple battery";
const BCRYPT: &str = "$2b$05$1lbNFRe.gmgQG00hjiCRvOk2QzA56Mvpl.1t.JGuSvo3YMOG2XNyW";
const SSHA: &str = "{SSHA256}uPJixUlYhH4BXWbe06KWEOTRbyvFg/AIERqeRE+7piRzYWx0c2FsdA==";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn people_of_another_system_sign_in_with_the_passwords_they_have() {
    let program = Program::start(BINARY, Settings::default());
    let lines = program.folder().join("people.jsonl");
    let import = |file: &str, more: &[&str]| {
        let path = program.folder().join(file);
        let mut arguments = vec!["account", "import", path.to_str().expect("a plain path")];
        arguments.extend(more);
        let output = program.output(&arguments);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };

    // One wrong line, and nothing is imported; each wrong line is told with its field.
    let good = json!({"username": "ada", "email": "ada@example.com", "email_verified": true, "password_hash": BCRYPT});
    let wrong = [
        json!({"email": "bob@example.com", "email_verified": true, "password_hash": "hunter2"}).to_string(),
        json!({"email": "bob@example.com", "username": "b", "email_verified": true}).to_string(),
        json!({"email": "bob@example.com", "password_hash": SSHA}).to_string(),
        json!({"email": "ada@example.com", "email_verified": true}).to_string(),
        json!({"email": "bob@example.com", "email_verified": true, "colour": "red"}).to_string(),
        "not json".to_owned(),
        json!({"email": "bob@example.com", "email_verified": true, "full_name": "x".repeat(70_000)})
            .to_string(),
    ];
    std::fs::write(&lines, format!("{good}\n\n{}\n", wrong.join("\n"))).expect("writable");
    let (code, _, told) = import("people.jsonl", &[]);
    assert_eq!(code, Some(2), "{told}");
    let reasons = [
        "line 3: password_hash",
        "line 4: username",
        "line 5: email_verified",
        "line 6: email: line 1 has the same",
        "line 7: unknown field `colour`",
        "line 8: expected",
        "line 9: is longer",
        "7 lines are wrong",
    ];
    for reason in reasons {
        assert!(told.contains(reason), "{reason} in {told}");
    }
    let before = text(&program.output(&["account", "list"]).stdout);
    assert!(!before.contains("ada"), "{before}");

    let (code, told, _) = import("people.jsonl", &["--skip-bad"]);
    assert_eq!((code, told.as_str()), (Some(0), "imported 1, already there 0, passed over 7\n"));
    std::fs::write(
        program.folder().join("more.csv"),
        format!("email,username,password_hash,tier,email_verified\nada@example.com,,,,true\neve@example.com,,{SSHA},studio,true\nmallory@example.com,ada,,,true\n"),
    )
    .expect("writable");
    let (code, told, taken) = import("more.csv", &[]);
    assert_eq!((code, told.as_str()), (Some(2), "imported 1, already there 1, passed over 1\n"));
    assert!(taken.contains("line 4: username: ada is taken"), "{taken}");

    // Resumed, it changes nothing.
    assert_eq!(import("people.jsonl", &["--skip-bad"]).1, "imported 0, already there 1, passed over 7\n");
    for name in ["ada", "eve", "eve@example.com"] {
        program.sign_in(name, PASSWORD).await;
    }
    let trail = text(&program.output(&["audit", "search", "--kind", "account.imported"]).stdout);
    assert_eq!(trail.matches("account.imported").count(), 2, "{trail}");
    let (code, _, told) = import("nowhere.jsonl", &[]);
    assert!(code == Some(2) && told.contains("cannot be read"), "{told}");
}
