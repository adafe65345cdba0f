//! Decisions of the limiter over the four windows of a tier. The goal is 4 million per second and core.

use base::Entropy;
use guard::limiter::{Demand, Limiter, Window, Windows};

fn main() {
    divan::main();
}

const TIER: Windows = Windows::new(&[
    Window::new(50, 1),
    Window::new(1_000, 60),
    Window::new(20_000, 3_600),
    Window::new(200_000, 86_400),
]);
const ENDPOINT: Windows = Windows::new(&[Window::new(1_000, 60)]);

/// One key, four windows; time moves, so that requests are admitted and counted.
#[divan::bench(counters = [divan::counter::ItemsCount::new(1u32)])]
fn one_key(bencher: divan::Bencher<'_, '_>) {
    let limiter = Limiter::new(65_536, &Entropy::seeded(1));
    let key = limiter.key(1, &[7; 16], 0);
    let mut now = 1_000_000_000;
    bencher.bench_local(move || {
        now += 1_000_000;
        limiter.decide(now, &[Demand { key, windows: &TIER }])
    });
}

/// As many keys as the table holds, four windows, hashing included.
#[divan::bench(counters = [divan::counter::ItemsCount::new(1u32)])]
fn many_keys(bencher: divan::Bencher<'_, '_>) {
    let limiter = Limiter::new(65_536, &Entropy::seeded(1));
    let mut now = 1_000_000_000;
    let mut id = [0; 16];
    let mut next = 0u32;
    bencher.bench_local(move || {
        now += 1_000;
        next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        id[..4].copy_from_slice(&(next >> 16).to_le_bytes());
        limiter.decide(now, &[Demand { key: limiter.key(1, &id, 0), windows: &TIER }])
    });
}

/// What a request really asks: its person's four windows and its endpoint's minute.
#[divan::bench(counters = [divan::counter::ItemsCount::new(1u32)])]
fn person_and_endpoint(bencher: divan::Bencher<'_, '_>) {
    let limiter = Limiter::new(65_536, &Entropy::seeded(1));
    let (person, endpoint) = (limiter.key(1, &[7; 16], 0), limiter.key(2, &[7; 16], 3));
    let mut now = 1_000_000_000;
    bencher.bench_local(move || {
        now += 1_000_000;
        limiter.decide(
            now,
            &[Demand { key: person, windows: &TIER }, Demand { key: endpoint, windows: &ENDPOINT }],
        )
    });
}
