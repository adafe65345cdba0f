//! Reading a whole log once: entries, tiles, root.

use crypto::log::{Edge, Hash, Tile, decode_bundle, hashes_to_bytes, leaf_hash};

use super::diagnose::{diagnose, lenient};
use super::rows::{Erasure, MAX_ERASURES};
use super::signature;
use super::{Finding, Findings, Source, Tree, Trust, VerifyError};
use crate::Kind;
use crate::leaf::Leaf;

/// Bundles that may be missing one after the other before the rest counts as missing, too, without looking: nothing is
/// known of a checkpoint's size before its signature is, and one that claims 2^63 entries must not keep us for ever.
pub(super) const MISSING_IN_A_ROW: u64 = 65_536;

/// Verifies a log: the checkpoint's signatures, and that entries, tiles and root are one tree. `earlier` are sizes
/// whose roots the caller wants to compare (see [`super::anchored`]).
///
/// The first way through hashes every entry, grows the tree from them, and compares each tile as it is completed. Only
/// if that does not lead to the signed root, a second one finds out where it went wrong.
///
/// # Errors
/// If the source cannot be read; what is wrong with the log are findings.
pub async fn tree(source: &mut impl Source, trust: &Trust, earlier: &[u64]) -> Result<Tree, VerifyError> {
    let mut found = Tree {
        head: None,
        checkpoint: String::new(),
        signed_by: Vec::new(),
        leaves: 0,
        earlier: Vec::new(),
        erasures: Vec::new(),
        findings: Findings::default(),
    };
    let Some(note) = source.read("checkpoint").await? else {
        // A log that has nothing yet has no files at all.
        if source.read("tile/entries/000").await?.is_some()
            || source.read("tile/entries/000.p/1").await?.is_some()
        {
            found.findings.add(Finding::NoCheckpoint);
        }
        return Ok(found);
    };
    let Ok(note) = String::from_utf8(note) else {
        found.findings.add(Finding::CheckpointMalformed { why: "it is not UTF-8".into() });
        return Ok(found);
    };
    let checked = signature::check(&note, trust);
    found.checkpoint = note;
    found.signed_by = checked.signed_by;
    found.findings.listed.extend(checked.finding);
    let Some(head) = checked.head else { return Ok(found) };
    let (size, root) = (head.size, head.root);
    found.head = Some(head);

    let mut pass = Pass { edge: Edge::new(), tiles: Findings::default(), completed: Vec::new() };
    let mut whole = true;
    let mut missing = 0;
    for index in 0..size.div_ceil(256) {
        let Some(tile) = Tile::in_tree(0, index, size) else { break };
        let bundle = read_bundle(source, tile).await?;
        let base = index * 256;
        missing = if bundle.is_none() { missing + 1 } else { 0 };
        if missing > MISSING_IN_A_ROW {
            break;
        }
        let Some(entries) = bundle.as_deref().and_then(|bytes| decode_bundle(tile.width, bytes).ok()) else {
            // The tree ends here, but what later entries say of erasures is still needed.
            whole = false;
            for (at, entry) in (base..).zip(bundle.iter().flat_map(|bytes| lenient(bytes))) {
                gather(&mut found.erasures, at, entry);
            }
            continue;
        };
        let mut hashes = [[0; 32]; 256];
        for (at, entry) in entries.iter().enumerate() {
            hashes[at] = leaf_hash(entry);
            gather(&mut found.erasures, base + at as u64, entry);
        }
        let hashes = &hashes[..entries.len()];
        found.leaves += hashes.len() as u64;
        if !whole {
            continue;
        }
        for wanted in
            earlier.iter().filter(|wanted| base < **wanted && **wanted <= base + hashes.len() as u64)
        {
            let mut edge = pass.edge.clone();
            let within = usize::try_from(*wanted - base).unwrap_or(usize::MAX).min(hashes.len());
            edge.append(&hashes[..within], |_, _| ());
            found.earlier.push((*wanted, edge.root()));
        }
        pass.grow(source, hashes).await?;
    }
    if whole && pass.edge.root() == root {
        for (tile, hashes) in
            pass.edge.partial().map(|(tile, hashes)| (tile, hashes_to_bytes(hashes))).collect::<Vec<_>>()
        {
            compare(source, tile, &hashes, &mut pass.tiles).await?;
        }
        found.findings.extend(pass.tiles);
    } else {
        let from_entries = whole.then(|| pass.edge.root());
        found.findings.extend(diagnose(source, size, root, from_entries).await?);
    }
    Ok(found)
}

