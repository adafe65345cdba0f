//! Delivery: retries, files, SMTP.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};

use access::Permit;
use base::{Id, Language, kind};
use identity::{DeliveryError, Error, Mailer, ReadableLetter, SmtpConfig, SmtpSecurity};
use store::{Db, params};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::house::{DAY, HOUR, House, MINUTE, PASSWORD, quick, secret, wish};

store::sql! {
    BODIES = "SELECT count(*) FROM mail WHERE body_sealed IS NOT NULL";
    STATE = "SELECT count(*) FROM mail WHERE state = $1";
}

#[tokio::test]
async fn a_failed_delivery_is_tried_again_and_the_body_goes_with_success() {
    for house in House::all().await {
        let outbox = house.dir.path().join("outbox");
        std::fs::write(&outbox, "a file where the folder should be").unwrap();
        house.register("ada", "ada@example.com", PASSWORD).await;
        let failed = house.deliver().await;
        assert!(matches!(&failed[..], [Err(DeliveryError::Later(_))]));
        assert_eq!(house.count(BODIES, params![]).await, 1);
        std::fs::remove_file(&outbox).unwrap();
        house.clock.advance_ms(HOUR);
        let code = house.mail("verify").await.code();
        assert_eq!(house.count(BODIES, params![]).await, 0);
        house.identity.verify_email(&code, &secret(PASSWORD), &house.meta()).await.unwrap();
        let events = house.events().await;
        assert!(events.contains(&"mail.failed".to_owned()) && events.contains(&"mail.delivered".to_owned()));
        // Once more is done already.
        let mail = house.identity.outbox_list(Permit::for_system("test")).await.unwrap()[0].id;
        house.identity.deliver_mail(mail).await.unwrap();
        house.identity.deliver_mail(Id::new(&house.clock, &house.entropy)).await.unwrap();
    }
}

#[tokio::test]
async fn a_message_whose_links_ended_is_not_sent() {
    for house in House::all().await {
        house.register("ada", "ada@example.com", PASSWORD).await;
        house.clock.advance_ms(DAY + MINUTE);
        assert!(matches!(&house.deliver().await[..], [Err(DeliveryError::Never(_))]));
        assert_eq!(house.count(STATE, params!["failed"]).await, 1);
        assert_eq!(house.count(BODIES, params![]).await, 0);
    }
}

#[tokio::test]
async fn without_a_mail_server_messages_are_sealed_files() {
    for db in store::testing::databases().await {
        let dir = tempfile::TempDir::new().unwrap();
        let outbox = dir.path().join("outbox");
        let mailer = Mailer::Outbox { dir: outbox.clone() };
        let house = House::over(db, quick(), Some(mailer)).await;
        house.register("ada", "canary@example.com", PASSWORD).await;
        let id = house.deliver().await.remove(0).unwrap();
        let path = outbox.join(format!("{id}.eml.sealed"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&outbox).unwrap().permissions().mode() & 0o777, 0o700);
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));

        let read = |id: Id<kind::Mail>| {
            let (identity, meta) = (house.identity.clone(), house.meta());
            async move { identity.outbox_read(Permit::for_system("test"), id, &meta).await }
        };
        let text = read(id).await.unwrap();
        assert!(text.expose().contains("To: canary@example.com"));
        assert!(text.expose().contains("Auto-Submitted: auto-generated"));
        // A file under another name, a cut one and an altered one do not open.
        let other: Id<kind::Mail> = Id::new(&house.clock, &house.entropy);
        let mut altered = bytes.clone();
        *altered.last_mut().unwrap() ^= 1;
        for wrong in [&bytes[..], &bytes[..20], &bytes[..5], b"", &altered] {
            std::fs::write(outbox.join(format!("{other}.eml.sealed")), wrong).unwrap();
            assert!(read(other).await.is_err());
        }
        let missing: Id<kind::Mail> = Id::new(&house.clock, &house.entropy);
        assert!(matches!(read(missing).await, Err(Error::NotFound)));
        // Old files go.
        house.clock.advance_ms(8 * DAY);
        house.identity.janitor().await.unwrap();
        assert!(!path.exists());
    }
}

