//! The limiter: GCRA over all windows of a key, in a bounded table without allocation per decision.
//!
//! GCRA (the "generic cell rate algorithm", ITU-T I.371) keeps one number per window: the theoretical
//! arrival time, that is when the window would be fully replenished. A request is admitted if it would not push
//! that time further ahead than the window's burst. One decision may concern several keys (a person and an
//! endpoint); all windows of all keys are checked and then counted under the locks of their sets, so two
//! tasks can never both take the last place.

use std::net::IpAddr;

use base::Entropy;
use parking_lot::{Mutex, MutexGuard};

use crate::sip::sip13;

/// Windows per key.
pub const MAX_WINDOWS: usize = 4;
/// Keys per decision.
pub const MAX_DEMANDS: usize = 2;
const WAYS: usize = 8;

/// A limit of `limit` requests per `seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Requests; 0 refuses everything.
    pub limit: u32,
    /// Length.
    pub seconds: u32,
    interval_ns: u64,
    burst_ns: u64,
}

impl Window {
    /// `limit` requests per `seconds` (at least one second).
    pub const fn new(limit: u32, seconds: u32) -> Self {
        let seconds = if seconds == 0 { 1 } else { seconds };
        let interval_ns = seconds as u64 * 1_000_000_000 / if limit == 0 { 1 } else { limit as u64 };
        // More than one per nanosecond is no limit; what counts is that nothing is divided by zero.
        let interval_ns = if interval_ns == 0 { 1 } else { interval_ns };
        // Not the window's length: the rounded interval times the limit, so that a full window admits exactly
        // `limit` requests at one instant, never one more.
        Self { limit, seconds, interval_ns, burst_ns: interval_ns * limit as u64 }
    }
}

/// The windows of a key; all hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    list: [Window; MAX_WINDOWS],
    len: usize,
}

impl Windows {
    /// Up to [`MAX_WINDOWS`] windows, shortest first.
    ///
    /// # Panics
    /// If there are none or too many: the lists are written in this crate.
    pub const fn new(windows: &[Window]) -> Self {
        assert!(!windows.is_empty() && windows.len() <= MAX_WINDOWS, "one to four windows");
        let mut list = [Window::new(0, 1); MAX_WINDOWS];
        let mut at = 0;
        while at < windows.len() {
            list[at] = windows[at];
            at += 1;
        }
        Self { list, len: windows.len() }
    }

    /// The windows.
    pub fn as_slice(&self) -> &[Window] {
        &self.list[..self.len]
    }
}

/// A limited thing, hashed under the limiter's secret seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

/// One key with its windows.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// Whose.
    pub key: Key,
    /// What holds for it.
    pub windows: &'a Windows,
}

/// The outcome of a decision, and the window that says most about it: when admitted the one with the least left,
/// when refused the one that stays full for longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// All windows had room, and all were counted; or none was.
    pub admitted: bool,
    /// Index of the demand that the reading is from.
    pub demand: usize,
    /// Index of its window.
    pub window: usize,
    /// Requests left in this window now.
    pub remaining: u32,
    /// Nanoseconds until this window is fully replenished.
    pub reset_ns: u64,
    /// Nanoseconds until a request would be admitted; 0 if admitted.
    pub retry_ns: u64,
}

/// Eight keys and their arrival times. Keys stand together, so that a look-up touches one cache line.
struct Set {
    keys: [u64; WAYS],
    arrivals: [[u64; MAX_WINDOWS]; WAYS],
}

// One line of the processor's cache at least, so that neighbours do not fight.
#[repr(align(64))]
struct Slot(Mutex<Set>);

/// The table. Bounded: what does not fit pushes out the key that is nearest to fully replenished, which is the
/// one whose loss matters least.
pub struct Limiter {
    slots: Box<[Slot]>,
    seed: [u64; 2],
}

impl Limiter {
    /// A table for at least `keys` keys (rounded up to a power of two, at least 64), 48 bytes each.
    pub fn new(keys: u32, entropy: &Entropy) -> Self {
        let sets = (keys as usize).clamp(64, 1 << 26).next_power_of_two() / WAYS;
        let slot = |_| Slot(Mutex::new(Set { keys: [0; WAYS], arrivals: [[0; MAX_WINDOWS]; WAYS] }));
        let seed = [u64::from_le_bytes(entropy.bytes()), u64::from_le_bytes(entropy.bytes())];
        Self { slots: (0..sets).map(slot).collect(), seed }
    }

    /// Bytes that the table takes per key.
    pub const fn bytes_per_key() -> usize {
        size_of::<Slot>() / WAYS
    }

    /// A key. `space` keeps kinds of keys apart, `detail` keeps endpoints apart.
    pub fn key(&self, space: u8, id: &[u8; 16], detail: u32) -> Key {
        let [a, b] = [0, 8].map(|at| {
            let mut word = [0; 8];
            word.copy_from_slice(&id[at..at + 8]);
            u64::from_le_bytes(word)
        });
        let hash = sip13(self.seed, [a, b, u64::from(detail) << 8 | u64::from(space)]);
        // Zero marks an empty place.
        Key(hash.max(1))
    }

