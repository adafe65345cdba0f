//! Mail over real SMTP, with STARTTLS and a password.

use std::process::Command;

use serde_json::json;
use testkit::{Service, Settings, code_in, free_port, python, wait_for_mail};

use crate::{repository, start};

#[tokio::test(flavor = "multi_thread")]
async fn verification_mail_arrives_over_smtp_with_starttls() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let _catcher = Service::start(
        Command::new(python)
            .arg(repository("tests/smtp_catcher.py"))
            .arg(port.to_string())
            .arg(folder.path()),
        port,
    );
    let settings = Settings {
        sealed_mail: true,
        sections: format!(
            "[mail]\nfrom = \"no-reply@example.com\"\nfrom_name = \"Studio\"\nhost = \"localhost\"\nport = {port}\n\
             tls = \"starttls\"\nuser = \"studio\"\npassword = \"file:{0}/password\"\nca_file = \"{0}/ca.pem\"\n",
            folder.path().display()
        ),
        ..Settings::default()
    };
    let program = start(settings);
    let wish =
        json!({"username": "ada", "email": "ada@example.com", "password": "violet thunder under the bridge"});
    program.client().post("/auth/register", wish).await.expect(202);
    let mail = wait_for_mail(folder.path(), &["ada@example.com", "verify?code="]).await;
    assert!(mail.contains("From: Studio <no-reply@example.com>"), "{mail}");
    program
        .client()
        .post(
            "/auth/verify-email",
            json!({"code": code_in(&mail), "password": "violet thunder under the bridge"}),
        )
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_waits_for_a_server_that_is_away() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let script = repository("tests/smtp_catcher.py");
    let catcher = |python: &std::path::Path| {
        Service::start(
            Command::new(python).arg(&script).arg(port.to_string()).arg(folder.path()).arg("plain"),
            port,
        )
    };
    let settings = Settings {
        sealed_mail: true,
        sections: format!(
            "[mail]\nfrom = \"no-reply@example.com\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n"
        ),
        ..Settings::default()
    };
    let program = start(settings);
    let wish =
        json!({"username": "ada", "email": "ada@example.com", "password": "violet thunder under the bridge"});
    program.client().post("/auth/register", wish).await.expect(202);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let _catcher = catcher(&python);
    wait_for_mail(folder.path(), &["ada@example.com", "verify?code="]).await;
}
