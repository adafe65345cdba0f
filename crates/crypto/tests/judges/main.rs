//! Outside judges of the log's formats: Go's own `sumdb/tlog` and `note` (the ones that `go` itself verifies modules
//! with), PyPI's `pymerkle`, and the crates `tlog_tiles` and `signed_note`. Same roots, same proofs, and what is wrong
//! refused, in both directions.
//!
//! Go and Python come with `cargo xtask test`; without it, their tests say that they are skipped.

#![expect(clippy::unwrap_used, reason = "tests fail where something is missing")]

mod crates_io;
mod go;
mod python;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use base::{Entropy, Timestamp};
use crypto::log::{
    Checkpoint, Edge, Hash, KeyType, LogSigner, Malformed, Tile, TileReader, consistency_proof,
    encode_bundle, hashes_to_bytes, inclusion_proof, leaf_hash, root_at,
};

const ORIGIN: &str = "example.com/judged";
/// Two full tiles and a bit.
const SIZE: u64 = 600;

/// A log of ours, in files as they are published.
pub(crate) struct Exhibit {
    folder: tempfile::TempDir,
    entries: Vec<Vec<u8>>,
    tiles: Vec<(Tile, Vec<u8>)>,
    signers: Vec<LogSigner>,
    checkpoint: String,
}

impl Exhibit {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let entries: Vec<Vec<u8>> =
            (0..SIZE).map(|i| format!("entry {i} {}", "x".repeat(i as usize % 70)).into_bytes()).collect();
        let hashes: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let mut edge = Edge::new();
        let mut tiles = Vec::new();
        edge.append(&hashes, |tile, hashes| tiles.push((tile, hashes_to_bytes(hashes))));
        tiles.extend(edge.partial().map(|(tile, hashes)| (tile, hashes_to_bytes(hashes))));
        let signers: Vec<LogSigner> = [
            (ORIGIN, KeyType::Ed25519),
            (ORIGIN, KeyType::CosignatureMlDsa44),
            ("witness.example/w1", KeyType::CosignatureEd25519),
        ]
        .into_iter()
        .zip(1..)
        .map(|((name, kind), seed)| LogSigner::generate(name, kind, &Entropy::seeded(seed)).unwrap().0)
        .collect();
        let head = Checkpoint::new(ORIGIN, SIZE, edge.root()).unwrap();
        let at = Timestamp::from_millis(1_700_000_000_000);
        let checkpoint = head.sign(&signers.iter().collect::<Vec<_>>(), at).unwrap();
        let exhibit = Self { folder, entries, tiles, signers, checkpoint };
        exhibit.publish();
        exhibit
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn publish(&self) {
        for (tile, bytes) in &self.tiles {
            self.write(&tile.path(), bytes);
            if tile.level == 0 {
                let first = usize::try_from(tile.index * 256).unwrap();
                let entries = &self.entries[first..first + usize::from(tile.width)];
                self.write(&tile.entries_path(), encode_bundle(entries.iter().map(Vec::as_slice)).unwrap());
            }
        }
        self.write("checkpoint", &self.checkpoint);
        let lines = |texts: Vec<String>| texts.join("\n") + "\n";
        self.write("vkeys", lines(self.signers.iter().map(|signer| signer.verifier().to_string()).collect()));
        self.write("entries", lines(self.entries.iter().map(hex::encode).collect()));
        let (right, wrong) = self.proofs();
        self.write("right", right);
        self.write("wrong", wrong);
    }

    /// Proofs of ours, one on each line, and wrong ones made of them.
    fn proofs(&self) -> (String, String) {
        let (mut right, mut wrong) = (String::new(), String::new());
        for size in [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, SIZE] {
            let root = self.root(size);
            let indexes = [0, 1, size / 2, size - 1].into_iter().filter(|index| *index < size);
            for index in indexes {
                let (leaf, proof) = (self.leaf(index), self.inclusion(index, size));
                line(&mut right, "inclusion", index, size, &leaf, &root, &proof);
                let mut flipped = leaf;
                flipped[31] ^= 1;
                line(&mut wrong, "inclusion", index, size, &flipped, &root, &proof);
                line(&mut wrong, "inclusion", (index + 1) % size, size, &leaf, &[7; 32], &proof);
                line(&mut wrong, "inclusion", index, size, &leaf, &root, &[&proof[..], &[[9; 32]]].concat());
                if let Some((_, shorter)) = proof.split_last() {
                    line(&mut wrong, "inclusion", index, size, &leaf, &root, shorter);
                }
            }
            for old in [1, size / 2, size - 1, size].into_iter().filter(|old| *old > 0) {
                let (from, proof) = (self.root(old), self.consistency(old, size));
                line(&mut right, "consistency", old, size, &from, &root, &proof);
                line(&mut wrong, "consistency", old, size, &[7; 32], &root, &proof);
                if old < size {
                    line(&mut wrong, "consistency", old, size, &from, &[7; 32], &proof);
                    line(
                        &mut wrong,
                        "consistency",
                        old,
                        size,
                        &from,
                        &root,
                        &[&proof[..], &[[9; 32]]].concat(),
                    );
                    line(&mut wrong, "consistency", old, size, &from, &root, &proof[1..]);
                }
            }
        }
        (right, wrong)
    }

    fn leaf(&self, index: u64) -> Hash {
        leaf_hash(&self.entries[usize::try_from(index).unwrap()])
    }

    fn reader(&self) -> TileReader<impl FnMut(Tile) -> Result<Vec<u8>, Malformed>> {
        TileReader::new(SIZE, |wanted| {
            let found = self.tiles.iter().find(|(tile, _)| *tile == wanted);
            Ok(found.map(|(_, bytes)| bytes.clone()).unwrap_or_default())
        })
    }

    fn root(&self, size: u64) -> Hash {
        let mut reader = self.reader();
        root_at(size, |node| reader.node(node)).unwrap()
    }

    fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
        let mut reader = self.reader();
        inclusion_proof(index, size, |node| reader.node(node)).unwrap().unwrap()
    }

    fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        let mut reader = self.reader();
        consistency_proof(old, new, |node| reader.node(node)).unwrap().unwrap()
    }
}

/// `inclusion <index> <size> <leaf hash> <root> <hashes>` or `consistency <old> <new> <old root> <new root> <hashes>`.
fn line(out: &mut String, what: &str, first: u64, size: u64, from: &Hash, root: &Hash, proof: &[Hash]) {
    let hashes: Vec<String> = proof.iter().map(hex::encode).collect();
    let hashes = if hashes.is_empty() { "-".to_owned() } else { hashes.join(",") };
    writeln!(out, "{what} {first} {size} {} {} {hashes}", hex::encode(from), hex::encode(root)).unwrap();
}

/// The Python of `cargo xtask test`, whose folder also has Go; `None` (and a word) without it.
fn python() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the test runner says where its tools are")]
    let (python, ci) = (std::env::var_os("FORTISSIMO_TEST_PYTHON"), std::env::var_os("CI"));
    if python.is_none() {
        assert!(ci.is_none_or(|ci| ci != "true"), "in CI nothing is skipped: run cargo xtask test");
        eprintln!("skipped: FORTISSIMO_TEST_PYTHON is not set; run cargo xtask test");
    }
    python.map(PathBuf::from)
}

/// A file of this folder.
fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges").join(name)
}
