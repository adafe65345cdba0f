//! Long-lived keys in memory that is locked against swapping, left out of core dumps and wiped on drop.
//!
//! All keys of the process share one arena of mapped pages, because locking works by the page: one
//! allocation per key would lock (and leak into) whatever else lies on that page. This is the only module
//! of the product with unsafe code.

use std::io;
use std::ptr::NonNull;

use base::Entropy;
use parking_lot::Mutex;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use zeroize::Zeroize;

const KEY: usize = 32;
/// Bytes mapped and locked at once: 512 keys. A multiple of every page size in use (4, 16 KiB).
const BLOCK: usize = 16 * 1024;

/// A 256-bit key that lives in the locked arena. It cannot be cloned, printed or compared; share it in an
/// `Arc`. Its bytes are wiped when it is dropped.
pub struct LockedKey {
    slot: NonNull<[u8; KEY]>,
}

impl LockedKey {
    /// A fresh random key.
    pub fn generate(entropy: &Entropy) -> Self {
        Self::filled_by(|bytes| entropy.fill(bytes))
    }

    /// Takes a key over; `source` is wiped.
    pub fn from_bytes(source: &mut [u8; KEY]) -> Self {
        let key = Self::filled_by(|bytes| bytes.copy_from_slice(source));
        source.zeroize();
        key
    }

    /// Lets `fill` write the key in place, so that it never lies anywhere else.
    pub fn filled_by(fill: impl FnOnce(&mut [u8; KEY])) -> Self {
        let mut key = Self { slot: ARENA.lock().take() };
        fill(key.bytes_mut());
        key
    }

    /// The key's bytes, for the shortest scope that works.
    pub fn expose(&self) -> &[u8; KEY] {
        #[expect(unsafe_code, reason = "the slot is mapped for ever and is ours alone until drop")]
        unsafe {
            self.slot.as_ref()
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8; KEY] {
        #[expect(unsafe_code, reason = "the slot is mapped for ever and is ours alone until drop")]
        unsafe {
            self.slot.as_mut()
        }
    }
}

impl Drop for LockedKey {
    fn drop(&mut self) {
        self.bytes_mut().zeroize();
        ARENA.lock().give_back(self.slot);
    }
}

#[expect(
    unsafe_code,
    reason = "a key owns its slot like a Box owns its heap cell; the raw pointer hides that"
)]
unsafe impl Send for LockedKey {}
#[expect(unsafe_code, reason = "shared access only reads; writing needs &mut")]
unsafe impl Sync for LockedKey {}

/// What the operating system granted to the arena so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryStatus {
    /// Bytes that cannot be swapped out.
    pub locked_bytes: usize,
    /// Bytes that the system refused to lock (`RLIMIT_MEMLOCK`); keys in them may reach the swap.
    pub unlocked_bytes: usize,
    /// Whether every block is left out of core dumps.
    pub excluded_from_dumps: bool,
}

impl MemoryStatus {
    /// Whether all key memory is locked and left out of dumps.
    pub const fn is_protected(&self) -> bool {
        self.unlocked_bytes == 0 && self.excluded_from_dumps
    }
}

/// Tells how well keys are protected, for `fortissimo doctor`. Maps the first block if no key exists yet,
/// so that the answer is never vacuous.
pub fn status() -> MemoryStatus {
    let mut arena = ARENA.lock();
    if arena.free.is_empty() {
        arena.grow();
    }
    arena.status
}

/// Forbids core dumps of this process and reading its memory through `/proc` or ptrace by other
/// processes of the same user (`RLIMIT_CORE` 0, `PR_SET_DUMPABLE` 0).
///
/// # Errors
/// If the operating system refuses.
pub fn forbid_core_dumps() -> io::Result<()> {
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

static ARENA: Mutex<Arena> = Mutex::new(Arena {
    free: Vec::new(),
    status: MemoryStatus { locked_bytes: 0, unlocked_bytes: 0, excluded_from_dumps: true },
});

/// The free slots. Blocks are never given back: the number of keys alive at once is bounded by the caches
/// above, and a slot that stays mapped cannot dangle.
struct Arena {
    free: Vec<NonNull<[u8; KEY]>>,
    status: MemoryStatus,
}

#[expect(
    unsafe_code,
    reason = "the arena hands each slot to one owner; the pointers are to process-wide memory"
)]
unsafe impl Send for Arena {}

impl Arena {
    fn take(&mut self) -> NonNull<[u8; KEY]> {
        if self.free.is_empty() {
            self.grow();
        }
        self.free.pop().expect("growing the arena adds free slots")
    }

    fn give_back(&mut self, slot: NonNull<[u8; KEY]>) {
        self.free.push(slot);
    }

    fn grow(&mut self) {
        #[expect(unsafe_code, reason = "an anonymous private mapping at an address that the system chooses")]
        let start = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                BLOCK,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }
        .expect("the operating system maps 16 KiB");
        #[expect(unsafe_code, reason = "the range is exactly the mapping made above")]
        let (locked, excluded) = unsafe {
            (
                rustix::mm::mlock(start, BLOCK).is_ok(),
                rustix::mm::madvise(start, BLOCK, Advice::LinuxDontDump).is_ok(),
            )
        };
        *(if locked { &mut self.status.locked_bytes } else { &mut self.status.unlocked_bytes }) += BLOCK;
        self.status.excluded_from_dumps &= excluded;
        let first = NonNull::new(start.cast::<[u8; KEY]>()).expect("a mapping is never at address zero");
        #[expect(unsafe_code, reason = "every offset stays inside the mapping, which is aligned to a page")]
        self.free.extend((0..BLOCK / KEY).map(|index| unsafe { first.add(index) }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_a_key_over_wipes_its_source_and_dropping_wipes_the_slot() {
        let mut source = [0xA5; KEY];
        let key = LockedKey::from_bytes(&mut source);
        assert_eq!(source, [0; KEY]);
        assert_eq!(key.expose(), &[0xA5; KEY]);
        // Another test's thread may take the slot before we look at it; then drop another key.
        for attempt in 0.. {
            let key = LockedKey::filled_by(|bytes| bytes.fill(0xA5));
            let slot = key.slot;
            drop(key);
            let arena = ARENA.lock();
            if arena.free.contains(&slot) {
                #[expect(
                    unsafe_code,
                    reason = "the slot is mapped for ever and, while we hold the lock, free"
                )]
                let left = unsafe { *slot.as_ref() };
                assert_eq!(left, [0; KEY]);
                break;
            }
            assert!(attempt < 1000, "a dropped key's slot is free again");
        }
    }

    #[test]
    fn many_keys_from_many_threads_keep_their_own_bytes() {
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                scope.spawn(move || {
                    let keys: Vec<(u8, LockedKey)> = (0..700_u32)
                        .map(|i| {
                            let byte = thread.wrapping_mul(61).wrapping_add(i.to_le_bytes()[0]);
                            (byte, LockedKey::filled_by(|bytes| bytes.fill(byte)))
                        })
                        .collect();
                    assert!(keys.iter().all(|(byte, key)| key.expose() == &[*byte; KEY]));
                });
            }
        });
        let status = status();
        assert!(status.locked_bytes + status.unlocked_bytes >= 700 * KEY);
    }

    #[test]
    fn fresh_keys_differ() {
        let entropy = Entropy::system();
        assert_ne!(LockedKey::generate(&entropy).expose(), LockedKey::generate(&entropy).expose());
    }
}
