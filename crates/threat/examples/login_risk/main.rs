//! Measures the login-risk engine on a set of sign-ins, beside a baseline after Freeman et al. (NDSS 2016), in one run.
//!
//! `cargo run --release -p fortissimo-threat --example login_risk -- [FILE.jsonl.gz] [--json OUT]`
//!
//! Rules of the set: records come in time order, a scorer sees earlier ones only, learns from the legitimate ones alone
//! and never reads label or model. Reported is how often legitimate people would be asked again at the threshold that
//! catches 98 % of the attacks; a first sign-in of an account, of which neither method can say anything, is asked in
//! both.

mod freeman;
mod measure;
mod record;

use std::path::PathBuf;
use std::process::ExitCode;

use measure::{Share, Table};
use record::Login;
use threat::login::{Engine, History, Outcome, Population};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut file, mut json) = (None, None);
    while let Some(argument) = arguments.next() {
        if argument == "--json" { json = arguments.next() } else { file = Some(PathBuf::from(argument)) }
    }
    let file = file.unwrap_or_else(|| {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/login/login_dev.jsonl.gz"))
    });
    let logins = match record::read(&file) {
        Ok(logins) => logins,
        Err(error) => {
            say(&format!("login-risk: {}: {error}", file.display()));
            return ExitCode::FAILURE;
        }
    };
    let baseline = freeman::score_all(&logins);
    let engine = Engine::default();
    let (learned, outcomes) = score_all(&logins, &engine);
    let table = Table::of(&logins, &baseline, &learned);
    say(&table.to_string());
    say(&defaults(&logins, &outcomes));
    if let Some(path) = json
        && let Err(error) = std::fs::write(&path, table.to_json())
    {
        say(&format!("login-risk: {path}: {error}"));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs the engine over the records in order. A first sign-in scores infinitely high.
fn score_all(logins: &[Login], engine: &Engine) -> (Vec<f32>, Vec<Outcome>) {
    let mut population = Population::default();
    let mut histories = std::collections::HashMap::<u32, History>::new();
    logins
        .iter()
        .map(|login| {
            let history = histories.entry(login.user).or_default();
            let sighting = login.sighting();
            let assessment = engine.assess(&sighting, history, &population);
            if login.is_legit() {
                engine.learn(&sighting, history, &mut population);
            }
            (assessment.learned.unwrap_or(f32::INFINITY), assessment.outcome)
        })
        .unzip()
}

/// What the engine as it is shipped does, fixed signals included.
fn defaults(logins: &[Login], outcomes: &[Outcome]) -> String {
    let mut lines =
        "Default settings, fixed signals included (first sign-ins are allowed with a mail):\n".to_owned();
    for kind in ["legit", "naive", "vpn", "targeted", "very"] {
        let mut counts = [0_u32; 4];
        for (login, outcome) in logins.iter().zip(outcomes) {
            if login.kind() == kind {
                counts[*outcome as usize] += 1;
            }
        }
        let all = counts.iter().sum::<u32>();
        let [allow, notify, step_up, deny] = counts.map(|count| Share::of(count, all));
        lines.push_str(&format!("  {kind:9} allow {allow} mail {notify} step up {step_up} deny {deny}\n"));
    }
    lines
}

#[expect(clippy::print_stdout, reason = "a program whose result is its output")]
fn say(text: &str) {
    println!("{text}");
}
