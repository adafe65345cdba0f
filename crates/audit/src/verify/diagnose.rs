//! Finding out where a log that does not lead to its signed root went wrong.
//!
//! From the root down: a hash counts as signed if it follows from the root, or from a tile whose own hash counts.
//! Against the signed hashes of the leaves, each bundle of entries is compared.

use crypto::log::{Edge, Hash, Malformed, Tile, empty_root, hashes_from_bytes, leaf_hash, perfect_root};

use super::align::Aligner;
use super::tree::{MISSING_IN_A_ROW, read_bundle, read_hashes};
use super::{Finding, Findings, Source, VerifyError};

/// What is wrong with a tree of `size` entries that should have `root`. `from_entries` is the root that the entries
/// lead to, if all of them could be read.
pub(super) async fn diagnose(
    source: &mut impl Source,
    size: u64,
    root: Hash,
    from_entries: Option<Hash>,
) -> Result<Findings, VerifyError> {
    if size == 0 {
        let mut findings = Findings::default();
        if root != empty_root() {
            findings.add(Finding::Rewritten { size });
        }
        return Ok(findings);
    }
    let mut signed = Signed::load(source, size, root).await?;
    if signed.edge.is_none() {
        if let Some(from_entries) = from_entries
            && signed.untrusted_root == Some(from_entries)
        {
            let mut findings = Findings::default();
            findings.add(Finding::Rewritten { size });
            return Ok(findings);
        }
        return without_authority(source, size, signed.findings).await;
    }
    let mut aligner = Aligner::default();
    let mut missing = 0;
    for index in 0..size.div_ceil(256) {
        let Some(tile) = Tile::in_tree(0, index, size) else { break };
        let base = index * 256;
        let bundle = read_bundle(source, tile).await?;
        missing = if bundle.is_none() { missing + 1 } else { 0 };
        if missing > MISSING_IN_A_ROW {
            aligner.absent(base, size - base);
            break;
        }
        let have: Option<Vec<Hash>> = bundle.as_deref().map(|bytes| lenient(bytes).map(leaf_hash).collect());
        let want = match signed.tile(source, 0, index).await? {
            Some(want) => want,
            None => {
                // The tile is damaged; the entries may still lead to its signed hash.
                let expected = signed.expected(source, 0, index).await?;
                let right = have.as_deref().and_then(perfect_root) == expected && expected.is_some();
                match &have {
                    None => aligner.absent(base, u64::from(tile.width)),
                    Some(_) if right => {}
                    Some(_) => {
                        aligner.note(Finding::Unproven { from: base, to: base + u64::from(tile.width) })
                    }
                }
                continue;
            }
        };
        match have {
            None => aligner.absent(base, want.len() as u64),
            Some(have) => aligner.bundle(base, &have, &want),
        }
    }
    let mut findings = aligner.finish(size);
    findings.extend(signed.findings);
    Ok(findings)
}

/// Neither entries nor tiles lead to the root. What can still be said is where they differ from each other.
async fn without_authority(
    source: &mut impl Source,
    size: u64,
    tiles: Findings,
) -> Result<Findings, VerifyError> {
    let mut aligner = Aligner::default();
    let mut missing = 0;
    for index in 0..size.div_ceil(256) {
        let Some(tile) = Tile::in_tree(0, index, size) else { break };
        let (base, width) = (index * 256, u64::from(tile.width));
        let have = read_bundle(source, tile).await?;
        missing = if have.is_none() { missing + 1 } else { 0 };
        if missing > MISSING_IN_A_ROW {
            aligner.absent(base, size - base);
            break;
        }
        let want = read_hashes(source, tile).await?;
        let want = want.as_deref().and_then(|bytes| hashes_from_bytes(tile, bytes).ok());
        match (have, want) {
            (None, _) => aligner.absent(base, width),
            (Some(have), Some(want)) => {
                let have: Vec<Hash> = lenient(&have).map(leaf_hash).collect();
                aligner.bundle(base, &have, want);
            }
            (Some(_), None) => aligner.note(Finding::Unproven { from: base, to: base + width }),
        }
    }
    let mut findings = aligner.finish(size);
    findings.extend(tiles);
    if findings.none() {
        findings.add(Finding::Rewritten { size });
    }
    Ok(findings)
}

/// The entries of a bundle, as many as there are, whatever its width should be.
pub(super) fn lenient(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    // A bundle that was changed may have more entries than it should; not without end.
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk()?;
        let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = after;
        Some(entry)
    })
    .take(1_024)
}

