//! How fast the trail is, beside a bare `fdatasync` and a bare rusqlite loop in the same run:
//! `cargo bench -p fortissimo-audit --bench log -- [--events N] [--seconds N]`. Lines that begin with `row` are for
//! `cargo xtask bench`.
#![expect(clippy::print_stdout, reason = "a measurement speaks on stdout")]

use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audit::{Audit, Event, Record, RequestInfo};
use base::{Clock, Entropy, Id, Scope, kind};
use crypto::log::{Edge, Frontier, leaf_hash};
use keys::{FileRoot, Keys, RootKey, Subject};
use rustix::time::{ClockId, clock_gettime};
use store::{Db, DbConfig};

const CLIENTS: usize = 64;
const SCOPE: Scope = Scope::System("bench");
/// What an event weighs in the bare loop: leaf, body and columns of a typical one.
const EVENT_BYTES: usize = 1_000;

struct House {
    db: Db,
    clock: Clock,
    entropy: Entropy,
    keys: Keys,
    audit: Audit,
    account: Id<kind::Account>,
    folder: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        // Not the temporary folder, which may be in memory: the flush to disk is what is measured.
        let folder = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let (clock, entropy) = (Clock::system(), Entropy::system());
        let url = format!("sqlite:{}", folder.path().join("bench.db").display());
        let db = Db::connect(&DbConfig::new(url.parse().expect("an address"))).await.expect("a database");
        db.migrate().await.expect("migrations");
        let root =
            FileRoot::open_or_create(&folder.path().join("root.key"), None, &entropy).expect("a root key");
        let keys = Keys::open(&db, &RootKey::File(root), clock.clone(), entropy.clone()).await.expect("keys");
        let settings = audit::LogSettings {
            origin: "bench.example/log".into(),
            folder: Some(folder.path().join("log")),
            anchor: Some(folder.path().join("anchor/checkpoint")),
            ..audit::LogSettings::default()
        };
        let audit = Audit::start_with(db.clone(), keys.clone(), clock.clone(), entropy.clone(), settings);
        let account = Id::new(&clock, &entropy);
        let mut tx = db.begin(SCOPE).await.expect("a transaction");
        keys.create_subject(&mut tx, Subject::Account(account)).await.expect("a key");
        tx.commit().await.expect("stored");
        Self { db, clock, entropy, keys, audit, account, folder }
    }

    fn record(&self) -> Record {
        let request = RequestInfo {
            address: Some("203.0.113.77".parse().expect("an address")),
            agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".into()),
            method: Some("POST".into()),
            route: Some(Arc::from("/auth/login")),
            path: Some("/auth/login".into()),
            ..RequestInfo::new(Id::new(&self.clock, &self.entropy))
        };
        let session = Id::new(&self.clock, &self.entropy);
        Record::new(self.clock.now(), Event::SignedIn { session, method: "password" })
            .by_account(self.account)
            .during(request)
    }

    async fn append(&self) -> Id<kind::Event> {
        let mut tx = self.db.begin(SCOPE).await.expect("a transaction");
        let id = self.audit.append(&mut tx, &self.record()).await.expect("appended");
        tx.commit().await.expect("stored");
        id
    }

    async fn proof_latency(&self) -> Duration {
        let id = self.append().await;
        let begun = Instant::now();
        while self.audit.proof(id).await.expect("the log answers").is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        begun.elapsed()
    }
}

fn main() {
    // `cargo test --all-targets` runs this too, without saying so; then it only has to compile.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let argument = |name: &str, default: u64| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
        arguments.next().and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let (events, seconds) = (argument("--events", 300_000), argument("--seconds", 8));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let house = Arc::new(House::new().await);
        let raw = raw_fdatasync(house.folder.path());
        let bare = bare_rusqlite(house.folder.path());
        durable(&house, Duration::from_secs(seconds), raw, bare).await;
        let mut flushes = flushes_beside_load(house.folder.path());
        row(
            "A bare flush of 180 KiB while all cores are busy, 99th percentile (median)",
            "—",
            format!("{} ({})", ms(percentile(&mut flushes, 0.99)), ms(percentile(&mut flushes, 0.5))),
        );
        proofs(&house).await;
        append_cpu(&house).await;
        leaves();
        memory(&house, events).await;
        let _ = &house.keys;
        house.audit.shutdown().await;
        let size = house.audit.tree().borrow().size;
        println!(
            "note the log has {size} events at the end, the database {} MiB",
            size_of_folder(house.folder.path()) >> 20
        );
    });
}