struct Pass {
    edge: Edge,
    /// What is wrong with tiles, if the entries turn out to be right.
    tiles: Findings,
    completed: Vec<(Tile, Vec<u8>)>,
}

impl Pass {
    async fn grow(&mut self, source: &mut impl Source, hashes: &[Hash]) -> Result<(), VerifyError> {
        let completed = &mut self.completed;
        self.edge.append(hashes, |tile, hashes| completed.push((tile, hashes_to_bytes(hashes))));
        for (tile, hashes) in self.completed.drain(..) {
            compare(source, tile, &hashes, &mut self.tiles).await?;
        }
        Ok(())
    }
}

/// Compares a tile's file with what it should be.
async fn compare(
    source: &mut impl Source,
    tile: Tile,
    expected: &[u8],
    findings: &mut Findings,
) -> Result<(), VerifyError> {
    let path = tile.path();
    match read_hashes(source, tile).await? {
        None => findings.add(Finding::TileMissing { path }),
        Some(have) if have == expected => {}
        Some(have) if have.len() != expected.len() => findings.add(Finding::TileCut { path }),
        Some(_) => findings.add(Finding::TileAltered { path }),
    }
    Ok(())
}

/// The bytes of a tile. A partial one may have been removed once the full one was there.
pub(super) async fn read_hashes(
    source: &mut impl Source,
    tile: Tile,
) -> Result<Option<Vec<u8>>, VerifyError> {
    if let Some(bytes) = source.read(&tile.path()).await? {
        return Ok(Some(bytes));
    }
    if tile.is_full() {
        return Ok(None);
    }
    let full = source.read(&Tile::full(tile.level, tile.index).path()).await?;
    Ok(full.map(|mut bytes| {
        bytes.truncate(tile.byte_len());
        bytes
    }))
}

/// The bytes of a bundle, likewise.
pub(super) async fn read_bundle(
    source: &mut impl Source,
    tile: Tile,
) -> Result<Option<Vec<u8>>, VerifyError> {
    if let Some(bytes) = source.read(&tile.entries_path()).await? {
        return Ok(Some(bytes));
    }
    if tile.is_full() {
        return Ok(None);
    }
    let full = source.read(&Tile::full(0, tile.index).entries_path()).await?;
    Ok(full.map(|bytes| {
        let (mut at, mut left) = (0, tile.width);
        while left > 0
            && let Some(length) = bytes.get(at..at + 2)
        {
            at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            left -= 1;
        }
        let mut bytes = bytes;
        bytes.truncate(at);
        bytes
    }))
}

/// Remembers which keys an entry says to have destroyed. Only leaves that have such a list are parsed: the
/// tree itself is verified without knowing what a leaf says.
pub(super) fn gather(erasures: &mut Vec<Erasure>, index: u64, entry: &[u8]) {
    const MARK: &[u8] = b"\"erases\":[";
    // The list is the last field, so that most leaves are told apart by their end.
    if !entry.ends_with(b"\"]}") || !entry.windows(MARK.len()).any(|window| window == MARK) {
        return;
    }
    // Only an event whose kind is an erasure has the authority.
    let Some(leaf) = Leaf::decode(entry).ok().filter(|leaf| leaf.kind == Kind::SubjectErased.name()) else {
        return;
    };
    for key in leaf.erases {
        if erasures.len() < MAX_ERASURES {
            erasures.push(Erasure { key, index });
        }
    }
}
