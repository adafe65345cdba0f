//! The fixed signals of AUTH-10 and their weights.

use base::Timestamp;

use super::history::{History, Past};
use super::reason::{Part, Reason, ReasonCode};
use super::{Place, Sighting, travel};

/// Sign-ins that must be known before an hour can be unusual: somebody who comes at any hour fails the test with fewer.
const HOURS_NEEDED: usize = 20;
/// Hours before and after that count as "around this hour".
const AROUND_MINUTES: i64 = 120;
/// Failures of the account within the hour that count.
const ACCOUNT_FAILURES: u32 = 3;
/// Failures from the network within the hour that count; more, since a studio's people share one address.
const NETWORK_FAILURES: u32 = 20;

/// What each fixed signal counts. They add up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// A city (or country) that was never seen with this person.
    pub new_place: f32,
    /// Neither cookie nor user agent were seen with this person.
    pub new_device: f32,
    /// An hour (by the sun where the person is) around which they never signed in.
    pub unusual_hour: f32,
    /// A network that hides people, a data centre, or one known for attacks.
    pub bad_network: f32,
    /// Too far for the time, with another device and no anonymising network on either side.
    pub impossible_travel: f32,
    /// Three failures of the account, or twenty from the network, within the hour.
    pub recent_failures: f32,
    /// The password is known to attackers.
    pub breached_password: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            new_place: 0.3,
            new_device: 0.4,
            unusual_hour: 0.2,
            bad_network: 0.5,
            impossible_travel: 0.5,
            recent_failures: 0.3,
            breached_password: 0.5,
        }
    }
}

/// The signals that are present, each with its weight.
pub(crate) fn present(weights: &Weights, sighting: &Sighting, history: &History) -> Vec<Reason> {
    let around = sighting.circumstances;
    let failures = around.account_failures >= ACCOUNT_FAILURES || around.network_failures >= NETWORK_FAILURES;
    [
        (ReasonCode::NewPlace, weights.new_place, new_place(sighting, history)),
        (ReasonCode::NewDevice, weights.new_device, new_device(sighting, history)),
        (ReasonCode::UnusualHour, weights.unusual_hour, unusual_hour(sighting, history)),
        (ReasonCode::BadNetwork, weights.bad_network, sighting.bad_network()),
        (ReasonCode::ImpossibleTravel, weights.impossible_travel, impossible_travel(sighting, history)),
        (ReasonCode::RecentFailures, weights.recent_failures, failures),
        (ReasonCode::BreachedPassword, weights.breached_password, around.breached_password),
    ]
    .into_iter()
    .filter(|(_, weight, present)| *present && *weight > 0.0)
    .map(|(code, contribution, _)| Reason { code, part: Part::Fixed, contribution })
    .collect()
}

fn new_place(sighting: &Sighting, history: &History) -> bool {
    let Some(place) = sighting.place else { return false };
    let mut known = history.past.iter().filter_map(|past| past.place).peekable();
    // Without any known place there is nothing to be new against.
    known.peek().is_some()
        && !known.any(|past| {
            past.country == place.country
                && (past.city.is_none() || place.city.is_none() || past.city == place.city)
        })
}

fn new_device(sighting: &Sighting, history: &History) -> bool {
    sighting.device.is_none()
        && !history.is_empty()
        && !history.past.iter().any(|past| same_device(past, sighting))
}

fn same_device(past: &Past, sighting: &Sighting) -> bool {
    match sighting.device {
        Some(device) if past.device == device => true,
        _ => past.shape == sighting.agent.shape,
    }
}

fn unusual_hour(sighting: &Sighting, history: &History) -> bool {
    if history.len() < HOURS_NEEDED {
        return false;
    }
    let now = minute_of_day(sighting.at, sighting.place);
    !history.past.iter().any(|past| {
        let apart = (minute_of_day(past.at, past.place) - now).rem_euclid(24 * 60);
        apart.min(24 * 60 - apart) <= AROUND_MINUTES
    })
}

/// The minute of the day by the sun at that place, so that travelling (or where the server stands) does not make nine
/// in the morning unusual; by UTC where the place is not known, which is as good for comparing a person with themselves.
fn minute_of_day(at: Timestamp, place: Option<Place>) -> i64 {
    let longitude = place.and_then(|place| place.position).map_or(0.0, |(_, longitude)| longitude);
    #[expect(clippy::cast_possible_truncation, reason = "at most 720 minutes either way")]
    let offset = (longitude.clamp(-180.0, 180.0) * 4.0) as i64;
    (at.as_secs().div_euclid(60) + offset).rem_euclid(24 * 60)
}

fn impossible_travel(sighting: &Sighting, history: &History) -> bool {
    if sighting.bad_network() {
        return false;
    }
    let Some(here) = sighting.place.and_then(|place| place.position) else { return false };
    let Some(last) = history.past.last() else { return false };
    let Some(there) = last.place.and_then(|place| place.position) else { return false };
    !last.hidden
        && !same_device(last, sighting)
        && travel::is_impossible(there, here, sighting.at.since_ms(last.at))
}
