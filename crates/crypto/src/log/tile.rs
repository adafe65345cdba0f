//! Tiles: 256 hashes of one level in one file (c2sp.org/tlog-tiles), and bundles of 256 entries.

use std::fmt;

use super::hash::{Hash, perfect_root};
use super::proof::Node;
use super::{Malformed, parse_decimal};

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// The longest entry: bundles write lengths in two bytes.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;
const TILE_HEIGHT: u8 = 8;

/// One tile of a tree: its level (0 are the leaf hashes, each further one the roots of full tiles below),
/// its number within the level, and how many hashes it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// 0 for leaf hashes.
    pub level: u8,
    /// Counts from 0 within the level.
    pub index: u64,
    /// Hashes: 1 to 255 in a partial tile, 256 in a full one.
    pub width: u16,
}

/// What lies at a path below the log's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TileKind {
    /// Hashes.
    Hashes,
    /// Entries.
    Entries,
}

/// A parsed path, for example `tile/0/x001/234` or `tile/entries/000.p/7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TilePath {
    /// Hashes or entries.
    pub kind: TileKind,
    /// Which; for entries the level is 0.
    pub tile: Tile,
}

impl Tile {
    /// A full tile.
    pub const fn full(level: u8, index: u64) -> Self {
        Self { level, index, width: 256 }
    }

    /// Whether it has all 256 hashes.
    pub const fn is_full(&self) -> bool {
        self.width == 256
    }

    /// The tile with this level and number in a tree of `size` leaves; `None` if it has none of its hashes
    /// yet.
    pub fn in_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0);
        let first = index.checked_mul(TILE_WIDTH)?;
        let width = hashes.checked_sub(first)?.min(TILE_WIDTH);
        let width = u16::try_from(width).ok().filter(|width| *width > 0)?;
        Some(Self { level, index, width })
    }

    /// The partial tiles of a tree of `size` leaves, level 0 first: at most eight.
    pub fn partial_in_tree(size: u64) -> impl Iterator<Item = Self> {
        (0..8).filter_map(move |level| {
            let hashes = size >> (u32::from(level) * u32::from(TILE_HEIGHT));
            let width = u16::try_from(hashes % TILE_WIDTH).ok().filter(|width| *width > 0)?;
            Some(Self { level, index: hashes / TILE_WIDTH, width })
        })
    }

    /// All tiles that a tree of `new` leaves has and one of `old` leaves has not, level by level. Their
    /// number is about `(new - old) / 255`.
    pub fn grown(old: u64, new: u64) -> impl Iterator<Item = Self> {
        (0..8_u8).flat_map(move |level| {
            let shift = u32::from(level) * u32::from(TILE_HEIGHT);
            let (before, after) = (old >> shift, new >> shift);
            let range = if after > before { before / TILE_WIDTH..after.div_ceil(TILE_WIDTH) } else { 0..0 };
            range.filter_map(move |index| Self::in_tree(level, index, new))
        })
    }

    /// The path below the log's prefix: `tile/<level>/<number>[.p/<width>]`.
    pub fn path(&self) -> String {
        format!("tile/{}/{}", self.level, Number(self))
    }

    /// The path of the bundle with this tile's number and width: `tile/entries/<number>[.p/<width>]`.
    pub fn entries_path(&self) -> String {
        format!("tile/entries/{}", Number(self))
    }

    /// Bytes of the tile's file.
    pub const fn byte_len(&self) -> usize {
        self.width as usize * 32
    }
}

/// `x001/x234/067` and, for a partial tile, `.p/<width>`.
struct Number<'a>(&'a Tile);

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups = [0; 7];
        let (mut rest, mut count) = (self.0.index, 0);
        loop {
            groups[count] = rest % 1000;
            (rest, count) = (rest / 1000, count + 1);
            if rest == 0 {
                break;
            }
        }
        for group in groups[1..count].iter().rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", groups[0])?;
        if !self.0.is_full() {
            write!(f, ".p/{}", self.0.width)?;
        }
        Ok(())
    }
}

impl TilePath {
    /// Parses a path below the log's prefix. One tile has one spelling: anything else is refused.
    ///
    /// # Errors
    /// If it is not the path of a tile or a bundle.
    pub fn parse(path: &str) -> Result<Self, Malformed> {
        let malformed = Malformed::new("tile path", "it is not tile/<level>/<number>[.p/<width>]");
        // Longer than any path that we write: 2^63 takes seven groups.
        if path.len() > 64 {
            return Err(malformed);
        }
        let rest = path.strip_prefix("tile/").ok_or(malformed)?;
        let (level, number) = rest.split_once('/').ok_or(malformed)?;
        let (kind, level) = match level {
            "entries" => (TileKind::Entries, 0),
            digits => {
                let level = parse_decimal(digits).filter(|level| *level <= 63).ok_or(malformed)?;
                (TileKind::Hashes, u8::try_from(level).map_err(|_| malformed)?)
            }
        };
        let (number, width) = match number.split_once(".p/") {
            None => (number, 256),
            Some((number, width)) => {
                let width = parse_decimal(width).filter(|width| (1..256).contains(width)).ok_or(malformed)?;
                (number, u16::try_from(width).map_err(|_| malformed)?)
            }
        };
        let mut index: u64 = 0;
        for group in number.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(malformed);
            }
            let value: u64 = digits.parse().map_err(|_| malformed)?;
            index = index.checked_mul(1000).and_then(|i| i.checked_add(value)).ok_or(malformed)?;
        }
        let tile = Tile { level, index, width };
        let parsed = Self { kind, tile };
        // Too many groups, or an `x` that is missing or too much.
        if parsed.path() != path { Err(malformed) } else { Ok(parsed) }
    }

    /// The path that this was parsed from.
    pub fn path(&self) -> String {
        match self.kind {
            TileKind::Hashes => self.tile.path(),
            TileKind::Entries => self.tile.entries_path(),
        }
    }
}

