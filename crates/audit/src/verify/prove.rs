//! The proof of one event from any source, so that a log's files alone are enough.

use base::{Id, kind as ids};
use crypto::log::{
    Checkpoint, Malformed, ProofFile, Tile, TileReader, inclusion_proof, leaf_hash, verify_inclusion,
};

use super::diagnose::lenient;
use super::tree::{MISSING_IN_A_ROW, read_bundle, read_hashes};
use super::{Source, VerifyError};
use crate::leaf::Leaf;

/// Which event is to be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// By its place in the log.
    Index(u64),
    /// By its id: the entries are read until it is found, the newest first.
    Id(Id<ids::Event>),
}

/// Why no proof can be given although the log has the event.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The source cannot be read.
    #[error(transparent)]
    Unreadable(#[from] VerifyError),
    /// What is there does not lead to the signed root.
    #[error("the log is damaged: {0}; `fortissimo audit verify` says where")]
    Damaged(String),
}

impl From<std::io::Error> for ProveError {
    fn from(error: std::io::Error) -> Self {
        Self::Unreadable(error.into())
    }
}

/// The proof of one event against the source's checkpoint, or the one that witnesses have cosigned; it brings the event's leaf as its extra data. `None` if
/// the log has no such event. Nobody's signature is checked here: that is for whoever is shown the proof.
///
/// # Errors
/// If the source cannot be read, or does not lead to its own root.
pub async fn prove(source: &mut impl Source, wanted: Wanted) -> Result<Option<ProofFile>, ProveError> {
    let damaged = |why: &str| ProveError::Damaged(why.to_owned());
    let Some(note) = source.read("checkpoint").await? else { return Ok(None) };
    let note = String::from_utf8(note).map_err(|_| damaged("the checkpoint is no text"))?;
    let head = Checkpoint::read_unverified(&note).map_err(|error| ProveError::Damaged(error.to_string()))?;
    let found = match wanted {
        Wanted::Index(index) => at(source, index, head.size).await?.map(|leaf| (index, leaf)),
        Wanted::Id(id) => search(source, id, head.size).await?,
    };
    let Some((index, leaf)) = found else { return Ok(None) };
    // Where witnesses have cosigned a tree with the event in it, the proof carries their word.
    let cosigned = source.read("cosigned").await?.and_then(|note| String::from_utf8(note).ok());
    let cosigned = cosigned.and_then(|note| Some((Checkpoint::read_unverified(&note).ok()?, note)));
    let (head, note) = match cosigned {
        Some((of, cosigned)) if of.origin == head.origin && index < of.size && of.size <= head.size => {
            (of, cosigned)
        }
        _ => (head, note),
    };
    let hashes = path(source, index, head.size).await?;
    if !verify_inclusion(&leaf_hash(&leaf), index, head.size, &hashes, &head.root) {
        return Err(damaged("the entry does not lead to the signed root"));
    }
    Ok(Some(ProofFile { extra: Some(leaf), index, hashes, checkpoint: note }))
}

async fn at(source: &mut impl Source, index: u64, size: u64) -> Result<Option<Vec<u8>>, ProveError> {
    let Some(tile) = Tile::in_tree(0, index / 256, size).filter(|_| index < size) else { return Ok(None) };
    let bundle = read_bundle(source, tile).await?;
    let within = usize::try_from(index % 256).unwrap_or(usize::MAX);
    let leaf = bundle.as_deref().and_then(|bytes| lenient(bytes).nth(within).map(<[u8]>::to_vec));
    leaf.map(Some).ok_or_else(|| ProveError::Damaged("the entry is missing".into()))
}

async fn search(
    source: &mut impl Source,
    id: Id<ids::Event>,
    size: u64,
) -> Result<Option<(u64, Vec<u8>)>, ProveError> {
    let text = id.to_string();
    let mut missing = 0;
    for index in (0..size.div_ceil(256)).rev() {
        let Some(tile) = Tile::in_tree(0, index, size) else { continue };
        let Some(bundle) = read_bundle(source, tile).await? else {
            missing += 1;
            if missing > MISSING_IN_A_ROW {
                return Err(ProveError::Damaged("most of its entries are missing".into()));
            }
            continue;
        };
        missing = 0;
        for (at, entry) in (index * 256..).zip(lenient(&bundle)) {
            // Parsed only where the text occurs at all.
            let near = entry.windows(text.len()).any(|window| window == text.as_bytes());
            if near && Leaf::decode(entry).is_ok_and(|leaf| leaf.id == id) {
                return Ok(Some((at, entry.to_vec())));
            }
        }
    }
    Ok(None)
}

/// The inclusion proof. It is computed without waiting; a tile that it lacks is read, then it is tried again.
async fn path(source: &mut impl Source, index: u64, size: u64) -> Result<Vec<[u8; 32]>, ProveError> {
    enum Lack {
        Tile(Tile),
        Malformed(Malformed),
    }
    impl From<Malformed> for Lack {
        fn from(error: Malformed) -> Self {
            Self::Malformed(error)
        }
    }
    let mut tiles: Vec<(Tile, Vec<u8>)> = Vec::new();
    loop {
        let mut reader = TileReader::new(size, |wanted: Tile| {
            let found = tiles.iter().find(|(tile, _)| *tile == wanted);
            found.map(|(_, bytes)| bytes.clone()).ok_or(Lack::Tile(wanted))
        });
        let computed = inclusion_proof(index, size, |node| reader.node(node));
        match computed {
            Ok(hashes) => return Ok(hashes.unwrap_or_default()),
            Err(Lack::Malformed(error)) => return Err(ProveError::Damaged(error.to_string())),
            Err(Lack::Tile(tile)) => {
                let bytes = read_hashes(source, tile).await?;
                let bytes =
                    bytes.ok_or_else(|| ProveError::Damaged(format!("{} is missing", tile.path())))?;
                tiles.push((tile, bytes));
            }
        }
    }
}
