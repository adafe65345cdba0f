//! How long to wait after a failure: longer every time, never the same for everybody.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use base::Entropy;

/// The longest wait that another side may ask for with `Retry-After`.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// The bounds of the waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

/// Waits that double, with jitter, without an end. [`Backoff::reset`] begins anew after a success.
pub(crate) struct Backoff {
    bounds: Bounds,
    entropy: Entropy,
    waits: ExponentialBackoff,
}

impl Backoff {
    pub(crate) fn new(bounds: Bounds, entropy: Entropy) -> Self {
        let waits = waits(bounds, &entropy);
        Self { bounds, entropy, waits }
    }

    /// The next wait; at least what the other side asked for.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let own = self.waits.next().unwrap_or(self.bounds.longest);
        // The library adds its jitter on top of the longest delay.
        let own = own.min(self.bounds.longest * 2);
        own.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }

    pub(crate) fn reset(&mut self) {
        self.waits = waits(self.bounds, &self.entropy);
    }
}

fn waits(bounds: Bounds, entropy: &Entropy) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(bounds.first)
        .with_max_delay(bounds.longest)
        .without_max_times()
        .with_jitter()
        .with_jitter_seed(u64::from_le_bytes(entropy.bytes()))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_stay_bounded_and_never_end() {
        let bounds = Bounds { first: Duration::from_millis(100), longest: Duration::from_secs(2) };
        let mut backoff = Backoff::new(bounds, Entropy::seeded(1));
        let waits: Vec<_> = (0..200).map(|_| backoff.next(None)).collect();
        assert!(waits.iter().all(|wait| (bounds.first..=bounds.longest * 2).contains(wait)), "{waits:?}");
        assert!(waits[199] >= bounds.longest);
        backoff.reset();
        assert!(backoff.next(None) <= bounds.first * 2);
        let mut other = Backoff::new(bounds, Entropy::seeded(2));
        assert_ne!(waits, (0..200).map(|_| other.next(None)).collect::<Vec<_>>());
    }

    #[test]
    fn the_other_side_may_ask_for_more_but_not_for_ever() {
        let bounds = Bounds { first: Duration::from_millis(100), longest: Duration::from_secs(2) };
        let mut backoff = Backoff::new(bounds, Entropy::seeded(1));
        assert_eq!(backoff.next(Some(Duration::from_secs(30))), Duration::from_secs(30));
        assert_eq!(backoff.next(Some(Duration::from_secs(1 << 40))), LONGEST_ASKED);
    }
}
