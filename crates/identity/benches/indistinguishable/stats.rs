//! Whether two samples come from one distribution: Welch's t, Mann–Whitney's U, Kolmogorov–Smirnov's D. The samples are
//! large, so each statistic's limiting distribution gives its probability.

/// A statistic, and how probable one at least as far out is if the samples are alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    pub(crate) statistic: f64,
    pub(crate) p: f64,
}

/// Welch's t: are the means alike?
pub(crate) fn welch(a: &[f64], b: &[f64]) -> Verdict {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let error = (variance(a, mean_a) / a.len() as f64 + variance(b, mean_b) / b.len() as f64).sqrt();
    let statistic = if error > 0.0 { (mean_a - mean_b) / error } else { 0.0 };
    Verdict { statistic, p: two_sided(statistic) }
}

/// Mann–Whitney's U, as a standard normal: is one sample more often above the other?
pub(crate) fn mann_whitney(a: &[f64], b: &[f64]) -> Verdict {
    let mut all: Vec<(f64, bool)> =
        a.iter().map(|value| (*value, true)).chain(b.iter().map(|value| (*value, false))).collect();
    all.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (n_a, n_b) = (a.len() as f64, b.len() as f64);
    let n = n_a + n_b;
    let (mut ranks_of_a, mut ties, mut at) = (0.0, 0.0, 0);
    while at < all.len() {
        let end = at + all[at..].iter().take_while(|one| one.0 == all[at].0).count();
        let (count, rank) = ((end - at) as f64, (at + 1 + end) as f64 / 2.0);
        ranks_of_a += rank * all[at..end].iter().filter(|one| one.1).count() as f64;
        ties += count.powi(3) - count;
        at = end;
    }
    let u = ranks_of_a - n_a * (n_a + 1.0) / 2.0;
    let spread = (n_a * n_b / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)))).sqrt();
    let statistic = if spread > 0.0 { (u - n_a * n_b / 2.0) / spread } else { 0.0 };
    Verdict { statistic, p: two_sided(statistic) }
}

/// Kolmogorov–Smirnov's D: do the distributions differ anywhere?
pub(crate) fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> Verdict {
    let sorted = |sample: &[f64]| {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted
    };
    let (a, b) = (sorted(a), sorted(b));
    let (mut i, mut j, mut statistic) = (0, 0, 0.0_f64);
    while i < a.len() && j < b.len() {
        let value = a[i].min(b[j]);
        while i < a.len() && a[i] <= value {
            i += 1;
        }
        while j < b.len() && b[j] <= value {
            j += 1;
        }
        statistic = statistic.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    let n = (a.len() * b.len()) as f64 / (a.len() + b.len()) as f64;
    let lambda = (n.sqrt() + 0.12 + 0.11 / n.sqrt()) * statistic;
    let series: f64 = (1..=100_i32)
        .map(|k| if k % 2 == 1 { 1.0 } else { -1.0 } * (-2.0 * f64::from(k * k) * lambda * lambda).exp())
        .sum();
    // The series does not converge where there is nothing to see.
    Verdict { statistic, p: if lambda < 0.2 { 1.0 } else { (2.0 * series).clamp(0.0, 1.0) } }
}

pub(crate) fn mean(sample: &[f64]) -> f64 {
    sample.iter().sum::<f64>() / sample.len() as f64
}

fn variance(sample: &[f64], mean: f64) -> f64 {
    sample.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (sample.len() as f64 - 1.0)
}

pub(crate) fn median(sample: &[f64]) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The probability of a standard normal beyond ±z.
fn two_sided(z: f64) -> f64 {
    erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// The complementary error function for x ≥ 0, to seven digits (Abramowitz and Stegun 7.1.26 has these in closed form).
fn erfc(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let polynomial = t
        * (0.254_829_592
            + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    (polynomial * (-x * x).exp()).clamp(0.0, 1.0)
}

/// Known values; a bench has no tests, so it looks before it measures.
pub(crate) fn check() {
    let near = |found: f64, expected: f64| (found - expected).abs() < 1e-6;
    assert!(near(two_sided(1.959_964), 0.05) && near(two_sided(0.0), 1.0), "the normal distribution");
    // Counted by hand: U = 32 of 100 with eight ties, t = -2 / sqrt(2 · 9.1667 / 10), D = 2 of 10.
    let (a, b): (Vec<f64>, Vec<f64>) = ((1..=10).map(f64::from).collect(), (3..=12).map(f64::from).collect());
    assert!((mann_whitney(&a, &b).statistic + 1.364_8).abs() < 0.001, "{:?}", mann_whitney(&a, &b));
    assert!((welch(&a, &b).statistic + 1.477_1).abs() < 0.001, "{:?}", welch(&a, &b));
    assert!((kolmogorov_smirnov(&a, &b).statistic - 0.2).abs() < 1e-9, "{:?}", kolmogorov_smirnov(&a, &b));
    let shifted: Vec<f64> = (0..2_000).map(|n| f64::from(n % 100) + 10.0).collect();
    let alike: Vec<f64> = (0..2_000).map(|n| f64::from(n % 100)).collect();
    assert!(mann_whitney(&alike, &alike).p > 0.99 && mann_whitney(&alike, &shifted).p < 1e-6, "ranks");
    assert!(
        kolmogorov_smirnov(&alike, &alike).p > 0.99 && kolmogorov_smirnov(&alike, &shifted).p < 1e-6,
        "D"
    );
}
