//! The learned part: is this more like the owner or more like an attacker?
//!
//! `score = ln( Σ_kinds weight · P(features | kind of attacker) / P(features | owner) )`
//!
//! The baseline (Freeman et al., NDSS 2016) multiplies one ratio per feature, each *everybody's share of this value over
//! this person's share of it*. Four things are different here, each for a reason that shows in the measurement:
//! - network and device are judged **together**: a new provider from a known device is a trip, a new provider from a new
//!   device is not, and a product of independent ratios cannot say that;
//! - a new address is weighed by **what the line is like** ([`super::line`]);
//! - attackers are a **mixture of kinds**: one ratio against "everybody" forgets those who come from the owner's own
//!   provider with the owner's own user agent;
//! - what is rare in one history is read against **how often owners in general** do the same with a history of that
//!   length, so that two sign-ins are not taken for a habit.

use std::collections::BTreeMap;

use super::Sighting;
use super::history::{History, Past};
use super::line::Seen;
use super::population::{Population, log_rtt, own_rtt};
use super::reason::{Part, Reason, ReasonCode};
use super::status::{self, DEVICES, DeviceStatus, NETS, NetStatus};

/// An attacker's habits: chances by network status and by device status.
struct Kind {
    weight: f32,
    net: [f32; NETS],
    device: [f32; DEVICES],
    /// How often through a network that hides people.
    hidden: f32,
    /// Knows where the person is, so that round-trip times are like theirs.
    near: bool,
    /// Imitates this person's network and device, and chooses what they use most.
    imitates: bool,
}

/// The four kinds of the literature (Freeman et al. 2016; Wiefling et al. 2022): knows the password only; hides behind a
/// VPN in the right country; is in the right city with the right kind of program; sits at the same provider with the
/// same user agent. A person whose devices are common is easily mistaken for somebody else.
fn kinds(luck: Luck) -> [Kind; 4] {
    let Luck { device: guess, family, in_family } = luck;
    let stranger =
        [0.0001, 0.3 * guess, 0.1 * guess, 0.1 * guess, 0.5 * guess, 0.5 * guess, family, 0.98 - family];
    [
        Kind {
            weight: 0.25,
            net: [0.0005, 0.015, 0.01, 0.10, 0.875],
            device: stranger,
            hidden: 0.3,
            near: false,
            imitates: false,
        },
        Kind {
            weight: 0.25,
            net: [0.0005, 0.015, 0.20, 0.775, 0.01],
            device: stranger,
            hidden: 0.9,
            near: false,
            imitates: false,
        },
        Kind {
            weight: 0.25,
            net: [0.001, 0.25, 0.739, 0.005, 0.005],
            device: [
                0.0001,
                0.3 * in_family,
                0.1 * in_family,
                0.1 * in_family,
                0.5 * in_family,
                0.5 * in_family,
                0.85,
                0.03,
            ],
            hidden: 0.1,
            near: true,
            imitates: false,
        },
        Kind {
            weight: 0.25,
            net: [0.002, 0.968, 0.02, 0.005, 0.005],
            device: [0.002, 0.78, 0.15, 0.03, 0.03, 0.9, 0.01, 0.005],
            hidden: 0.05,
            near: true,
            imitates: true,
        },
    ]
}

/// How likely a stranger's device looks like one of this person's by chance.
#[derive(Clone, Copy)]
struct Luck {
    /// Like one of their devices.
    device: f32,
    /// The same system and program as one of them.
    family: f32,
    /// Like one of their devices, when it is known what system and program they use.
    in_family: f32,
}

impl Luck {
    fn of(sighting: &Sighting, history: &History, population: &Population) -> Self {
        let (mut shapes, mut families): (Vec<_>, Vec<_>) =
            history.past.iter().map(|past| ((past.shape, past.family), past.family)).unzip();
        shapes.sort_unstable();
        shapes.dedup();
        families.sort_unstable();
        families.dedup();
        let wanted = sighting.agent.family;
        let sum = |shapes: &mut dyn Iterator<Item = &(u64, u64)>| -> f32 {
            shapes.map(|(shape, _)| population.shapes.share(*shape)).sum()
        };
        let family: f32 = families.iter().map(|family| population.families.share(*family)).sum();
        let alike = sum(&mut shapes.iter().filter(|(_, family)| *family == wanted));
        Self {
            device: sum(&mut shapes.iter()).clamp(0.002, 0.4),
            family: family.clamp(0.02, 0.8),
            in_family: (alike / population.families.share(wanted)).clamp(0.01, 0.5),
        }
    }
}

