//! RFC 3161 against Debian's `openssl ts` as authority, in both directions: it answers our requests, and verifies the
//! tokens that we keep.

#![expect(clippy::unwrap_used, reason = "tests fail where something is missing")]

use std::fs;
use std::path::Path;
use std::process::Command;

use base::Entropy;
use crypto::timestamp::{StampError, StampRequest, verify_stamp};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

const MESSAGE: &[u8] = b"example.com/log\n600\n";

/// An authority in a folder: a root, and a time stamping certificate under it.
struct Authority(tempfile::TempDir);

impl Authority {
    /// `None` (and a word) where there is no openssl.
    fn new(key: &[&str]) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            #[expect(clippy::disallowed_methods, reason = "CI is told by its environment")]
            let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
            assert!(!ci, "in CI nothing is skipped: install openssl");
            eprintln!("skipped: there is no openssl");
            return None;
        }
        let authority = Self(tempfile::tempdir().unwrap());
        authority.write("serial", "01\n");
        authority.write(
            "tsa.cnf",
            "[tsa]\ndefault_tsa = one\n[one]\nserial = serial\nsigner_cert = tsa.pem\nsigner_key = tsa.key\n\
             certs = root.pem\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256\n\
             accuracy = secs:1\ness_cert_id_chain = no\n",
        );
        authority
            .write("stamping", "extendedKeyUsage = critical, timeStamping\nbasicConstraints = CA:FALSE\n");
        let root = [
            "req",
            "-x509",
            "-nodes",
            "-subj",
            "/CN=Test root",
            "-days",
            "30",
            "-keyout",
            "root.key",
            "-out",
            "root.pem",
        ];
        authority.openssl(&[&root[..], &["-newkey"], key].concat());
        let request = [
            "req",
            "-nodes",
            "-subj",
            "/CN=Test authority",
            "-keyout",
            "tsa.key",
            "-out",
            "tsa.csr",
            "-newkey",
        ];
        authority.openssl(&[&request[..], key].concat());
        authority.openssl(&[
            "x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-days", "30",
            "-extfile", "stamping", "-out", "tsa.pem",
        ]);
        Some(authority)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), bytes).unwrap();
    }

    fn openssl(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl").args(arguments).current_dir(self.path()).output().unwrap();
        assert!(
            output.status.success(),
            "openssl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    fn answer(&self, request: &[u8]) -> Vec<u8> {
        self.write("query", request);
        self.openssl(&["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply"]);
        fs::read(self.path().join("reply")).unwrap()
    }

    fn root(&self, name: &str) -> Vec<CertificateDer<'static>> {
        let pem = fs::read(self.path().join(name)).unwrap();
        vec![CertificateDer::from_pem_slice(&pem).unwrap()]
    }
}

#[test]
fn stamps_of_openssl_verify_and_its_own_verifier_agrees() {
    for key in [
        &["rsa:2048"][..],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    ] {
        let Some(authority) = Authority::new(key) else { return };
        let request = StampRequest::new(MESSAGE, &Entropy::system());
        let answer = authority.answer(request.der());
        let roots = authority.root("root.pem");
        let (stamp, token) = request.accept(&answer, &roots).unwrap();
        assert_eq!(stamp.policy, "1.2.3.4.1");
        assert_eq!(verify_stamp(&token, MESSAGE, &roots).unwrap(), stamp);
        // The certificate itself may be what is trusted.
        assert_eq!(verify_stamp(&token, MESSAGE, &authority.root("tsa.pem")).unwrap(), stamp);
        authority.write("message", MESSAGE);
        authority.write("token", &token);
        let said = authority.openssl(&[
            "ts",
            "-verify",
            "-data",
            "message",
            "-in",
            "token",
            "-token_in",
            "-CAfile",
            "root.pem",
        ]);
        assert!(String::from_utf8_lossy(&said).contains("Verification: OK"));

        assert_eq!(verify_stamp(&token, b"other", &roots), Err(StampError::Other("another digest")));
        let another = StampRequest::new(MESSAGE, &Entropy::system());
        assert_eq!(another.accept(&answer, &roots).unwrap_err(), StampError::Other("another nonce"));
        assert!(matches!(verify_stamp(&token, MESSAGE, &[]), Err(StampError::Untrusted(_))));
        let stranger = Authority::new(key).unwrap();
        assert!(matches!(
            verify_stamp(&token, MESSAGE, &stranger.root("root.pem")),
            Err(StampError::Untrusted(_))
        ));
        // Whatever byte is altered, it does not verify as this stamp any more. (Bytes of certificates that nobody needs,
        // such as the root's, may be altered without consequence.)
        let mut survived = 0;
        for at in (0..token.len()).step_by(7) {
            let mut altered = token.clone();
            altered[at] ^= 1;
            survived += usize::from(
                verify_stamp(&altered, MESSAGE, &authority.root("tsa.pem")).is_ok_and(|other| other != stamp),
            );
        }
        assert_eq!(survived, 0);
        for cut in 0..token.len() {
            assert!(verify_stamp(&token[..cut], MESSAGE, &roots).is_err());
        }
    }
}

#[test]
fn a_refusal_and_rubbish_are_told_apart() {
    let Some(authority) = Authority::new(&["rsa:2048"]) else { return };
    let request = StampRequest::new(MESSAGE, &Entropy::system());
    let roots = authority.root("root.pem");
    authority.write(
        "tsa.cnf",
        fs::read_to_string(authority.path().join("tsa.cnf"))
            .unwrap()
            .replace("digests = sha256", "digests = sha512"),
    );
    let refused = request.accept(&authority.answer(request.der()), &roots).unwrap_err();
    assert!(matches!(&refused, StampError::Refused(_)), "{refused}");
    assert!(matches!(request.accept(b"<html>", &roots), Err(StampError::Malformed(_))));
    assert!(matches!(request.accept(&vec![0x30; 70_000], &roots), Err(StampError::Malformed(_))));
}