/// A mail server that keeps what it is given and refuses the first message of each refused address for good.
async fn mail_server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let received = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let keep = Arc::clone(&keep);
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                write.write_all(b"220 test\r\n").await.unwrap();
                let (mut data, mut message) = (false, String::new());
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer = if data {
                        if line != "." {
                            message.push_str(&line);
                            message.push('\n');
                            continue;
                        }
                        data = false;
                        keep.lock().unwrap().push(std::mem::take(&mut message));
                        "250 kept"
                    } else if line.starts_with("DATA") {
                        data = true;
                        "354 go on"
                    } else if line.contains("refused@") {
                        "550 <refused@example.com> is unknown here"
                    } else if line.contains("later@") {
                        "451 later"
                    } else if line.starts_with("QUIT") {
                        "221 bye"
                    } else {
                        "250 fine"
                    };
                    if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, received)
}

#[tokio::test]
async fn messages_go_over_smtp() {
    let (port, received) = mail_server().await;
    let config = SmtpConfig {
        ca_pem: None,
        host: "127.0.0.1".into(),
        port,
        security: SmtpSecurity::Plain,
        login: None,
        timeout_ms: 5_000,
    };
    let house = House::over(Db::memory(), quick(), Some(Mailer::Smtp(config))).await;
    house.register("ada", "ada@example.com", PASSWORD).await;
    assert!(matches!(&house.deliver().await[..], [Ok(_)]));
    let message = received.lock().unwrap().remove(0);
    assert!(message.contains("Subject: Confirm your e-mail address"));
    assert!(message.contains("multipart/alternative"));
    let (_, rest) = message.split_once("?code=").unwrap();
    house.identity.verify_email(&rest[..43], &secret(PASSWORD), &house.meta()).await.unwrap();
    assert!(house.identity.outbox_list(Permit::for_system("test")).await.unwrap().is_empty());

    house.register("nobody", "refused@example.com", PASSWORD).await;
    let refused = house.deliver().await.remove(0).unwrap_err();
    assert!(matches!(refused, DeliveryError::Never(_)));
    assert!(!refused.to_string().contains('@'), "{refused}");
    house.register("soon", "later@example.com", PASSWORD).await;
    assert!(matches!(&house.deliver().await[..], [Err(DeliveryError::Later(_))]));
}

#[tokio::test]
async fn a_mail_server_that_is_away_is_waited_for() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let config = SmtpConfig {
        ca_pem: None,
        host: "127.0.0.1".into(),
        port,
        security: SmtpSecurity::Plain,
        login: Some(("user".into(), secret("password"))),
        timeout_ms: 5_000,
    };
    let house = House::over(Db::memory(), quick(), Some(Mailer::Smtp(config))).await;
    house.register("ada", "ada@example.com", PASSWORD).await;
    assert!(matches!(&house.deliver().await[..], [Err(DeliveryError::Later(_))]));
    assert_eq!(house.count(STATE, params!["queued"]).await, 1);
}

#[tokio::test]
async fn people_are_written_to_in_their_language() {
    for house in House::all().await {
        let mut german = house.meta();
        german.language = Some(Language::German);
        house.identity.register(wish("ada", "ada@example.com", PASSWORD), &german).await.unwrap();
        let letter = |message: &str| ReadableLetter::decode(&secret(message)).unwrap();
        let mail = house.mail("verify").await;
        let verify = letter(&mail.text);
        assert_eq!(verify.subject, "Bestätigen Sie Ihre E-Mail-Adresse");
        assert!(mail.text.contains("Content-Language: de"), "{}", mail.text);
        let (_, rest) = verify.text.expose().split_once("?code=").unwrap();
        // What a later request asks for does not matter: the account has a language.
        let code = rest[..43].to_owned();
        house.identity.verify_email(&code, &secret(PASSWORD), &house.meta()).await.unwrap();
        let email = "ada@example.com".parse().unwrap();
        house.identity.forgot_password(&email, &house.meta()).await.unwrap();
        assert_eq!(letter(&house.mail("reset").await.text).subject, "Setzen Sie ein neues Passwort");
        // Chosen on the pages, it is another one.
        let caller = house.caller(&house.sign_in("ada").await).await.unwrap();
        house.identity.set_language(&caller, Language::English).await.unwrap();
        house.identity.forgot_password(&email, &house.meta()).await.unwrap();
        assert_eq!(letter(&house.mail("reset").await.text).subject, "Set a new password");
    }
}
