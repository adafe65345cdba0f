//! Notes, keys, checkpoints and proof files.

use base::{Entropy, Timestamp};

use super::*;

const AT: Timestamp = Timestamp::from_millis(1_679_315_147_999);

/// The example of Go's package `note`.
const NEUMANN_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NEUMANN_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn signer(name: &str, kind: KeyType, seed: u64) -> LogSigner {
    LogSigner::generate(name, kind, &Entropy::seeded(seed)).unwrap().0
}

fn keys(signers: &[&LogSigner]) -> Vec<VerifierKey> {
    signers.iter().map(|signer| signer.verifier().clone()).collect()
}

#[test]
fn a_note_of_another_implementation_verifies() {
    let key: VerifierKey = NEUMANN_KEY.parse().unwrap();
    assert_eq!((key.name(), key.id(), key.to_string().as_str()), ("PeterNeumann", 0xc74f_20a3, NEUMANN_KEY));
    let note = Note::parse(NEUMANN_NOTE).unwrap();
    assert_eq!(note.verify(std::slice::from_ref(&key)).unwrap(), [Verified { key: 0, time: None }]);
    let altered = NEUMANN_NOTE.replace("your problem is", "my problem is");
    assert_eq!(Note::parse(&altered).unwrap().verify(&[key]), Err(NoteError::Forged("PeterNeumann".into())));
    assert_eq!(note.verify(&[]), Err(NoteError::Unsigned));
}

#[test]
fn keys_in_the_wild_are_read_and_wrong_ones_refused() {
    for text in [
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    ] {
        assert_eq!(text.parse::<VerifierKey>().unwrap().to_string(), text);
    }
    for wrong in [
        "",
        "+",
        "name",
        "name+033de0ae",
        "sum.golang.org+033de0ae+",
        "sum.golang.org+033DE0AE+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sum.golang.org+00000000+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "other.example+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sum.golang.org+033de0ae+As4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sum golang+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "rekor.sigstore.dev+12345678+AwEB",
    ] {
        assert!(wrong.parse::<VerifierKey>().is_err(), "{wrong}");
    }
}

#[test]
fn a_checkpoint_carries_all_kinds_of_signatures() {
    let log = signer("example.com/log", KeyType::Ed25519, 1);
    let quantum = signer("example.com/log", KeyType::CosignatureMlDsa44, 2);
    let witness = signer("witness.example/w1", KeyType::CosignatureEd25519, 3);
    let head = Checkpoint::new("example.com/log", 20_852_163, [7; 32]).unwrap();
    let note = head.sign(&[&log, &quantum, &witness], AT).unwrap();
    let trusted = keys(&[&witness, &log, &quantum]);
    let open = Checkpoint::open(&note, "example.com/log", &trusted).unwrap();
    assert_eq!(open.checkpoint, head);
    let expected = [(1, None), (2, Some(1_679_315_147)), (0, Some(1_679_315_147))];
    assert_eq!(open.signed_by.iter().map(|v| (v.key, v.time)).collect::<Vec<_>>(), expected);
    assert_eq!(
        Checkpoint::open(&note, "example.com/other", &trusted),
        Err(NoteError::OtherOrigin("example.com/log".into()))
    );
    // Each signature alone counts; what is not signed by a trusted key does not.
    for one in &trusted {
        assert!(Checkpoint::open(&note, "example.com/log", std::slice::from_ref(one)).is_ok());
    }
    let stranger = signer("example.com/log", KeyType::Ed25519, 9);
    assert_eq!(Checkpoint::open(&note, "example.com/log", &keys(&[&stranger])), Err(NoteError::Unsigned));
    for altered in [note.replace("20852163", "20852164"), note.replace("BwcHBw", "BwcHCA")] {
        for one in &trusted {
            assert!(matches!(
                Checkpoint::open(&altered, "example.com/log", std::slice::from_ref(one)),
                Err(NoteError::Forged(_))
            ));
        }
    }
}

#[test]
fn a_signature_of_one_kind_does_not_pass_for_another() {
    let (entropy, name) = (Entropy::seeded(5), "witness.example");
    let (cosigner, seed) = LogSigner::generate(name, KeyType::CosignatureEd25519, &entropy).unwrap();
    let plain = LogSigner::from_seed(name, KeyType::Ed25519, &seed).unwrap();
    assert_eq!(plain.verifier().public(), cosigner.verifier().public());
    assert_ne!(plain.verifier().id(), cosigner.verifier().id());
    let note = Checkpoint::new("example.com/log", 1, [1; 32]).unwrap().sign(&[&cosigner], AT).unwrap();
    assert_eq!(Note::parse(&note).unwrap().verify(&keys(&[&plain])), Err(NoteError::Unsigned));
}

