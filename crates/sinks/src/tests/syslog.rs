//! Syslog against a TLS receiver that confirms, breaks off, hangs or is somebody else. rsyslog itself is asked by the
//! end-to-end tests.

use std::sync::Arc;

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{House, quick, until};
use crate::{ClientCertificate, SyslogConfig, Target, TlsConfig};

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        (certificate, key)
    }

    fn client(&self, trusts: &Self) -> TlsConfig {
        let (certificate, key) = self.issue("fortissimo");
        TlsConfig {
            ca_pem: Some(trusts.issuer.pem().into_bytes()),
            client: Some(ClientCertificate {
                chain_pem: certificate.pem().into_bytes(),
                key_pem: Arc::new(base::Secret::new(key.serialize_pem().into_bytes())),
            }),
        }
    }
}

/// What the receiver does with its n-th connection.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Confirm,
    /// Reads nothing and closes the socket without a word.
    BreakOff,
    /// Reads all, then dies: nobody knows whether it has kept it.
    DieAfterReading,
    Hang,
}

async fn receiver(
    authority: &Authority,
    manner: impl Fn(usize) -> Manner + Send + 'static,
) -> (u16, Arc<Mutex<Vec<String>>>) {
    let (certificate, key) = authority.issue("localhost");
    let mut roots = RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let kept: Arc<Mutex<Vec<String>>> = Arc::default();
    let messages = Arc::clone(&kept);
    tokio::spawn(async move {
        for number in 0.. {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(mut tls) = acceptor.accept(socket).await else { continue };
            match manner(number) {
                Manner::BreakOff => drop(tls),
                Manner::Hang => {
                    tokio::spawn(async move {
                        tokio::time::sleep(std::time::Duration::from_secs(3_600)).await;
                        drop(tls);
                    });
                }
                manner => {
                    let mut bytes = Vec::new();
                    let _ = tls.read_to_end(&mut bytes).await;
                    if manner == Manner::Confirm {
                        messages.lock().extend(frames(&bytes));
                        let _ = tls.shutdown().await;
                    }
                }
            }
        }
    });
    (port, kept)
}

/// Undoes the octet counting.
fn frames(mut bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
        let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
        found.push(String::from_utf8(bytes[space + 1..=space + length].to_vec()).unwrap());
        bytes = &bytes[space + 1 + length..];
    }
    assert!(bytes.is_empty());
    found
}

fn target(port: u16, tls: TlsConfig) -> Target {
    Target::Syslog(SyslogConfig {
        host: "localhost".to_owned(),
        port,
        tls,
        origin: "studio.example".to_owned(),
        max_message: 8_192,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_confirmed_comes_again() {
    let house = House::new().await;
    let authority = Authority::new();
    let manners = [Manner::BreakOff, Manner::DieAfterReading, Manner::Hang];
    let (port, kept) =
        receiver(&authority, move |number| *manners.get(number).unwrap_or(&Manner::Confirm)).await;
    house.events(5).await;
    let running = house.start(vec![quick(target(port, authority.client(&authority)))]);
    running.until(5).await;
    running.stop().await;
    let kept = kept.lock().clone();
    for index in 0..5 {
        let key = format!("dedup=\"{}:{index}\"", house.deployment());
        assert_eq!(kept.iter().filter(|message| message.contains(&key)).count(), 1, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_nothing_and_strangers_are_not_spoken_to() {
    let house = House::new().await;
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (port, kept) = receiver(&ours, |_| Manner::Confirm).await;
    house.events(2).await;
    for tls in [ours.client(&theirs), theirs.client(&ours), TlsConfig { client: None, ..ours.client(&ours) }]
    {
        let running = house.start(vec![quick(target(port, tls))]);
        let reason = until(async || running.status().await.last_error).await;
        assert!(
            reason.contains("TLS") || reason.contains("broke off") || reason.contains("confirm"),
            "{reason}"
        );
        assert_eq!(running.status().await.next_index, 0);
        running.stop().await;
    }
    assert_eq!(*kept.lock(), Vec::<String>::new());
}