fn row(what: &str, goal: &str, measured: String) {
    println!("row|{what}|{goal}|{measured}");
}

/// Writes of 4 KiB that are each flushed, per second.
fn raw_fdatasync(folder: &Path) -> f64 {
    let mut file = std::fs::File::create(folder.join("raw")).expect("a file");
    let (begun, mut count) = (Instant::now(), 0_u32);
    while begun.elapsed() < Duration::from_secs(2) {
        file.write_all(&[7; 4_096]).expect("written");
        file.sync_data().expect("flushed");
        count += 1;
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}

/// What the disk and the scheduler make of a commit's size on a machine without an idle core: writes over old bytes, each
/// flushed, beside a spinning thread for every core.
fn flushes_beside_load(folder: &Path) -> Vec<Duration> {
    const COMMIT: usize = 180 * 1024;
    const FILE: u64 = 64 * 1024 * 1024;
    let mut file = std::fs::File::create(folder.join("flushed")).expect("a file");
    file.write_all(&vec![7; usize::try_from(FILE).expect("small")]).expect("written");
    file.sync_all().expect("flushed");
    let (stop, block) = (AtomicBool::new(false), vec![8; COMMIT]);
    let mut taken = Vec::new();
    std::thread::scope(|scope| {
        let _stops = Stops(&stop);
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let begun = Instant::now();
        for number in 0_u64.. {
            if begun.elapsed() >= Duration::from_secs(4) {
                break;
            }
            let at = number * COMMIT as u64 % (FILE - COMMIT as u64);
            let flush = Instant::now();
            file.write_all_at(&block, at).expect("written");
            file.sync_data().expect("flushed");
            taken.push(flush.elapsed());
        }
    });
    taken
}

/// Ends the spinning, however the measurement ends.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Rows per second of a bare rusqlite loop with 64 rows to a COMMIT and no index: what grouping can give at best.
fn bare_rusqlite(folder: &Path) -> f64 {
    let conn = rusqlite::Connection::open(folder.join("bare.db")).expect("a database");
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (seq INTEGER PRIMARY KEY, body BLOB)",
    )
    .expect("a table");
    let body = vec![7_u8; EVENT_BYTES];
    let (begun, mut count) = (Instant::now(), 0_u32);
    while begun.elapsed() < Duration::from_secs(2) {
        conn.execute_batch("BEGIN IMMEDIATE").expect("begun");
        for _ in 0..CLIENTS {
            conn.prepare_cached("INSERT INTO t (body) VALUES (?1)")
                .expect("prepared")
                .execute([&body])
                .expect("a row");
            count += 1;
        }
        conn.execute_batch("COMMIT").expect("stored");
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}

/// Clients that each wait until their event is durable, then come with the next.
async fn durable(house: &Arc<House>, span: Duration, raw: f64, bare: f64) {
    let stop = Arc::new(AtomicBool::new(false));
    let client = |_| {
        let (house, stop) = (Arc::clone(house), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                house.audit.record_durable(house.record()).await.expect("durable");
                taken.push(begun.elapsed());
            }
            taken
        })
    };
    let before = house.audit.tree().borrow().size;
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    let begun = Instant::now();
    let mut latencies = Vec::new();
    while begun.elapsed() < span {
        tokio::time::sleep(Duration::from_millis(200)).await;
        latencies.push(house.proof_latency().await);
    }
    let span = begun.elapsed().as_secs_f64();
    let sequenced = (house.audit.tree().borrow().size - before) as f64;
    stop.store(true, Ordering::Relaxed);
    let mut taken = Vec::new();
    for client in clients {
        taken.extend(client.await.expect("the client ends well"));
    }
    let begun = Instant::now();
    house.audit.settled().await.unwrap_or_else(|error| println!("note not settled: {error}"));
    let drained = begun.elapsed();
    let rate = taken.len() as f64 / span;
    row(
        "Durable audit events per second, 64 waiting clients, sequencer on",
        "≥ 40,000",
        format!("{rate:.0}"),
    );
    row(
        "… in ratio to 64 rows per COMMIT by bare rusqlite without sealing, tree and indexes",
        "—",
        format!("{:.2} of {bare:.0}/s", rate / bare),
    );
    row("… in ratio to bare 4 KiB fdatasync", "—", format!("{:.1} × {raw:.0}/s", rate / raw));
    row(
        "… 99th percentile (median)",
        "≤ 5 ms",
        format!("{} ({})", ms(percentile(&mut taken, 0.99)), ms(percentile(&mut taken, 0.5))),
    );
    row(
        "… sequenced per second meanwhile",
        "keeps up",
        format!("{:.0}; the rest {} later", sequenced / span, ms(drained)),
    );
    row("Event to proof under that load, worst", "≤ 500 ms", ms(percentile(&mut latencies, 1.0)));
}

