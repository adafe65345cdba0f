use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;

const NS: u64 = 1_000_000_000;

fn limiter(keys: u32) -> Limiter {
    Limiter::new(keys, &Entropy::seeded(11))
}

fn free() -> Windows {
    Windows::new(&[
        Window::new(5, 1),
        Window::new(60, 60),
        Window::new(1_000, 3_600),
        Window::new(10_000, 86_400),
    ])
}

#[test]
fn a_key_costs_at_most_96_bytes() {
    assert!(Limiter::bytes_per_key() <= 96, "{}", Limiter::bytes_per_key());
}

#[test]
fn every_window_holds() {
    let (limiter, windows) = (limiter(64), free());
    let key = limiter.key(1, &[1; 16], 0);
    let mut now = NS * 1_000;
    let ask = |now| limiter.decide(now, &[Demand { key, windows: &windows }]);
    for left in (0..5).rev() {
        let verdict = ask(now);
        assert!(verdict.admitted);
        assert_eq!((verdict.window, verdict.remaining), (0, left));
    }
    let refused = ask(now);
    assert!(!refused.admitted);
    assert_eq!((refused.window, refused.retry_ns), (0, NS / 5));
    // One second's pace cannot be kept up for a minute: 60 of the burst, and one per second meanwhile.
    let mut admitted = 5;
    for _ in 0..600 {
        now += NS / 10;
        admitted += u32::from(ask(now).admitted);
    }
    assert_eq!(admitted, 60 + 60);
}

#[test]
fn limits_that_do_not_divide_the_window_are_exact() {
    for limit in [1, 3, 7, 11, 999, 10_007] {
        let limiter = limiter(64);
        let windows = Windows::new(&[Window::new(limit, 60)]);
        let key = limiter.key(1, &[1; 16], 0);
        let admitted =
            (0..limit + 50).filter(|_| limiter.decide(9 * NS, &[Demand { key, windows: &windows }]).admitted);
        assert_eq!(admitted.count(), limit as usize);
    }
}

#[test]
fn absurd_limits_and_times_do_no_harm() {
    let limiter = limiter(64);
    let windows =
        Windows::new(&[Window::new(u32::MAX, 1), Window::new(1, 0), Window::new(u32::MAX, u32::MAX)]);
    let key = limiter.key(1, &[1; 16], 0);
    assert!(limiter.decide(0, &[Demand { key, windows: &windows }]).admitted);
    assert!(limiter.decide(u64::MAX / 2, &[Demand { key, windows: &windows }]).admitted);
}

#[test]
fn a_limit_of_zero_refuses_all() {
    let limiter = limiter(64);
    let windows = Windows::new(&[Window::new(0, 60)]);
    let verdict = limiter.decide(NS, &[Demand { key: limiter.key(1, &[1; 16], 0), windows: &windows }]);
    assert!(!verdict.admitted);
    assert_eq!(verdict.retry_ns, 60 * NS);
}

#[test]
fn two_keys_are_counted_together_or_not_at_all() {
    let limiter = limiter(64);
    let (wide, narrow) = (Windows::new(&[Window::new(100, 60)]), Windows::new(&[Window::new(2, 60)]));
    for detail in 0..40 {
        // Many pairs, so that some share a set.
        let (a, b) = (limiter.key(1, &[9; 16], detail), limiter.key(2, &[9; 16], detail));
        let pair = [Demand { key: a, windows: &wide }, Demand { key: b, windows: &narrow }];
        assert!(limiter.decide(NS, &pair).admitted);
        assert!(limiter.decide(NS, &pair).admitted);
        let refused = limiter.decide(NS, &pair);
        assert_eq!((refused.admitted, refused.demand), (false, 1));
        let left = limiter.decide(NS, &[Demand { key: a, windows: &wide }]).remaining;
        assert_eq!(left, 97, "the refused request must not count in the other key");
    }
}

#[test]
fn a_clock_that_goes_back_locks_nobody_out_for_long() {
    let limiter = limiter(64);
    let windows = Windows::new(&[Window::new(5, 1)]);
    let key = limiter.key(1, &[1; 16], 0);
    let ask = |now| limiter.decide(now, &[Demand { key, windows: &windows }]).admitted;
    assert!(ask(1_000_000 * NS));
    assert!(!ask(1_000 * NS), "counts as a full window");
    assert!(ask(1_001 * NS));
}