/// The score and what it is made of. `None` if there is no history.
pub(crate) fn score(
    sighting: &Sighting,
    history: &History,
    population: &Population,
) -> Option<(f32, Vec<Reason>)> {
    if history.is_empty() {
        return None;
    }
    let (net, device) = (status::net(sighting, history), status::device(sighting, history));
    let kinds = kinds(Luck::of(sighting, history, population));

    // The owner.
    let owner_together = population.joint(history.len(), net, device);
    let (owner_net, owner_device) = (population.net(net), population.device(device));
    let address = address_habit(sighting, history, population, net);
    let hidden = sighting.hidden();
    let chance = |share: f32| hidden.map_or(1.0, |hidden| if hidden { share } else { 1.0 - share });
    let rtt = RttChances::of(sighting, history, population);

    // The attackers.
    let mix =
        |part: &dyn Fn(&Kind) -> f32| -> f32 { kinds.iter().map(|kind| kind.weight * part(kind)).sum() };
    let imitation = imitation(sighting, history, net, device);
    let both = |kind: &Kind| {
        let pair = kind.net[net as usize] * kind.device[device as usize];
        if kind.imitates { pair * imitation } else { pair }
    };
    let their_net = mix(&|kind| kind.net[net as usize]);
    let their_device = mix(&|kind| kind.device[device as usize]);
    let together = mix(&both);
    let with_hidden = mix(&|kind| both(kind) * chance(kind.hidden));
    let all = mix(&|kind| both(kind) * chance(kind.hidden) * if kind.near { rtt.near } else { rtt.far });

    let network_part = (their_net / owner_net).ln();
    let device_part = (their_device / owner_device).ln();
    let combination = (together / owner_together).ln() - network_part - device_part;
    let hidden_part = (with_hidden / together).ln() - chance(population.hidden()).ln();
    let rtt_part = (all / with_hidden).ln() - rtt.owner.ln();
    let parts = [
        (ReasonCode::NetworkHabit, network_part),
        (ReasonCode::AddressHabit, address),
        (
            if device == DeviceStatus::LostCookie { ReasonCode::LostCookie } else { ReasonCode::DeviceHabit },
            device_part,
        ),
        (ReasonCode::Combination, combination),
        (ReasonCode::HiddenNetwork, hidden_part),
        (ReasonCode::RoundTrip, rtt_part),
    ];
    let total = parts.iter().map(|(_, part)| part).sum();
    let reasons = parts
        .into_iter()
        .filter(|(_, part)| part.abs() >= 0.05)
        .map(|(code, contribution)| Reason { code, part: Part::Learned, contribution })
        .collect();
    Some((total, reasons))
}

/// How much likelier an imitator comes with this network and device than their owner does. Imitators take what the person
/// uses most; the owner also has a second phone and an office. One for a person with one of each.
fn imitation(sighting: &Sighting, history: &History, net: NetStatus, device: DeviceStatus) -> f32 {
    /// How much more an imitator prefers the usual: the owner's shares to this power.
    const PREFERENCE: f32 = 2.0;
    let preference = |key: &dyn Fn(&Past) -> u64, wanted: u64| {
        let mut counts = BTreeMap::<u64, f32>::new();
        for past in &history.past {
            *counts.entry(key(past)).or_insert(0.5) += 1.0;
        }
        let Some(count) = counts.get(&wanted) else { return 1.0 };
        let sum: f32 = counts.values().sum();
        let preferred: f32 = counts.values().map(|count| count.powf(PREFERENCE)).sum();
        (count.powf(PREFERENCE) / preferred) / (count / sum)
    };
    let network = match net {
        NetStatus::SameAddress | NetStatus::KnownProvider => {
            preference(&|past| past.provider, sighting.provider())
        }
        _ => 1.0,
    };
    let device = match device {
        DeviceStatus::SameFamily | DeviceStatus::Other => 1.0,
        _ => preference(&|past| past.shape, sighting.agent.shape),
    };
    network * device
}

/// What a new (or the usual) address says beyond the table, which knows lines of all kinds together.
fn address_habit(sighting: &Sighting, history: &History, population: &Population, net: NetStatus) -> f32 {
    let new = match net {
        NetStatus::KnownProvider => true,
        NetStatus::SameAddress => false,
        _ => return 0.0,
    };
    let (same, known) = (population.net(NetStatus::SameAddress), population.net(NetStatus::KnownProvider));
    let in_general = known / (same + known);
    let here = population.lines.new_address(Seen::of(history, sighting.provider()));
    if new { (in_general / here).ln() } else { ((1.0 - in_general) / (1.0 - here)).ln() }
}

/// Chances of this round-trip time; all ones if it or the person's own is not known.
struct RttChances {
    owner: f32,
    near: f32,
    far: f32,
}

impl RttChances {
    fn of(sighting: &Sighting, history: &History, population: &Population) -> Self {
        let unknown = Self { owner: 1.0, near: 1.0, far: 1.0 };
        let Some(rtt) = sighting.rtt_ms.map(log_rtt) else { return unknown };
        let Some(own) = own_rtt(history, sighting.provider()) else { return unknown };
        // How far a person's own times foretell the next one is learned: where they do not, this part says nothing.
        let (_, drift) = population.rtt_drift.normal(0.0, 0.5);
        let (mean, width) = population.rtt_usual.normal(3.5, 0.6);
        let reliability = (1.0 - (drift / width).powi(2)).clamp(0.0, 1.0);
        let expected = mean + reliability * (own - mean);
        let spread = (reliability * drift.powi(2) + (1.0 - reliability) * width.powi(2)).sqrt();
        // Tails are fat: a train in a tunnel is not an attack.
        let chance =
            |mean: f32, width: f32| 0.9 * normal(rtt, mean, width) + 0.1 * normal(rtt, mean, 3.0 * width);
        Self {
            owner: chance(expected, spread),
            near: chance(mean, width),
            far: chance(mean + 0.7, 1.5 * width),
        }
    }
}

fn normal(x: f32, mean: f32, width: f32) -> f32 {
    let z = (x - mean) / width;
    ((-0.5 * z * z).exp() / width).max(1e-12)
}
