//! What a decision costs, beside plain Cedar with the same rules and Casbin, in one run on one machine.
//!
//! `cargo bench -p fortissimo-access --bench decide`. Every call is timed by itself, so that percentiles are those of
//! calls. Lines that begin with `row` are for `cargo xtask bench`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on shall stop")]
#![expect(clippy::print_stdout, reason = "a measurement speaks on stdout")]

mod peers;
mod relations;

use std::hint::black_box;
use std::time::{Duration, Instant};

use access::{Access, Action, Bundle, Facts, Hold, PolicyFile, Relation, ResourceRef, Role, Subject, Tier};
use base::{Id, Timestamp, kind};

/// Policies about the action that is asked for.
const POLICIES: usize = 60;

fn main() {
    // `cargo test --all-targets` runs this too, without saying so; then it only has to compile.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("note Timing itself takes {}, which is part of every figure about decisions.", shown(timer()));
    in_process();
    runtime.block_on(peers::casbin());
    relations::measure(&runtime);
}

/// A line of the page.
fn row(what: &str, goal: &str, measured: &str) {
    println!("row|{what}|{goal}|{measured}");
}

/// Median and 99th percentile of single calls.
struct Times {
    p50: Duration,
    p99: Duration,
}

impl Times {
    /// As [`of`](Self::of), for calls that wait. All are within one task, as the pipeline's are.
    async fn of_async(samples: usize, mut call: impl AsyncFnMut(usize)) -> Self {
        for at in 0..samples / 10 + 1 {
            call(at).await;
        }
        let mut times = Vec::with_capacity(samples);
        for at in 0..samples {
            let start = Instant::now();
            call(at).await;
            times.push(start.elapsed());
        }
        Self::sorted(times)
    }

    /// Times `samples` calls, each by itself, after a tenth of them to warm up.
    fn of(samples: usize, mut call: impl FnMut(usize)) -> Self {
        (0..samples / 10 + 1).for_each(&mut call);
        let time = |at| {
            let start = Instant::now();
            call(at);
            start.elapsed()
        };
        Self::sorted((0..samples).map(time).collect())
    }

    fn sorted(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { p50: times[times.len() / 2], p99: times[times.len() * 99 / 100] }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {}, p99 {}", shown(self.p50), shown(self.p99))
    }
}

fn shown(time: Duration) -> String {
    let us = time.as_secs_f64() * 1e6;
    if us < 1_000.0 { format!("{us:.2} µs") } else { format!("{:.2} ms", us / 1e3) }
}

fn timer() -> Duration {
    Times::of(100_000, |at| {
        black_box(at);
    })
    .p50
}

fn numbered(number: i64) -> Id<kind::Account> {
    Id::from_bytes(u128::try_from(number).unwrap().to_be_bytes())
}

fn track(id: &str) -> ResourceRef {
    ResourceRef { kind: "track".into(), id: id.into() }
}

fn read() -> Action {
    "track:read".parse().unwrap()
}

/// Policies of an operator about reading tracks, so many that with the built-in ones there are sixty about it. Each looks
/// at facts of its own, so that none is another one written twice.
fn sixty() -> Access {
    let about = |bundle: &Bundle| bundle.policies_about(&read(), Some("track")).len();
    let builtin = about(&Bundle::builtin().unwrap());
    let facts = ["suspended", "verified", "has_role", "strong", "risky"];
    let relations = ["owner", "collaborator", "shared", "public", "token", "break_glass"];
    let roles = ["guest", "user", "premium_user", "moderator", "admin", "super_admin"];
    let text: String = (builtin..POLICIES)
        .map(|at| {
            let (fact, relation) = (facts[at % 5], relations[at / 5 % 6]);
            let (role, effect) = (roles[at % 6], if at % 3 == 0 { "permit" } else { "forbid" });
            format!(
                "@id(\"operator.{at}\") {effect} (principal, action == Fortissimo::Action::\"track:read\", resource is \
                 Fortissimo::Track) when {{ principal.{fact} && context.{relation} && principal.locked && \
                 !(principal in Fortissimo::Role::\"{role}\") }};\n"
            )
        })
        .collect();
    let bundle = Bundle::from_files(vec![PolicyFile { name: "operator.cedar".into(), text }]).unwrap();
    assert_eq!(about(&bundle), POLICIES);
    Access::new(bundle)
}

fn in_process() {
    let (access, read) = (sixty(), read());
    let ada = Subject::account(numbered(7), Role::User, Tier::Free);
    let denied = Facts::unrelated(track("1"), Timestamp::from_millis(1));
    let facts = denied.clone().with(Relation::Shared, Hold::Always);
    assert!(access.decide(&ada, &read, Some(&facts)).allowed);
    let warm = Times::of(200_000, |_| {
        black_box(access.decide(black_box(&ada), &read, Some(&facts)));
    });
    row(
        "Check in process, warm, 60 policies about the action",
        "p50 ≤ 12 µs, p99 ≤ 40 µs",
        &warm.to_string(),
    );
    assert!(!access.decide(&ada, &read, Some(&denied)).allowed);
    let deny = Times::of(100_000, |_| {
        black_box(access.decide(black_box(&ada), &read, Some(&denied)));
    });
    row("… a deny, with what was missing", "—", &deny.to_string());
    // A policy that names the object makes its verdict depend on more than is remembered: Cedar is asked each time.
    let text = "@id(\"named\") forbid (principal, action == Fortissimo::Action::\"track:read\", \
                resource == Fortissimo::Track::\"1\") when { context.token };";
    let mut files: Vec<PolicyFile> = access.bundle().files().to_vec();
    files.push(PolicyFile { name: "named.cedar".into(), text: text.into() });
    let asked = Access::new(Bundle::from_files(files).unwrap());
    assert!(asked.decide(&ada, &read, Some(&facts)).allowed);
    let cold = Times::of(20_000, |_| {
        black_box(asked.decide(black_box(&ada), &read, Some(&facts)));
    });
    row("… where Cedar must be asked each time, as a policy names the object", "—", &cold.to_string());
    let builtin = Access::builtin().unwrap();
    let once = Times::of(100_000, |_| {
        black_box(builtin.decide(black_box(&ada), &read, Some(&facts)));
    });
    row("… with the built-in policies alone", "—", &once.to_string());
    peers::plain_cedar(&access, warm.p50);
}
