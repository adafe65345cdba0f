//! The tree, its proofs and its tiles.

use super::*;

/// The leaves of the test data that the implementations of RFC 6962 share.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn shared() -> WholeTree {
    WholeTree(LEAVES.iter().map(|leaf| leaf_hash(&hex::decode(leaf).unwrap())).collect())
}

#[test]
fn roots_match_the_shared_test_data() {
    assert_eq!(empty_root(), hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    let (tree, mut frontier) = (shared(), Frontier::new());
    for (leaf, root) in tree.0.iter().zip(ROOTS) {
        frontier.push(*leaf);
        assert_eq!(frontier.root(), hash(root));
    }
}

#[test]
fn proofs_match_the_shared_test_data() {
    let tree = shared();
    let hashes = |texts: &[&str]| texts.iter().map(|text| hash(text)).collect::<Vec<_>>();
    let inclusion = [
        (0, 1, hashes(&[])),
        (
            0,
            8,
            hashes(&[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]),
        ),
        (
            5,
            8,
            hashes(&[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]),
        ),
    ];
    for (index, size, expected) in inclusion {
        assert_eq!(tree.inclusion(index, size), expected);
    }
    let consistency = [
        (1, 1, hashes(&[])),
        (
            6,
            8,
            hashes(&[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]),
        ),
        (
            2,
            5,
            hashes(&[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ]),
        ),
    ];
    for (old, new, expected) in consistency {
        assert_eq!(tree.consistency(old, new), expected);
    }
}

/// Every pair of sizes up to a few tiles' worth of shapes: what is proven verifies, and nothing near it does.
#[test]
fn proofs_of_all_small_trees_verify_and_altered_ones_do_not() {
    let tree = WholeTree::of(40);
    for size in 1..=tree.size() {
        let root = tree.root_at(size);
        for index in 0..size {
            let proof = tree.inclusion(index, size);
            let leaf = &tree.0[usize::try_from(index).unwrap()];
            assert!(verify_inclusion(leaf, index, size, &proof, &root));
            assert!(!verify_inclusion(&[0; 32], index, size, &proof, &root));
            assert!(!verify_inclusion(leaf, index, size, &proof, &[0; 32]));
            assert!(!verify_inclusion(leaf, size, size, &proof, &root));
            for other in 0..size {
                assert!(other == index || !verify_inclusion(leaf, other, size, &proof, &root));
            }
            let longer = [&proof[..], &[root]].concat();
            assert!(!verify_inclusion(leaf, index, size, &longer, &root));
            if let Some((_, shorter)) = proof.split_last() {
                assert!(!verify_inclusion(leaf, index, size, shorter, &root));
            }
        }
        for old in 0..=size {
            let (old_root, proof) = (tree.root_at(old), tree.consistency(old, size));
            assert!(verify_consistency(old, &old_root, size, &root, &proof));
            assert!(!verify_consistency(old, &[0; 32], size, &root, &proof));
            assert!(old == size || !verify_consistency(size, &root, old, &old_root, &proof));
            let longer = [&proof[..], &[root]].concat();
            assert!(!verify_consistency(old, &old_root, size, &root, &longer));
            if let Some((_, shorter)) = proof.split_last() {
                assert!(!verify_consistency(old, &old_root, size, &root, shorter));
                assert!(!verify_consistency(old, &old_root, size, &[0; 32], &proof));
            }
        }
    }
    assert_eq!(inclusion_proof(3, 3, |node| tree.node(node)).unwrap(), None);
    assert_eq!(consistency_proof(4, 3, |node| tree.node(node)).unwrap(), None);
}

#[test]
fn tiles_of_the_sizes_in_the_text() {
    let of = |size| Tile::grown(0, size).map(|t| (t.level, t.index, t.width)).collect::<Vec<_>>();
    let tiles = of(70_000);
    assert_eq!(tiles.iter().filter(|t| t.0 == 0 && t.2 == 256).count(), 273);
    assert!(tiles.ends_with(&[(0, 273, 112), (1, 0, 256), (1, 1, 17), (2, 0, 1)]));
    assert_eq!(of(256), [(0, 0, 256), (1, 0, 1)]);
    assert_eq!(of(0), []);
    let grown: Vec<_> = Tile::grown(256, 258).collect();
    assert_eq!(grown, [Tile { level: 0, index: 1, width: 2 }]);
    assert_eq!(Tile::in_tree(0, 1, 256), None);
    assert_eq!(Tile::in_tree(63, 0, u64::MAX), None);
}

#[test]
fn paths_are_those_of_the_text_and_have_one_spelling() {
    for (tile, path) in [
        (Tile::full(0, 1_234_067), "tile/0/x001/x234/067"),
        (Tile::full(1, 0), "tile/1/000"),
        (Tile { level: 2, index: 1000, width: 7 }, "tile/2/x001/000.p/7"),
        (Tile::full(63, u64::MAX), "tile/63/x018/x446/x744/x073/x709/x551/615"),
    ] {
        assert_eq!(tile.path(), path);
        assert_eq!(TilePath::parse(path).unwrap(), TilePath { kind: TileKind::Hashes, tile });
    }
    let entries = TilePath::parse("tile/entries/x001/234.p/255").unwrap();
    assert_eq!((entries.kind, entries.tile), (TileKind::Entries, Tile { level: 0, index: 1234, width: 255 }));
    assert_eq!(entries.path(), "tile/entries/x001/234.p/255");
    for wrong in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/+1/000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/x001/x000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000/",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/../000",
        "/tile/0/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0/٠٠٠",
        "tile/entries/000.p/7/8",
    ] {
        assert!(TilePath::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn bundles_are_read_back_and_cut_ones_refused() {
    let entries: Vec<&[u8]> = vec![b"one", b"", b"three"];
    let bytes = encode_bundle(entries.iter().copied()).unwrap();
    assert_eq!(bytes, b"\x00\x03one\x00\x00\x00\x05three");
    assert_eq!(decode_bundle(3, &bytes).unwrap(), entries);
    for width in [0, 1, 2, 4, u16::MAX] {
        assert!(decode_bundle(width, &bytes).is_err());
    }
    for cut in 0..bytes.len() {
        assert!(decode_bundle(3, &bytes[..cut]).is_err());
    }
    let long = vec![0; MAX_ENTRY_BYTES + 1];
    assert!(encode_bundle([&long[..]]).is_err());
    assert!(encode_bundle([&long[1..]]).is_ok());
    assert!(encode_bundle(std::iter::repeat_n(&b""[..], 257)).is_err());
}

#[test]
fn an_edge_makes_the_tiles_that_proofs_are_read_from() {
    let tree = WholeTree::of(70_000);
    let mut edge = Edge::new();
    let mut tiles = std::collections::BTreeMap::new();
    // Batches of growing length, so that tiles are filled in the middle and at the end of some.
    let mut rest = &tree.0[..];
    for batch in 1.. {
        let (now, later) = rest.split_at(batch.min(rest.len()));
        edge.append(now, |tile, hashes| drop(tiles.insert(tile.path(), hashes_to_bytes(hashes))));
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    let size = tree.size();
    for (tile, hashes) in edge.partial() {
        tiles.insert(tile.path(), hashes_to_bytes(hashes));
    }
    let expected: std::collections::BTreeSet<_> = Tile::grown(0, size).map(|tile| tile.path()).collect();
    assert!(expected.iter().eq(tiles.keys()));
    let root = tree.root_at(size);
    assert_eq!(edge.root(), root);
    let read = |tile: Tile| tiles.get(&tile.path()).cloned().ok_or(Malformed::new("test", "no such tile"));
    assert_eq!(Edge::restore(size, read).unwrap(), edge);
    let mut frontier = Frontier::new();
    frontier.extend(&tree.0);
    assert_eq!(edge.frontier(), frontier);

    let mut reader = TileReader::new(size, read);
    assert_eq!(root_at(size, |node| reader.node(node)).unwrap(), root);
    assert_eq!(root_at(65_537, |node| reader.node(node)).unwrap(), tree.root_at(65_537));
    for index in [0, 1, 255, 256, 65_535, 65_536, 69_887, 69_999] {
        let proof = inclusion_proof(index, size, |node| reader.node(node)).unwrap().unwrap();
        assert!(verify_inclusion(&tree.0[usize::try_from(index).unwrap()], index, size, &proof, &root));
    }
    for old in [1, 255, 256, 300, 65_536, 65_537, 69_999] {
        let proof = consistency_proof(old, size, |node| reader.node(node)).unwrap().unwrap();
        assert!(verify_consistency(old, &tree.root_at(old), size, &root, &proof));
    }
    let mut cut = TileReader::new(size, |tile: Tile| read(tile).map(|bytes| bytes[1..].to_vec()));
    assert!(inclusion_proof(7, size, |node| cut.node(node)).is_err());
}

#[test]
fn a_frontier_is_stored_and_restored() {
    let mut frontier = Frontier::new();
    frontier.extend(&WholeTree::of(77).0);
    let bytes = frontier.to_bytes();
    assert_eq!(Frontier::from_bytes(&bytes).unwrap(), frontier);
    for cut in 0..bytes.len() {
        assert!(Frontier::from_bytes(&bytes[..cut]).is_err());
    }
    assert!(Frontier::from_nodes(3, vec![[0; 32]]).is_err());
}