/// A tile's hashes as its file has them.
pub fn hashes_to_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.as_flattened().to_vec()
}

/// The hashes of a tile's file.
///
/// # Errors
/// If it does not have exactly as many as the tile is wide.
pub fn hashes_from_bytes(tile: Tile, bytes: &[u8]) -> Result<&[Hash], Malformed> {
    let (hashes, rest) = bytes.as_chunks();
    if !rest.is_empty() || hashes.len() != usize::from(tile.width) {
        return Err(Malformed::new("tile", "it does not have as many hashes as it is wide"));
    }
    Ok(hashes)
}

/// Entries as a bundle: each with its length in two bytes, big-endian.
///
/// # Errors
/// If an entry is longer than [`MAX_ENTRY_BYTES`], or there are more than 256.
pub fn encode_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, Malformed> {
    let mut bytes = Vec::new();
    for (count, entry) in entries.into_iter().enumerate() {
        if count >= 256 {
            return Err(Malformed::new("entry bundle", "it has more than 256 entries"));
        }
        let length = u16::try_from(entry.len())
            .map_err(|_| Malformed::new("entry bundle", "an entry is longer than 65,535 bytes"))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The entries of a bundle.
///
/// # Errors
/// If there are not exactly `width`, or the last one is cut.
pub fn decode_bundle(width: u16, bytes: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut entries = Vec::with_capacity(usize::from(width.min(256)));
    let mut rest = bytes;
    while entries.len() < usize::from(width) {
        let (length, after) = rest
            .split_first_chunk()
            .ok_or(Malformed::new("entry bundle", "it has fewer entries than it is wide"))?;
        let (entry, after) = after
            .split_at_checked(usize::from(u16::from_be_bytes(*length)))
            .ok_or(Malformed::new("entry bundle", "it ends within an entry"))?;
        entries.push(entry);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(Malformed::new("entry bundle", "it has more entries than it is wide"));
    }
    Ok(entries)
}

/// Reads nodes of a tree of fixed size from its tiles, and remembers the tiles last read: a proof needs
/// at most one tile of each level and side.
pub struct TileReader<F> {
    size: u64,
    read: F,
    recent: Vec<(Tile, Vec<Hash>)>,
}

/// Tiles remembered: eight levels, two sides.
const RECENT: usize = 16;

impl<F, E> TileReader<F>
where
    F: FnMut(Tile) -> Result<Vec<u8>, E>,
    E: From<Malformed>,
{
    /// Over the tiles of a tree of `size` leaves; `read` gives a tile's bytes. The answers are not
    /// authenticated: whoever uses them compares the root that follows from them.
    pub const fn new(size: u64, read: F) -> Self {
        Self { size, read, recent: Vec::new() }
    }

    /// The hash of one node.
    ///
    /// # Errors
    /// What `read` says, or [`Malformed`] for a tile of another length.
    pub fn node(&mut self, node: Node) -> Result<Hash, E> {
        const OUTSIDE: Malformed = Malformed::new("proof", "it asks for a node outside the tree");
        let within = node.level % TILE_HEIGHT;
        let first = node.index.checked_mul(1 << within).ok_or(OUTSIDE)?;
        let tile = Tile::in_tree(node.level / TILE_HEIGHT, first / TILE_WIDTH, self.size).ok_or(OUTSIDE)?;
        let start = usize::try_from(first % TILE_WIDTH).map_err(|_| OUTSIDE)?;
        let hashes = self.tile(tile)?;
        let below = hashes.get(start..start + (1 << within)).ok_or(OUTSIDE)?;
        perfect_root(below).ok_or(OUTSIDE.into())
    }

    fn tile(&mut self, tile: Tile) -> Result<&[Hash], E> {
        let known = self.recent.iter().position(|(read, _)| *read == tile);
        let at = match known {
            Some(at) => at,
            None => {
                let bytes = (self.read)(tile)?;
                let hashes = hashes_from_bytes(tile, &bytes)?.to_vec();
                if self.recent.len() == RECENT {
                    self.recent.remove(0);
                }
                self.recent.push((tile, hashes));
                self.recent.len() - 1
            }
        };
        Ok(&self.recent[at].1)
    }
}
