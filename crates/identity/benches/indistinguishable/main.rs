//! Whether names that somebody has can be told from names that nobody has by the time that answers take.
//!
//! `cargo bench -p fortissimo-identity --bench indistinguishable`. Two thousand attempts of each kind in random order, in
//! process and without a network, whose noise would hide what a patient stranger averages out; with a cheap password
//! hash, so that no differences drown in its own. Everything else is the code that serves requests.
//!
//! First as strangers see it, with answers at multiples of a step of time; then the work alone, with the steps off, which
//! shows what they have to hide; then a neutral request right after one that may have left a mail to deliver.

#![expect(clippy::print_stdout, reason = "a measurement speaks on stdout")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

#[path = "../house/mod.rs"]
mod house;
mod stats;

use std::time::{Duration, Instant};

use base::{Entropy, Scope, Secret};
use crypto::password::Params;
use futures_util::{StreamExt as _, stream};
use identity::{Error, Identity, Registration, Settings};
use store::Job;
use tokio::task::JoinHandle;

use house::{House, PASSWORD, credentials, meta};

/// Attempts of each kind.
const SAMPLES: usize = 2_000;
/// Attempts before that, which fill caches.
const WARM_UP: usize = 100;
/// Names of each kind; each is tried again and again.
const NAMES: usize = 20;
/// How probable such ranks must be at least if the names are alike.
const ALIKE: &str = "p ≥ 0.01";
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
fn settings(answer_step: Duration) -> Settings {
    Settings {
        answer_step,
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
    println!(
        "note Known and unknown names are two samples of {SAMPLES} answers each, taken in pairs in random order, in process, \
         with a cheap hash and a database on a file system in memory. They count as alike if the ranks' test (Mann–Whitney, \
         two-sided) gives p ≥ 0.01; of nine such rows one falls below that by chance in about twelve runs. Answers come at steps of \
         50 ms; \"without the steps\" is the work behind them, as nobody sees it."
    );
    let step = Settings::default().answer_step;
    every_way("", TOGETHER, step).await;
    every_way(", the work without the steps", 1, Duration::ZERO).await;
    afterwards().await;
}

/// A house with accounts.
async fn house(step: Duration) -> House {
    let (house, _) = House::open(settings(step)).await;
    for number in 0..NAMES {
        house.account(&name(true, number)).await;
    }
    house
}

/// Every way to name an account without being somebody.
async fn every_way(how: &str, at_once: usize, step: Duration) {
    let house = house(step).await;
    let identity = &house.identity;
    attempts(&format!("names at sign-in{how}"), at_once, async |name| wrong_guess(identity, &name).await)
        .await;
    attempts(&format!("addresses at sign-in{how}"), at_once, async |name| {
        wrong_guess(identity, &format!("{name}@example.com")).await;
    })
    .await;
    attempts(&format!("addresses at \"forgot password\"{how}"), at_once, async |name| {
        forgot(identity, &name).await;
    })
    .await;
    attempts(&format!("addresses at registration{how}"), at_once, async |name| {
        register(identity, &name).await
    })
    .await;
}

/// A wrong guess at a name that nobody has, while what was asked for right before it may still be at work. Only that
/// guess is timed.
async fn afterwards() {
    let house = house(Duration::ZERO).await;
    let identity = &house.identity;
    let worker = worker(&house);
    for (what, register_first) in [("\"forgot password\"", false), ("registration", true)] {
        let mut times = Vec::new();
        for (known, number) in order() {
            let name = name(known, number);
            if register_first {
                register(identity, &name).await;
            } else {
                forgot(identity, &name).await;
            }
            let begun = Instant::now();
            wrong_guess(identity, "nobody-at-all").await;
            times.push((known, number, begun.elapsed()));
        }
        judge(&format!("addresses by the request after {what}, mails being delivered"), ALIKE, &times);
    }
    worker.abort();
}

/// Delivers mails as they come, until it is stopped.
fn worker(house: &House) -> JoinHandle<()> {
    let (identity, db, queue) = (house.identity.clone(), house.db.clone(), house.queue.clone());
    tokio::spawn(async move {
        loop {
            for claimed in queue.claim(1, Duration::from_secs(60)).await.unwrap() {
                let Job::DeliverMail { mail } = claimed.job else { continue };
                identity.deliver_mail(mail).await.unwrap();
                let mut tx = db.begin(Scope::System("bench")).await.unwrap();
                assert!(queue.complete(&mut tx, &claimed).await.unwrap());
                tx.commit().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
}

async fn wrong_guess(identity: &Identity, name: &str) {
    let refused = identity.sign_in(credentials(name, "a wrong guess of somebody"), &meta()).await;
    assert!(matches!(refused, Err(Error::WrongCredentials)), "{refused:?}");
}

async fn forgot(identity: &Identity, name: &str) {
    identity.forgot_password(&format!("{name}@example.com").parse().unwrap(), &meta()).await.unwrap();
}

async fn register(identity: &Identity, name: &str) {
    let wish = Registration {
        username: "somebody-new".parse().unwrap(),
        email: format!("{name}@example.com").parse().unwrap(),
        full_name: None,
        password: Secret::new(PASSWORD.to_owned()),
    };
    identity.register(wish, &meta()).await.unwrap();
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

async fn attempts(what: &str, at_once: usize, attempt: impl AsyncFn(String)) {
    let attempt = &attempt;
    let times: Vec<_> = stream::iter(order())
        .map(async |(known, number)| {
            let name = name(known, number);
            let begun = Instant::now();
            attempt(name).await;
            (known, number, begun.elapsed())
        })
        .buffered(at_once)
        .collect()
        .await;
    // Only a letter that somebody gets is queued: that is what the steps are for.
    let must = if at_once == 1 && what.contains("forgot") { "hidden by the steps" } else { ALIKE };
    judge(what, must, &times);
}

fn judge(what: &str, must: &str, times: &[(bool, usize, Duration)]) {
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
        "row|Known and unknown {what}, n = {} each, Mann–Whitney|{must}|p = {:.3} (z = {:.2}); Welch t = {:.2}, p = {:.3}; \
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