#[test]
fn a_full_table_forgets_those_who_used_least() {
    let limiter = limiter(64);
    let windows = Windows::new(&[Window::new(5, 60)]);
    let victim = limiter.key(1, &[0xAA; 16], 0);
    let ask = |key| limiter.decide(NS, &[Demand { key, windows: &windows }]).admitted;
    while ask(victim) {}
    // A flood of other keys, each seen once, pushes out one another but not the key that is at its limit.
    for flood in 0..10_000u32 {
        ask(limiter.key(2, &[1; 16], flood));
    }
    assert!(!ask(victim));
}

#[test]
fn sixty_four_tasks_on_one_key_never_get_one_too_many() {
    let limiter = Arc::new(limiter(1024));
    let windows = Windows::new(&[Window::new(10_007, 1), Window::new(50_000, 60)]);
    let other = Windows::new(&[Window::new(20_000, 60)]);
    let admitted = Arc::new(AtomicU32::new(0));
    std::thread::scope(|scope| {
        for task in 0..64u32 {
            let (limiter, admitted) = (Arc::clone(&limiter), Arc::clone(&admitted));
            let (windows, other) = (&windows, &other);
            scope.spawn(move || {
                let key = limiter.key(1, &[7; 16], 0);
                // Half of the tasks bring a second key along, in both orders of the table.
                let second = limiter.key(2, &[7; 16], task % 8);
                for _ in 0..1_000 {
                    let one = Demand { key, windows };
                    let verdict = if task % 2 == 0 {
                        limiter.decide(NS, &[one])
                    } else {
                        limiter.decide(NS, &[one, Demand { key: second, windows: other }])
                    };
                    admitted.fetch_add(u32::from(verdict.admitted), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(admitted.load(Ordering::Relaxed), 10_007);
}

#[test]
fn networks_are_one_address_of_v4_and_a_64_of_v6() {
    let network = |text: &str| network(text.parse().unwrap());
    assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.1"));
    assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
    assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
}

/// The simplest thing that could be right: a bucket per window that leaks one request per interval, in exact fractions.
struct Model {
    windows: Vec<(u128, u128, u128)>, // level × limit in nanoseconds, limit, window in nanoseconds
    at: u64,
}

impl Model {
    fn ask(&mut self, now: u64) -> bool {
        let passed = u128::from(now - self.at);
        self.at = now;
        for (level, limit, _) in &mut self.windows {
            *level = level.saturating_sub(passed * *limit);
        }
        let room = self.windows.iter().all(|(level, limit, length)| level + length <= limit * length);
        if room {
            for (level, _, length) in &mut self.windows {
                *level += *length;
            }
        }
        room
    }
}

proptest! {
    /// Limits that divide the window's nanoseconds agree with the model exactly, at every step.
    #[test]
    fn agrees_with_a_leaking_bucket(
        limits in proptest::collection::vec(prop::sample::select(vec![1u32, 2, 4, 5, 8, 10, 20, 50, 100]), 1..=4),
        steps in proptest::collection::vec(0u64..400, 1..300),
    ) {
        let lengths = [1u32, 4, 20, 100];
        let list: Vec<Window> = limits.iter().zip(lengths).map(|(limit, length)| Window::new(*limit, length)).collect();
        let windows = Windows::new(&list);
        let mut model = Model {
            windows: limits.iter().zip(lengths).map(|(l, s)| (0, u128::from(*l), u128::from(s) * u128::from(NS))).collect(),
            at: NS,
        };
        let limiter = limiter(64);
        let key = limiter.key(1, &[3; 16], 0);
        let mut now = NS;
        for step in steps {
            now += step * 1_000_000;
            let verdict = limiter.decide(now, &[Demand { key, windows: &windows }]);
            prop_assert_eq!(verdict.admitted, model.ask(now));
            if !verdict.admitted {
                // The promise of Retry-After: not a nanosecond earlier, and then for certain.
                let early = limiter.decide(now + verdict.retry_ns - 1, &[Demand { key, windows: &windows }]);
                prop_assert!(!early.admitted);
            }
        }
    }
}
