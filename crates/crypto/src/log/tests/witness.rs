//! What a witness decides, with the requests that transparency-dev's witness is tested with.

use base::{Entropy, Timestamp};

use super::*;

const MONKEYS: &str = "monkeys+db4d9f7e+AULaJMvTtDLHPUcUrjdDad9vDlh/PTfC2VV60JUtCfWT";
const AT_5: &str = "monkeys\n5\n41smjBUiAU70EtKlT6lIOIYtRTYxYXsDB+XHfcvu/BE=\n\n\
    \u{2014} monkeys 202fftzGl3LVoqjXfwCFZZXs8I+5G22+Ek2K0AOyBuSJ/8/CZawNF+6fNlTKOCd622pbzJNkkJFWuw9DbicZCkEx9AY=\n";
const AT_8: &str = "monkeys\n8\nV8K9aklZ4EPB+RMOk1/8VsJUdFZR77GDtZUQq84vSbo=\n\n\
    \u{2014} monkeys 202ffoUEboiQYpHzICeaFmoy3RNviHTpAxYrq/eO4QQVQMvu9UebKBMX2MJC76NLthZaKsnKbCA8GxrjePZhvDCH7Ag=\n";
const FROM_5_TO_8: [&str; 4] = [
    "b9e1d62618f7fee8034e4c5010f727ab24d8e4705cb296c374bf2025a87a10d2",
    "aac66cd7a79ce4012d80762fe8eec3a77f22d1ca4145c3f4cee022e7efcd599d",
    "89d0f753f66a290c483b39cd5e9eafb12021293395fad3d4a2ad053cfbcfdc9e",
    "29e40bb79c966f4c6fe96aff6f30acfce5f3e8d84c02215175d6e018a5dee833",
];

fn grown() -> AddCheckpoint {
    let proof = FROM_5_TO_8.iter().map(|text| hash(text)).collect();
    AddCheckpoint { old_size: 5, proof, checkpoint: AT_8.into() }
}

#[test]
fn a_published_history_is_followed() {
    let trusted = [MONKEYS.parse().unwrap()];
    let first = AddCheckpoint { old_size: 0, proof: Vec::new(), checkpoint: AT_5.into() };
    let head = judge(&first, &trusted, None).unwrap();
    let latest = Some((head.size, head.root));
    assert_eq!(judge(&first, &trusted, latest), Err(Refusal::AtOtherSize(5)));
    let head = judge(&grown(), &trusted, latest).unwrap();
    assert_eq!((head.origin.as_str(), head.size), ("monkeys", 8));
    // Asking again for the size that it has is allowed.
    let again = AddCheckpoint { old_size: 8, proof: Vec::new(), checkpoint: AT_8.into() };
    assert!(judge(&again, &trusted, Some((8, head.root))).is_ok());
    assert_eq!(judge(&again, &trusted, Some((8, [0; 32]))), Err(Refusal::OtherRoot));
}

#[test]
fn each_refusal_has_its_status() {
    let trusted = [MONKEYS.parse().unwrap()];
    let head = Checkpoint::read_unverified(AT_5).unwrap();
    let latest = Some((5, head.root));
    let with = |change: &dyn Fn(&mut AddCheckpoint)| {
        let mut request = grown();
        change(&mut request);
        judge(&request, &trusted, latest).map_err(Refusal::status)
    };
    assert!(with(&|_| ()).is_ok());
    assert_eq!(with(&|r| r.old_size = 9), Err(400));
    assert_eq!(with(&|r| r.checkpoint.truncate(20)), Err(400));
    assert_eq!(with(&|r| r.old_size = 4), Err(409));
    assert_eq!(with(&|r| r.proof[2][0] ^= 1), Err(422));
    assert_eq!(with(&|r| r.proof.clear()), Err(422));
    assert_eq!(with(&|r| r.checkpoint = AT_8.replace("monkeys\n8", "monkeys\n9")), Err(403));
    assert_eq!(judge(&grown(), &[], latest), Err(Refusal::UnknownLog));
    let stranger = LogSigner::generate("monkeys", KeyType::Ed25519, &Entropy::seeded(1)).unwrap().0;
    assert_eq!(judge(&grown(), &[stranger.verifier().clone()], latest), Err(Refusal::Unsigned));
    assert_eq!(judge(&grown(), &trusted, Some((5, [0; 32]))), Err(Refusal::Inconsistent));
}

