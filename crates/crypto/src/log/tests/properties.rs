//! Random trees, and input that nobody made on purpose: parsers refuse, they never panic, and what they accept
//! they write back as it was.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn random_trees_prove_and_grow(old in 0_u64..600, more in 0_u64..600, pick in any::<u64>(), flip in any::<u8>()) {
        let new = old + more;
        let tree = WholeTree::of(new);
        let (old_root, root) = (tree.root_at(old), tree.root_at(new));
        let mut frontier = Frontier::new();
        frontier.extend(&tree.0);
        prop_assert_eq!(frontier.root(), root);
        let proof = tree.consistency(old, new);
        prop_assert!(verify_consistency(old, &old_root, new, &root, &proof));
        if !proof.is_empty() {
            let mut altered = proof.clone();
            let at = usize::try_from(pick % altered.len() as u64).unwrap();
            altered[at][usize::from(flip % 32)] ^= 1 << (flip / 32);
            prop_assert!(!verify_consistency(old, &old_root, new, &root, &altered));
        }
        if new > 0 {
            let index = pick % new;
            let leaf = tree.0[usize::try_from(index).unwrap()];
            let mut proof = tree.inclusion(index, new);
            prop_assert!(verify_inclusion(&leaf, index, new, &proof, &root));
            if let Some(last) = proof.last_mut() {
                last[usize::from(flip % 32)] ^= 1 << (flip / 32);
                prop_assert!(!verify_inclusion(&leaf, index, new, &proof, &root));
            }
        }
    }

    #[test]
    fn proofs_from_outside_never_panic(
        index in any::<u64>(), size in any::<u64>(), old in any::<u64>(), hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70),
    ) {
        let zero = [0; 32];
        prop_assert!(!verify_inclusion(&zero, index, size, &hashes, &zero));
        verify_consistency(old, &zero, size, &zero, &hashes);
    }

    #[test]
    fn every_tile_has_one_path(level in 0_u8..=63, index in any::<u64>(), width in 1_u16..=256) {
        let tile = Tile { level, index, width };
        prop_assert_eq!(TilePath::parse(&tile.path()).unwrap().tile, tile);
        prop_assert_eq!(TilePath::parse(&tile.entries_path()).unwrap().tile, Tile { level: 0, ..tile });
    }

    #[test]
    fn random_paths_are_refused_or_written_back(path in "(tile/)?([0-9x/.p]|entries/|x[0-9]{3}/|[0-9]{3}){0,12}") {
        if let Ok(parsed) = TilePath::parse(&path) {
            prop_assert_eq!(parsed.path(), path);
        }
    }

    #[test]
    fn random_texts_are_refused_or_written_back(text in "(old |index |extra |[a-z0-9+/=]{0,50}|c2sp.org/tlog-proof@v1|\u{2014} |\n|\n\n|[0-9]{1,20}){0,20}") {
        if let Ok(note) = Note::parse(&text) {
            let lines: String = note.signatures.iter().map(|signature| signature.line).collect();
            prop_assert_eq!(format!("{}\n{lines}", note.text), text.clone());
        }
        if let Ok(head) = Checkpoint::parse(&text) {
            prop_assert_eq!(head.text(), text.clone());
        }
        if let Ok(file) = ProofFile::parse(&text) {
            prop_assert_eq!(file.to_text(), text.clone());
        }
        if let Ok(request) = AddCheckpoint::parse(text.as_bytes()) {
            prop_assert_eq!(request.to_text(), text.clone());
        }
        if let Ok(key) = text.parse::<VerifierKey>() {
            prop_assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn random_bundles_are_refused_or_written_back(width in 0_u16..300, bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        if let Ok(entries) = decode_bundle(width, &bytes) {
            prop_assert_eq!(encode_bundle(entries).ok(), Some(bytes).filter(|_| width <= 256));
        }
    }

    #[test]
    fn bundles_round_trip(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..=256)) {
        let bytes = encode_bundle(entries.iter().map(Vec::as_slice)).unwrap();
        prop_assert_eq!(decode_bundle(u16::try_from(entries.len()).unwrap(), &bytes).unwrap(), entries);
    }
}