#[test]
fn an_ml_dsa_signature_never_covers_extension_lines() {
    let quantum = signer("example.com/log", KeyType::CosignatureMlDsa44, 2);
    let mut head = Checkpoint::new("example.com/log", 1, [1; 32]).unwrap();
    let note = head.sign(&[&quantum], AT).unwrap();
    let slipped_in = note.replacen("=\n\n", "=\nanything\n\n", 1);
    assert_ne!(slipped_in, note);
    assert!(Checkpoint::open(&slipped_in, "example.com/log", &keys(&[&quantum])).is_err());
    head.extension.push("anything".into());
    assert!(head.sign(&[&quantum], AT).is_err());
}

#[test]
fn malformed_notes_are_refused() {
    let note = NEUMANN_NOTE;
    let line = &note[note.find('\u{2014}').unwrap()..];
    let mut wrong = vec![
        String::new(),
        "\n".into(),
        "\n\n".into(),
        line.into(),
        note.trim_end().into(),
        note.replace("PeterNeumann ", "Peter Neumann "),
        note.replace("PeterNeumann ", "Peter+Neumann "),
        note.replace("PeterNeumann ", " "),
        note.replace("x08go/", "x08go%"),
        note.replace("JnAM=", "JnAN="),
        note.replace(" is.", " is\r."),
        note.replace('\u{2014}', "-"),
        format!("{note}trailing\n"),
        format!("text\n\n\u{2014} name AAAA\n"),
        format!("text\n\n\u{2014} name AAAAAA==\n"),
        format!("text\n\n{}", line.repeat(MAX_SIGNATURES + 1)),
        "x".repeat(MAX_NOTE_BYTES + 1),
    ];
    wrong.push("text\n\n\u{2014} n\u{a0}ame AAAAAAAA\n".into());
    for wrong in wrong {
        assert!(Note::parse(&wrong).is_err(), "{wrong:?}");
    }
    assert!(Note::parse(&format!("text\n\n{}", line.repeat(MAX_SIGNATURES))).is_ok());
}

#[test]
fn malformed_checkpoints_are_refused() {
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    let parsed = Checkpoint::parse(&format!("example.com/log\n20852163\n{root}\nmore\n")).unwrap();
    assert_eq!((parsed.size, parsed.extension.len()), (20_852_163, 1));
    for wrong in [
        String::new(),
        "\n".into(),
        "origin\n".into(),
        "origin\n1\n".into(),
        format!("origin\n1\n{root}"),
        format!("\n1\n{root}\n"),
        format!("origin\n01\n{root}\n"),
        format!("origin\n+1\n{root}\n"),
        format!("origin\n-1\n{root}\n"),
        format!("origin\n\n{root}\n"),
        format!("origin\n9223372036854775808\n{root}\n"),
        format!("origin\n99999999999999999999\n{root}\n"),
        format!("origin\n1\n{}\n", &root[..43]),
        format!("origin\n1\n{}\n", root.replace("2I=", "2J=")),
        format!("origin\n1\n{root}\n\nmore\n"),
    ] {
        assert!(Checkpoint::parse(&wrong).is_err(), "{wrong:?}");
    }
    for origin in ["", "a b", "a+b", "a\nb", &"a".repeat(256)] {
        assert!(Checkpoint::new(origin, 1, [0; 32]).is_err());
    }
}

#[test]
fn a_proof_file_shows_that_an_entry_is_in_the_log() {
    let tree = WholeTree::of(300);
    let log = signer("example.com/log", KeyType::Ed25519, 1);
    let head = Checkpoint::new("example.com/log", 300, tree.root_at(300)).unwrap();
    let file = ProofFile {
        extra: Some(b"age-v1.2.1".to_vec()),
        index: 256,
        hashes: tree.inclusion(256, 300),
        checkpoint: head.sign(&[&log], AT).unwrap(),
    };
    let text = file.to_text();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra YWdlLXYxLjIuMQ==\nindex 256\n"));
    let read = ProofFile::parse(&text).unwrap();
    assert_eq!(read, file);
    let trusted = keys(&[&log]);
    let entry = 256_u64.to_be_bytes();
    assert_eq!(read.verify(&entry, "example.com/log", &trusted).unwrap().checkpoint, head);
    assert!(read.verify(b"another", "example.com/log", &trusted).is_err());
    let moved = ProofFile { index: 257, ..file.clone() };
    assert!(moved.verify(&entry, "example.com/log", &trusted).is_err());
    let bare = ProofFile { extra: None, ..file };
    assert_eq!(ProofFile::parse(&bare.to_text()).unwrap(), bare);
    for wrong in [
        text.replacen("@v1", "@v2", 1),
        text.replacen("index 256", "index 0256", 1),
        text.replacen("index 256\n", "", 1),
        text.replacen("extra YW", "extra Y W", 1),
        text.replacen("extra YW", "more YW", 1),
        text.replacen("\n\n", "\nAAAA\n\n", 1),
        text.replacen(
            "\n\n",
            &format!("\n{}\n", format!("{}\n", super::super::base64(&[0; 32])).repeat(64)),
            1,
        ),
        text.replacen("\n\n", "\n", 2),
        String::new(),
    ] {
        assert!(ProofFile::parse(&wrong).is_err(), "{wrong:?}");
    }
}
