//! Whether names that somebody has can be told from names that nobody has by the time that answers take.
//!
//! `cargo bench -p fortissimo-identity --bench indistinguishable`. Two thousand attempts of each kind in random order, in
//! process and without a network, whose noise would hide what a patient stranger averages out; with a cheap password
//! hash, so that no differences drown in its own. Everything else is the code that serves requests.

#![expect(clippy::print_stdout, reason = "a measurement speaks on stdout")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

#[path = "../house/mod.rs"]
mod house;
mod stats;

use std::time::{Duration, Instant};

use base::{Entropy, Secret};
use crypto::password::Params;
use futures_util::{StreamExt as _, stream};
use identity::{Error, Registration, Settings};

use house::{House, PASSWORD, credentials, meta};

/// Attempts of each kind.
const SAMPLES: usize = 2_000;
/// Attempts before that, which fill caches.
const WARM_UP: usize = 100;
/// Names of each kind; each is tried again and again.
const NAMES: usize = 20;
/// Answers that wait for their time wait together.
const TOGETHER: usize = 16;

fn main() {
    stats::check();
    // `cargo test` runs this too, and has no use for figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(measure());
}

/// Limits that stop nobody: a stopped attempt takes another way, for known and unknown names alike.
fn settings() -> Settings {
    Settings {
        hash_params: Params::new(2_048, 1, 1).unwrap(),
        hash_threads: 1,
        attempts_before_delay: 1_000_000,
        attempts_hard_stop: 1_000_000_000,
        network_attempts_before_delay: 1_000_000,
        spray_names: 61,
        mails_per_hour: 1_000_000,
        pending_per_address: 1_000_000,
        ..Settings::default()
    }
}

async fn measure() {
    let (house, _) = House::open(settings()).await;
    for number in 0..NAMES {
        house.account(&name(true, number)).await;
    }
    let identity = &house.identity;
    one_by_one("names at sign-in", async |name| {
        let refused = identity.sign_in(credentials(&name, "a wrong guess of somebody"), &meta()).await;
        assert!(matches!(refused, Err(Error::WrongCredentials)), "{refused:?}");
    })
    .await;
    one_by_one("addresses at sign-in", async |name| {
        let name = format!("{name}@example.com");
        let refused = identity.sign_in(credentials(&name, "a wrong guess of somebody"), &meta()).await;
        assert!(matches!(refused, Err(Error::WrongCredentials)), "{refused:?}");
    })
    .await;
    together("addresses at \"forgot password\"", async |name| {
        identity.forgot_password(&format!("{name}@example.com").parse().unwrap(), &meta()).await.unwrap();
    })
    .await;
    one_by_one("addresses at registration", async |name| {
        let wish = Registration {
            username: "somebody-new".parse().unwrap(),
            email: format!("{name}@example.com").parse().unwrap(),
            full_name: None,
            password: Secret::new(PASSWORD.to_owned()),
        };
        identity.register(wish, &meta()).await.unwrap();
    })
    .await;
}

/// The n-th name that somebody has, or nobody; equally long.
fn name(known: bool, number: usize) -> String {
    format!("{}{:02}", if known { "known" } else { "other" }, number % NAMES)
}

/// Which attempts come when: pairs of one of each kind, in random order within the pair.
fn order() -> Vec<(bool, usize)> {
    let entropy = Entropy::seeded(20_261_123);
    (0..WARM_UP + SAMPLES)
        .flat_map(|number| {
            let known_first = entropy.bytes::<1>()[0].is_multiple_of(2);
            [(known_first, number), (!known_first, number)]
        })
        .collect()
}

async fn one_by_one(what: &str, attempt: impl AsyncFn(String)) {
    let mut times = Vec::new();
    for (known, number) in order() {
        let name = name(known, number);
        let begun = Instant::now();
        attempt(name).await;
        times.push((known, number, begun.elapsed()));
    }
    judge(what, &times);
}

async fn together(what: &str, attempt: impl AsyncFn(String)) {
    let attempt = &attempt;
    let times: Vec<_> = stream::iter(order())
        .map(async |(known, number)| {
            let name = name(known, number);
            let begun = Instant::now();
            attempt(name).await;
            (known, number, begun.elapsed())
        })
        .buffered(TOGETHER)
        .collect()
        .await;
    judge(what, &times);
}

fn judge(what: &str, times: &[(bool, usize, Duration)]) {
    let of = |wanted: bool| -> Vec<f64> {
        let right = times.iter().filter(|(known, number, _)| *known == wanted && *number >= WARM_UP);
        right.map(|(.., time)| time.as_secs_f64() * 1e6).collect()
    };
    let (known, unknown) = (of(true), of(false));
    let (ranks, means, shapes) = (
        stats::mann_whitney(&known, &unknown),
        stats::welch(&known, &unknown),
        stats::kolmogorov_smirnov(&known, &unknown),
    );
    println!(
        "row|Known and unknown {what}, n = {} each, Mann–Whitney|p ≥ 0.01|p = {:.3} (z = {:.2}); Welch t = {:.2}, p = {:.3}; \
         Kolmogorov–Smirnov D = {:.3}, p = {:.3}; medians {:.0} and {:.0} µs",
        known.len(),
        ranks.p,
        ranks.statistic,
        means.statistic,
        means.p,
        shapes.statistic,
        shapes.p,
        stats::median(&known),
        stats::median(&unknown)
    );
}