/// Hashes that follow from the root.
struct Signed {
    size: u64,
    edge: Option<Edge>,
    /// The root of the partial tiles, if it is not the signed one.
    untrusted_root: Option<Hash>,
    /// The tile of each level that was read last.
    recent: [Option<(u64, Option<Vec<Hash>>)>; 8],
    findings: Findings,
}

impl Signed {
    async fn load(source: &mut impl Source, size: u64, root: Hash) -> Result<Self, VerifyError> {
        let mut findings = Findings::default();
        let mut tiles = Vec::new();
        for tile in Tile::partial_in_tree(size) {
            let path = tile.path();
            match read_hashes(source, tile).await? {
                None => findings.add(Finding::TileMissing { path }),
                Some(bytes) if bytes.len() != tile.byte_len() => findings.add(Finding::TileCut { path }),
                Some(bytes) => tiles.push((tile, bytes)),
            }
        }
        let edge = Edge::restore(size, |wanted| {
            let found = tiles.iter().find(|(tile, _)| *tile == wanted);
            found.map(|(_, bytes)| bytes.clone()).ok_or(Malformed { what: "tile", why: "it is not there" })
        });
        let (edge, untrusted_root) = match edge {
            Ok(edge) if edge.root() == root => (Some(edge), None),
            Ok(edge) => (None, Some(edge.root())),
            Err(_) => (None, None),
        };
        Ok(Self { size, edge, untrusted_root, recent: [const { None }; 8], findings })
    }

    /// The signed hashes of a tile; `None` if its file is damaged, which is then among the findings.
    async fn tile(
        &mut self,
        source: &mut impl Source,
        level: u8,
        index: u64,
    ) -> Result<Option<Vec<Hash>>, VerifyError> {
        if usize::from(level) >= self.recent.len() {
            return Ok(None);
        }
        if let Some((known, hashes)) = &self.recent[usize::from(level)]
            && *known == index
        {
            return Ok(hashes.clone());
        }
        let Some(tile) = Tile::in_tree(level, index, self.size) else { return Ok(None) };
        let hashes = if tile.is_full() {
            let expected = Box::pin(self.expected(source, level, index)).await?;
            let file = read_hashes(source, tile).await?;
            self.check(source, tile, expected, file).await?
        } else {
            let edge = self.edge.as_ref();
            edge.and_then(|edge| {
                edge.partial().find(|(of, _)| *of == tile).map(|(_, hashes)| hashes.to_vec())
            })
        };
        self.recent[usize::from(level)] = Some((index, hashes.clone()));
        Ok(hashes)
    }

    /// The signed root of a full tile: a hash of the tile above.
    async fn expected(
        &mut self,
        source: &mut impl Source,
        level: u8,
        index: u64,
    ) -> Result<Option<Hash>, VerifyError> {
        let above = Box::pin(self.tile(source, level + 1, index / 256)).await?;
        Ok(above.and_then(|hashes| hashes.get(usize::try_from(index % 256).unwrap_or(256)).copied()))
    }

    async fn check(
        &mut self,
        source: &mut impl Source,
        tile: Tile,
        expected: Option<Hash>,
        file: Option<Vec<u8>>,
    ) -> Result<Option<Vec<Hash>>, VerifyError> {
        let path = tile.path();
        let finding = match &file {
            None => Finding::TileMissing { path },
            Some(bytes) => match hashes_from_bytes(tile, bytes) {
                Ok(hashes) if expected.is_some() && perfect_root(hashes) == expected => {
                    return Ok(Some(hashes.to_vec()));
                }
                Ok(_) => Finding::TileAltered { path },
                Err(_) => Finding::TileCut { path },
            },
        };
        // Without a signed hash above, nothing can be said about this file.
        if expected.is_some() {
            self.findings.add(finding);
        }
        if tile.level == 0 || expected.is_none() {
            return Ok(None);
        }
        // A higher tile can be made again from those below it.
        let mut hashes = Vec::with_capacity(256);
        for below in 0..256 {
            let below = Tile::full(tile.level - 1, tile.index * 256 + below);
            let bytes = read_hashes(source, below).await?;
            let root = bytes.as_deref().and_then(|bytes| perfect_root(hashes_from_bytes(below, bytes).ok()?));
            let Some(root) = root else { return Ok(None) };
            hashes.push(root);
        }
        Ok((perfect_root(&hashes) == expected).then_some(hashes))
    }
}
