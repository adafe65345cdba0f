//! Which passwords are well known: an offline filter over published lists, compiled in.
//!
//! `data/common-passwords.md` says what it was made from and how. The filter may take a fresh password
//! for a known one (about one in 65,536), never the reverse.

use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use xorf::{BinaryFuse16, BinaryFuse16Ref, DmaSerializable, Filter, FilterRef};
use zeroize::Zeroizing;

use crate::mac::sha256;

/// Magic, then the filter's descriptor, then its fingerprints (little-endian).
static ARTEFACT: &Aligned<[u8]> = &Aligned(*include_bytes!("../../data/common-passwords.bin"));
const MAGIC: &[u8; 8] = b"FTCPBF16";
const HEADER: usize = MAGIC.len() + BinaryFuse16::DESCRIPTOR_LEN;

/// The fingerprints are read in place, which needs them to lie at even addresses.
#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);

const _: () = assert!(cfg!(target_endian = "little"), "the filter is stored and read as little-endian words");

static FILTER: LazyLock<BinaryFuse16Ref<'static>> = LazyLock::new(|| {
    let (header, fingerprints) =
        ARTEFACT.0.split_at_checked(HEADER).expect("the compiled-in filter has a header");
    let descriptor = header.strip_prefix(MAGIC).expect("the compiled-in filter was written by `build`");
    BinaryFuse16Ref::from_dma(descriptor, fingerprints)
});

/// Whether `text` is in the list, whatever its case.
pub fn contains(text: &str) -> bool {
    FILTER.contains(&fingerprint(&fold(text)))
}

/// The form in which entries are listed: NFC, lower case.
pub(super) fn fold(text: &str) -> Zeroizing<String> {
    // Lowering and composing grow a text to at most three times its bytes; reserving that much keeps
    // growing vectors from leaving copies behind.
    let mut out = Zeroizing::new(String::with_capacity(3 * text.len()));
    out.extend(text.chars().flat_map(char::to_lowercase).nfc());
    out
}

/// Makes the artefact from a list; entries are folded, doubles are dropped. Returns it with the number of
/// entries.
///
/// # Errors
/// If no filter can be built, which does not happen for a set of this kind.
pub fn build<'a>(passwords: impl Iterator<Item = &'a str>) -> Result<(Vec<u8>, usize), &'static str> {
    let mut keys: Vec<u64> = passwords.map(|p| fingerprint(&fold(p))).collect();
    keys.sort_unstable();
    keys.dedup();
    let filter = BinaryFuse16::try_from(&keys)?;
    let mut out = MAGIC.to_vec();
    out.resize(HEADER, 0);
    filter.dma_copy_descriptor_to(&mut out[MAGIC.len()..]);
    out.extend_from_slice(filter.dma_fingerprints());
    Ok((out, keys.len()))
}

/// The first eight bytes of SHA-256, so that an entry cannot be made to collide.
fn fingerprint(folded: &str) -> u64 {
    let digest = sha256(folded.as_bytes());
    u64::from_le_bytes(digest[..8].try_into().expect("eight bytes were cut"))
}