#[test]
fn an_empty_tree_has_one_root() {
    let log = LogSigner::generate("example.com/log", KeyType::Ed25519, &Entropy::seeded(1)).unwrap().0;
    let ask = |root| {
        let checkpoint = Checkpoint::new("example.com/log", 0, root).unwrap();
        let checkpoint = checkpoint.sign(&[&log], Timestamp::from_millis(0)).unwrap();
        let request = AddCheckpoint { old_size: 0, proof: Vec::new(), checkpoint };
        judge(&request, &[log.verifier().clone()], None)
    };
    assert!(ask(empty_root()).is_ok());
    assert_eq!(ask([1; 32]), Err(Refusal::Inconsistent));
}

#[test]
fn request_bodies_are_read_back_and_malformed_ones_refused() {
    let text = grown().to_text();
    assert!(text.starts_with("old 5\nueHWJhj3/ugDTkxQEPcnqyTY5HBcspbDdL8gJah6ENI=\n"));
    assert_eq!(AddCheckpoint::parse(text.as_bytes()).unwrap(), grown());
    assert_eq!(grown().origin().unwrap(), "monkeys");
    let many = format!("\n{}\n", format!("{}\n", super::super::base64(&[0; 32])).repeat(60));
    for wrong in [
        text.replacen("old 5", "old 05", 1),
        text.replacen("old 5", "old  5", 1),
        text.replacen("old 5\n", "", 1),
        text.replacen("ueHW", "ueH*", 1),
        text.replacen("\n\n", &many, 1),
        text.replace("\n\n", "\n"),
        String::new(),
    ] {
        assert!(AddCheckpoint::parse(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
    assert!(AddCheckpoint::parse(b"old 5\n\xFF\n\n").is_err());
    assert!(AddCheckpoint::parse(&vec![b'a'; AddCheckpoint::MAX_BYTES + 1]).is_err());
}

#[test]
fn only_a_known_witness_counts() {
    let make = |name, seed| {
        LogSigner::generate(name, KeyType::CosignatureEd25519, &Entropy::seeded(seed)).unwrap().0
    };
    let (witness, stranger) = (make("witness.example/w1", 1), make("witness.example/w1", 2));
    let text = Note::parse(AT_8).unwrap().text;
    let at = Timestamp::from_millis(1_700_000_000_000);
    let line = witness.sign_line(text, at).unwrap();
    let other = stranger.sign_line(text, at).unwrap();
    let trusted = [witness.verifier().clone()];
    let accepted = accept_cosignatures(AT_8, &format!("{other}{line}"), &trusted).unwrap();
    assert_eq!(accepted, std::slice::from_ref(&line));
    // Said again and again, it counts once.
    assert_eq!(accept_cosignatures(AT_8, &line.repeat(60), &trusted).unwrap().len(), 1);
    assert!(accept_cosignatures(AT_8, &other, &trusted).is_err());
    assert!(accept_cosignatures(AT_5, &line, &trusted).is_err(), "it is over another checkpoint");
    assert!(accept_cosignatures(AT_8, "no line", &trusted).is_err());
    let whole = format!("{AT_8}{line}");
    let open = Checkpoint::open(&whole, "monkeys", &[MONKEYS.parse().unwrap(), trusted[0].clone()]).unwrap();
    assert_eq!(open.signed_by.len(), 2);
}

#[test]
fn the_size_of_a_conflict_is_read_strictly() {
    assert_eq!(size_from_conflict("0\n"), Some(0));
    assert_eq!(size_from_conflict("51\n"), Some(51));
    for wrong in ["", "51", "051\n", "51\n\n", "-1\n", " 51\n"] {
        assert_eq!(size_from_conflict(wrong), None);
    }
}
