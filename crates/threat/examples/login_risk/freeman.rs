//! The baseline: one likelihood ratio per feature group, multiplied (Freeman et al., NDSS 2016, equation 5), with the
//! paper's back-off along each group's hierarchy (address → provider → country; user agent → program and system →
//! device class) by linear interpolation, and round-trip time as a third group as Wiefling et al. (2022) added.
//! The prior of the person is `1/their share of sign-ins` as in the paper (attackers choose people evenly).

use std::collections::HashMap;

use crate::record::Login;

/// Groups of features from fine to coarse.
const GROUPS: usize = 3;

fn features(login: &Login) -> [Vec<String>; GROUPS] {
    let program = login.browser.split(' ').next().unwrap_or_default();
    [
        vec![login.ip.to_string(), format!("as{}", login.asn), format!("c{}", login.country)],
        vec![login.ua.clone(), format!("{program} on {}", login.os), format!("d{}", login.device)],
        vec![format!("rtt{}", login.rtt_ms / 10)],
    ]
}

#[derive(Default)]
struct Person {
    logins: f64,
    counts: HashMap<String, f64>,
}

/// The logarithm of the ratio for each record; infinity for first sign-ins.
pub(crate) fn score_all(logins: &[Login]) -> Vec<f32> {
    let mut everybody = HashMap::<String, f64>::new();
    let mut total = 0.0;
    let mut people = HashMap::<u32, Person>::new();
    let mut scores = Vec::with_capacity(logins.len());
    for login in logins {
        let features = features(login);
        let person = people.entry(login.user).or_default();
        scores.push(if person.logins == 0.0 {
            f32::INFINITY
        } else {
            let mut score = -person.logins.ln();
            for group in &features {
                let count = |feature: &String| everybody.get(feature).copied().unwrap_or(0.0);
                // Everybody's probability of the finest value, interpolated from coarse to fine.
                let mut all = 1e-3;
                for feature in group.iter().rev() {
                    all = (count(feature) + all) / (total + 1.0);
                }
                // The person's: what they never showed gets the mass that its coarser value has.
                let mut own = all;
                for feature in group.iter().rev() {
                    let seen = person.counts.get(feature).copied().unwrap_or(0.0);
                    let given = (all / ((count(feature) + 1.0) / (total + 1.0))).min(1.0);
                    own = (seen * given + own) / (person.logins + 1.0);
                }
                score += (all / own).ln();
            }
            #[expect(clippy::cast_possible_truncation, reason = "a score needs no double precision")]
            let score = score as f32;
            score
        });
        if login.is_legit() {
            total += 1.0;
            person.logins += 1.0;
            for feature in features.into_iter().flatten() {
                *person.counts.entry(feature.clone()).or_default() += 1.0;
                *everybody.entry(feature).or_default() += 1.0;
            }
        }
    }
    scores
}
