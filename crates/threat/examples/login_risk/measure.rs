//! Thresholds, rates, and how much they depend on whom they were chosen with.

use std::fmt;

use crate::record::Login;

/// The share of attacks to catch.
const CATCH: f64 = 0.98;
const KINDS: [&str; 4] = ["naive", "vpn", "targeted", "very"];
/// Folds by person.
const FOLDS: u32 = 5;

/// A share of something, printed as per cent.
#[derive(Clone, Copy, Debug, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Share(f64);

impl Share {
    pub(crate) fn of(part: u32, all: u32) -> Self {
        Self(f64::from(part) / f64::from(all.max(1)))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:5.1} %", 100.0 * self.0)
    }
}

/// One method's rates.
#[derive(Debug, serde::Serialize)]
struct Rates {
    threshold: f32,
    /// Legitimate sign-ins asked again where 98 % of all attacks are caught.
    asked_again: Share,
    /// The same without first sign-ins, of which nothing can be known.
    asked_again_known: Share,
    /// Per kind: asked again where 98 % of this kind are caught, and how much of it the common threshold catches.
    kinds: Vec<(Share, Share)>,
    /// Per fold of people: asked again among them at the threshold that all the others give, and attacks caught.
    folds: Vec<(Share, Share)>,
}

/// Both methods.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Table {
    logins: usize,
    baseline: Rates,
    learned: Rates,
    ratio: f64,
    ratio_folds: f64,
}

fn fold(login: &Login) -> u32 {
    login.user.wrapping_mul(2_654_435_761) >> 8 & 0xffff
}

/// The highest threshold that catches the wanted share of these scores.
fn threshold(mut scores: Vec<f32>) -> f32 {
    scores.sort_by(f32::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into the scores"
    )]
    let missed = (scores.len() as f64 * (1.0 - CATCH)).floor() as usize;
    scores.get(missed).copied().unwrap_or(f32::INFINITY)
}

fn rates(logins: &[Login], scores: &[f32]) -> Rates {
    let all = || logins.iter().zip(scores);
    let caught = |at: f32, which: &dyn Fn(&Login) -> bool| {
        let (mut part, mut sum) = (0, 0);
        for (login, score) in all() {
            if which(login) {
                sum += 1;
                part += u32::from(*score >= at);
            }
        }
        Share::of(part, sum)
    };
    let of = |which: &dyn Fn(&Login) -> bool| -> Vec<f32> {
        all().filter(|(login, _)| which(login)).map(|(_, score)| *score).collect()
    };
    let common = threshold(of(&|login| !login.is_legit()));
    let known: Vec<f32> =
        all().filter(|(l, score)| l.is_legit() && score.is_finite()).map(|(_, score)| *score).collect();
    let asked_known = known.iter().filter(|score| **score >= common).count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Rates {
        threshold: common,
        asked_again: caught(common, &Login::is_legit),
        asked_again_known: Share::of(count(asked_known), count(known.len())),
        kinds: KINDS
            .iter()
            .map(|kind| {
                let own = threshold(of(&|login| login.kind() == *kind));
                (caught(own, &Login::is_legit), caught(common, &|login| login.kind() == *kind))
            })
            .collect(),
        folds: (0..FOLDS)
            .map(|number| {
                let inside = move |login: &Login| fold(login) % FOLDS == number;
                let others = threshold(of(&|login| !login.is_legit() && !inside(login)));
                (
                    caught(others, &|login| login.is_legit() && inside(login)),
                    caught(others, &|login| !login.is_legit() && inside(login)),
                )
            })
            .collect(),
    }
}

impl Table {
    pub(crate) fn of(logins: &[Login], baseline: &[f32], learned: &[f32]) -> Self {
        let (baseline, learned) = (rates(logins, baseline), rates(logins, learned));
        let mean =
            |rates: &Rates| rates.folds.iter().map(|(asked, _)| asked.0).sum::<f64>() / f64::from(FOLDS);
        Self {
            logins: logins.len(),
            ratio: learned.asked_again.0 / baseline.asked_again.0,
            ratio_folds: mean(&learned) / mean(&baseline),
            baseline,
            learned,
        }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} log-ins; share of legitimate ones asked again at 98 % of attacks caught",
            self.logins
        )?;
        writeln!(f, "{:44}{:>10}{:>10}", "", "baseline", "engine")?;
        let mut line = |what: &str, a: Share, b: Share| writeln!(f, "{what:44}{a:>10}{b:>10}");
        let (a, b) = (&self.baseline, &self.learned);
        line("all kinds together", a.asked_again, b.asked_again)?;
        line("  without first sign-ins", a.asked_again_known, b.asked_again_known)?;
        for (at, kind) in KINDS.iter().enumerate() {
            line(&format!("only {kind}"), a.kinds[at].0, b.kinds[at].0)?;
            line("  caught at the common threshold", a.kinds[at].1, b.kinds[at].1)?;
        }
        for number in 0..a.folds.len() {
            line(
                &format!("people of fold {number}, threshold of the others"),
                a.folds[number].0,
                b.folds[number].0,
            )?;
            line("  attacks caught", a.folds[number].1, b.folds[number].1)?;
        }
        writeln!(f, "thresholds: {:.3} {:.3}", a.threshold, b.threshold)?;
        writeln!(f, "ratio: {:.3} (folds: {:.3})", self.ratio, self.ratio_folds)
    }
}
