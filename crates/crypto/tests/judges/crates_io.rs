//! The crates `tlog_tiles` and `signed_note` as judges.

use std::fs;

use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{
    Checkpoint, Hash, Tile, TileHashReader, TileReader, check_record, check_tree, prove_record, prove_tree,
    tree_hash,
};

use crate::{Exhibit, ORIGIN, SIZE};

/// One line of a list of proofs.
struct Proof {
    inclusion: bool,
    first: u64,
    size: u64,
    start: Hash,
    root: Hash,
    hashes: Vec<Hash>,
}

impl Proof {
    fn parse(line: &str) -> Self {
        let hash = |text: &str| Hash(hex::decode(text).unwrap().try_into().unwrap());
        let parts: Vec<&str> = line.split(' ').collect();
        let hashes = parts[5].split(',').filter(|text| *text != "-").map(hash).collect();
        Self {
            inclusion: parts[0] == "inclusion",
            first: parts[1].parse().unwrap(),
            size: parts[2].parse().unwrap(),
            start: hash(parts[3]),
            root: hash(parts[4]),
            hashes,
        }
    }

    fn accepted(&self) -> bool {
        let Self { first, size, start, root, .. } = *self;
        if self.inclusion {
            check_record(&self.hashes, size, root, first, start).is_ok()
        } else {
            check_tree(&self.hashes, size, root, first, start).is_ok()
        }
    }
}

/// The exhibit's tile files. The crate's paths name the height; those of c2sp.org/tlog-tiles do not.
struct Files<'a>(&'a Exhibit);

impl TileReader for Files<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let path = |tile: &Tile| tile.path().replacen("tile/8/", "tile/", 1);
        Ok(tiles.iter().map(|tile| fs::read(self.0.path().join(path(tile))).unwrap()).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

#[test]
fn tlog_tiles_agrees() {
    let exhibit = Exhibit::new();
    let read = |name: &str| fs::read_to_string(exhibit.path().join(name)).unwrap();
    let files = Files(&exhibit);
    let reader = TileHashReader::new(SIZE, Hash(exhibit.root(SIZE)), &files);
    for line in read("right").lines() {
        let proof = Proof::parse(line);
        assert!(proof.accepted(), "a right proof was refused: {line}");
        assert_eq!(tree_hash(proof.size, &reader).unwrap(), proof.root);
        let own = if proof.inclusion {
            prove_record(proof.size, proof.first, &reader)
        } else {
            prove_tree(proof.size, proof.first, &reader)
        };
        assert_eq!(own.unwrap(), proof.hashes, "{line}");
    }
    for line in read("wrong").lines() {
        assert!(!Proof::parse(line).accepted(), "a wrong proof was accepted: {line}");
    }
    let (text, _) = exhibit.checkpoint.split_once("\n\n").unwrap();
    let head = Checkpoint::from_bytes(format!("{text}\n").as_bytes()).unwrap();
    assert_eq!((head.origin(), head.size(), head.hash().0), (ORIGIN, SIZE, exhibit.root(SIZE)));
}

#[test]
fn signed_note_agrees() {
    let exhibit = Exhibit::new();
    let vkey = exhibit.signers[0].verifier().to_string();
    let known = VerifierList::new(vec![Box::new(StandardVerifier::new(&vkey).unwrap())]);
    let (verified, others) = Note::from_bytes(exhibit.checkpoint.as_bytes()).unwrap().verify(&known).unwrap();
    assert_eq!((verified.len(), others.len()), (1, 2));
    let altered = exhibit.checkpoint.replacen("\n600\n", "\n601\n", 1);
    assert!(Note::from_bytes(altered.as_bytes()).unwrap().verify(&known).is_err());
}