async fn proofs(house: &House) {
    let mut latencies = Vec::new();
    for _ in 0..50 {
        latencies.push(house.proof_latency().await);
    }
    let (median, worst) = (percentile(&mut latencies, 0.5), percentile(&mut latencies, 1.0));
    row("Event to proof at rest, worst (median)", "≤ 500 ms", format!("{} ({})", ms(worst), ms(median)));
}

/// What `append` costs its request: this thread's CPU time, sealing and insert included.
async fn append_cpu(house: &House) {
    const EVENTS: u32 = 2_000;
    let mut spent = Duration::ZERO;
    for _ in 0..EVENTS / 100 {
        let mut tx = house.db.begin(SCOPE).await.expect("a transaction");
        let records: Vec<Record> = (0..100).map(|_| house.record()).collect();
        // On SQLite nothing in here waits, so the thread stays the same.
        let begun = cpu();
        for record in &records {
            house.audit.append(&mut tx, record).await.expect("appended");
        }
        spent += cpu().saturating_sub(begun);
        tx.commit().await.expect("stored");
    }
    let each = spent / EVENTS;
    row("CPU of append in a request", "≤ 30 µs", format!("{:.1} µs", each.as_secs_f64() * 1e6));
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The tree alone: hashing leaves of a usual length and folding them.
fn leaves() {
    const LEAVES: usize = 1_000_000;
    let leaf = vec![b'x'; 480];
    let begun = Instant::now();
    let mut tree = Frontier::new();
    for _ in 0..LEAVES {
        tree.push(leaf_hash(&leaf));
    }
    let rate = LEAVES as f64 / begun.elapsed().as_secs_f64();
    let mut edge = Edge::new();
    edge.append(&[leaf_hash(&leaf)], |_, _| {});
    assert_ne!(tree.root(), edge.root());
    row("Leaves of 480 bytes hashed into a tree, per second and core", "≥ 1,000,000", format!("{rate:.0}"));
}

/// Resident memory while many events go through.
async fn memory(house: &Arc<House>, events: u64) {
    let before = resident();
    let mut most = before;
    let begun = Instant::now();
    for _ in 0..events / 50_000 {
        let tasks: Vec<_> = (0..CLIENTS as u64)
            .map(|_| {
                let house = Arc::clone(house);
                tokio::spawn(async move {
                    for _ in 0..50_000 / CLIENTS {
                        house.audit.record_durable(house.record()).await.expect("durable");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("the task ends well");
        }
        most = most.max(resident());
    }
    let rate = events as f64 / begun.elapsed().as_secs_f64();
    row(
        &format!("Resident memory before and at most during {events} more events"),
        "flat",
        format!("{:.1} MB, {:.1} MB ({rate:.0} events/s)", before as f64 / 1e3, most as f64 / 1e3),
    );
}

/// Kilobytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

fn size_of_folder(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum()
}

fn percentile(of: &mut [Duration], part: f64) -> Duration {
    of.sort_unstable();
    let last = of.len().saturating_sub(1);
    of.get((last as f64 * part).round() as usize).copied().unwrap_or_default()
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