    /// Decides at `now_ns` (any steady or wall clock in nanoseconds; going back is survived). Keys of one decision
    /// must differ.
    ///
    /// # Panics
    /// If there are no demands or more than [`MAX_DEMANDS`]: the lists are written in this crate.
    pub fn decide(&self, now_ns: u64, demands: &[Demand<'_>]) -> Verdict {
        match demands {
            [one] => {
                let mut set = self.slots[self.slot(one.key)].0.lock();
                let verdict = check(&mut set, now_ns, one, 0);
                if verdict.admitted {
                    count(&mut set, now_ns, one, one.key);
                }
                verdict
            }
            [a, b] => {
                let (at, bt) = (self.slot(a.key), self.slot(b.key));
                if at == bt {
                    let mut set = self.slots[at].0.lock();
                    let verdict = worse(check(&mut set, now_ns, a, 0), check(&mut set, now_ns, b, 1));
                    if verdict.admitted {
                        count(&mut set, now_ns, a, b.key);
                        count(&mut set, now_ns, b, a.key);
                    }
                    verdict
                } else {
                    // Always in the order of the table, or two decisions could wait for each other.
                    let (mut first, mut second) = self.lock_two(at.min(bt), at.max(bt));
                    let (sa, sb) =
                        if at < bt { (&mut first, &mut second) } else { (&mut second, &mut first) };
                    let verdict = worse(check(sa, now_ns, a, 0), check(sb, now_ns, b, 1));
                    if verdict.admitted {
                        count(sa, now_ns, a, a.key);
                        count(sb, now_ns, b, b.key);
                    }
                    verdict
                }
            }
            _ => panic!("a decision concerns one or two keys"),
        }
    }

    fn slot(&self, key: Key) -> usize {
        // The table's length is a power of two.
        (key.0 >> 32) as usize & (self.slots.len() - 1)
    }

    fn lock_two(&self, low: usize, high: usize) -> (MutexGuard<'_, Set>, MutexGuard<'_, Set>) {
        (self.slots[low].0.lock(), self.slots[high].0.lock())
    }
}

/// Nanoseconds by which the clocks of two tasks may differ. What lies further ahead than a full burst and this can
/// only come from a clock that went back.
const SKEW_NS: u64 = 1_000_000_000;

/// The arrival time to go on from. After a clock went back it counts as a full window from now on, so that nobody is
/// locked out for the length of the jump.
fn standing(arrival: u64, now: u64, window: &Window) -> u64 {
    if arrival > now + window.burst_ns + SKEW_NS { now + window.burst_ns } else { arrival.max(now) }
}

fn check(set: &mut Set, now: u64, demand: &Demand<'_>, index: usize) -> Verdict {
    let known = set.keys.iter().position(|key| *key == demand.key.0);
    let mut worst: Option<Verdict> = None;
    for (at, window) in demand.windows.as_slice().iter().enumerate() {
        let arrival = known.map_or(now, |way| {
            let arrival = standing(set.arrivals[way][at], now, window);
            set.arrivals[way][at] = arrival;
            arrival
        });
        let ahead = arrival - now;
        let after = ahead + window.interval_ns;
        let admitted = after <= window.burst_ns;
        let verdict = Verdict {
            admitted,
            demand: index,
            window: at,
            remaining: if admitted {
                u32::try_from((window.burst_ns - after) / window.interval_ns).unwrap_or(u32::MAX)
            } else {
                0
            },
            reset_ns: if admitted { after } else { ahead },
            retry_ns: if admitted {
                0
            } else if window.limit == 0 {
                u64::from(window.seconds) * 1_000_000_000
            } else {
                after - window.burst_ns
            },
        };
        worst = Some(worst.map_or(verdict, |worst| worse(worst, verdict)));
    }
    worst.expect("a demand has at least one window")
}

fn worse(a: Verdict, b: Verdict) -> Verdict {
    let b_is_worse = match (a.admitted, b.admitted) {
        (true, false) => true,
        (false, true) => false,
        (false, false) => b.retry_ns > a.retry_ns,
        (true, true) => (b.remaining, u64::MAX - b.reset_ns) < (a.remaining, u64::MAX - a.reset_ns),
    };
    if b_is_worse { b } else { a }
}

/// Counts a request. `keep` is the other key of this decision, which must not be pushed out by this one.
fn count(set: &mut Set, now: u64, demand: &Demand<'_>, keep: Key) {
    let way = set.keys.iter().position(|key| *key == demand.key.0).unwrap_or_else(|| {
        let replenished_at = |way: &usize| {
            let arrivals = &set.arrivals[*way];
            if set.keys[*way] == 0 { 0 } else { arrivals.iter().copied().max().unwrap_or(0) }
        };
        let way = (0..WAYS)
            .filter(|way| set.keys[*way] != keep.0)
            .min_by_key(replenished_at)
            .expect("a set has more ways than a decision has keys");
        set.keys[way] = demand.key.0;
        set.arrivals[way] = [0; MAX_WINDOWS];
        way
    });
    for (at, window) in demand.windows.as_slice().iter().enumerate() {
        let arrival = &mut set.arrivals[way][at];
        *arrival = standing(*arrival, now, window) + window.interval_ns;
    }
}

/// The network of an address as 16 bytes: an IPv4 address, or an IPv6 /64, because one customer holds at least that
/// much of IPv6. IPv4 written as IPv6 is IPv4.
pub fn network(address: IpAddr) -> [u8; 16] {
    let mut id = [0; 16];
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            id[10] = 0xff;
            id[11] = 0xff;
            id[12..].copy_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => id[..8].copy_from_slice(&v6.octets()[..8]),
    }
    id
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
