//! Mail over real SMTP (aiosmtpd): STARTTLS and TLS from the first byte, with a password; certificates of strangers,
//! wrong passwords, STARTTLS taken away, a server that is away or does not answer.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use testkit::{Program, Service, Settings, code_in, free_port, python, wait_for_mail};

use crate::{repository, start};

const PASSWORD: &str = "violet thunder under the bridge";
const VERIFY: [&str; 2] = ["ada@example.com", "verify?code="];

/// A mail server in a folder of its own.
struct Mail {
    folder: tempfile::TempDir,
    port: u16,
    python: PathBuf,
}

impl Mail {
    /// `None` where there is no Python.
    fn new() -> Option<Self> {
        Some(Self { python: python()?, folder: tempfile::tempdir().unwrap(), port: free_port() })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn serve(&self, modes: &[&str]) -> Service {
        let mut command = Command::new(&self.python);
        let script = repository("tests/smtp_catcher.py");
        Service::start(command.arg(script).arg(self.port.to_string()).arg(self.path()).args(modes), self.port)
    }

    /// The program with this server. `tls` as in `[mail]`; all but `none` with user, password and own authority.
    fn program(&self, tls: &str) -> Program {
        let (port, at) = (self.port, self.path().display());
        let login = match tls {
            "none" => String::new(),
            _ => format!("user = \"studio\"\npassword = \"file:{at}/password\"\nca_file = \"{at}/ca.pem\"\n"),
        };
        let sections = format!(
            "[mail]\nfrom = \"no-reply@example.com\"\nfrom_name = \"Studio\"\nhost = \"localhost\"\nport = {port}\n\
             tls = \"{tls}\"\n{login}"
        );
        start(Settings { sealed_mail: true, sections, ..Settings::default() })
    }

    /// What clients asked the server for.
    fn seen(&self) -> String {
        std::fs::read_to_string(self.path().join("seen")).unwrap_or_default()
    }

    fn messages(&self) -> usize {
        let all = std::fs::read_dir(self.path()).unwrap().filter_map(Result::ok);
        all.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "eml")).count()
    }
}

async fn register(program: &Program) {
    let wish = json!({ "username": "ada", "email": "ada@example.com", "password": PASSWORD });
    program.client().post("/auth/register", wish).await.expect(202);
}

/// Waits until the trail says that a mail was not taken for this reason, and will be tried again.
async fn failed(program: &Program, reason: &str) {
    let mut found = String::new();
    for _ in 0..200 {
        let output = program.output(&["audit", "search", "--json", "--kind", "mail.failed", "--all"]);
        found = String::from_utf8_lossy(&output.stdout).into_owned();
        if found.contains("failed for now") && found.contains(reason) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no mail failed because {reason:?}: {found}\n{}", program.log());
}

/// The mail that waited leads to an account.
async fn arrives(program: &Program, mail: &Mail) {
    let text = wait_for_mail(mail.path(), &VERIFY).await;
    assert!(text.contains("no-reply@example.com"), "{text}");
    let answer = json!({ "code": code_in(&text), "password": PASSWORD });
    program.client().post("/auth/verify-email", answer).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_mail_arrives_over_smtp_with_starttls() {
    let Some(mail) = Mail::new() else { return };
    let _server = mail.serve(&[]);
    let program = mail.program("starttls");
    register(&program).await;
    let text = wait_for_mail(mail.path(), &VERIFY).await;
    assert!(text.contains("From: Studio <no-reply@example.com>"), "{text}");
    assert!(mail.seen().contains("AUTH"), "{}", mail.seen());
    arrives(&program, &mail).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_mail_arrives_over_tls_from_the_first_byte() {
    let Some(mail) = Mail::new() else { return };
    let _server = mail.serve(&["implicit"]);
    let program = mail.program("implicit");
    register(&program).await;
    arrives(&program, &mail).await;
    assert!(mail.seen().contains("AUTH"), "{}", mail.seen());
}

/// A server that anybody could be gets neither password nor message; when the right one is back, the mail goes out.
#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_certificate_gets_nothing() {
    for tls in ["implicit", "starttls"] {
        let Some(mail) = Mail::new() else { return };
        let mode: &[&str] = if tls == "implicit" { &["implicit", "stranger"] } else { &["stranger"] };
        let server = mail.serve(mode);
        let mut program = mail.program(tls);
        register(&program).await;
        // A handshake that fails looks like a connection that broke off; what counts is what the stranger got.
        failed(&program, "the mail server").await;
        assert!(!mail.seen().contains("AUTH") && !mail.seen().contains("MAIL"), "{}", mail.seen());
        assert_eq!(mail.messages(), 0);
        // The operator names the right authority.
        drop(server);
        assert!(program.stop());
        let _server = mail.serve(&mode[..mode.len() - 1]);
        program.run();
        arrives(&program, &mail).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_and_the_mail_waits_for_the_right_one() {
    let Some(mail) = Mail::new() else { return };
    let _server = mail.serve(&[]);
    let right = std::fs::read_to_string(mail.path().join("password")).unwrap();
    std::fs::write(mail.path().join("password"), "sound check three four").unwrap();
    let mut program = mail.program("starttls");
    register(&program).await;
    failed(&program, "answered 535").await;
    assert!(mail.seen().contains("AUTH") && !mail.seen().contains("MAIL"), "{}", mail.seen());
    assert!(!program.log().contains("sound check"), "no password in the log");
    assert!(program.stop());
    std::fs::write(mail.path().join("password"), right).unwrap();
    program.run();
    arrives(&program, &mail).await;
}

/// Somebody on the way takes STARTTLS out of the greeting and would take everything in the clear.
#[tokio::test(flavor = "multi_thread")]
async fn without_starttls_nothing_is_said_in_the_clear() {
    let Some(mail) = Mail::new() else { return };
    let _server = mail.serve(&["stripped"]);
    let program = mail.program("starttls");
    register(&program).await;
    failed(&program, "STARTTLS").await;
    assert!(mail.seen().contains("EHLO"), "it was asked");
    assert!(!mail.seen().contains("AUTH") && !mail.seen().contains("MAIL"), "{}", mail.seen());
    assert_eq!(mail.messages(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_waits_for_a_server_that_is_away() {
    let Some(mail) = Mail::new() else { return };
    let program = mail.program("none");
    register(&program).await;
    failed(&program, "cannot be reached").await;
    let _server = mail.serve(&["plain"]);
    arrives(&program, &mail).await;
}

/// A server that accepts and says nothing: the answer to whoever registers does not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_waits_for_a_mail_server_that_does_not_answer() {
    let Some(mail) = Mail::new() else { return };
    let silent = std::net::TcpListener::bind(("127.0.0.1", mail.port)).unwrap();
    let program = mail.program("none");
    register(&program).await;
    // Taken, and not answered before the answers above were there.
    let (held, _) = tokio::task::spawn_blocking(move || silent.accept().unwrap()).await.unwrap();
    register(&program).await;
    program.client().get("/account/sign-in").await.expect(200);
    drop(held);
    let _server = mail.serve(&["plain"]);
    arrives(&program, &mail).await;
}
