//! How a sighting stands to a person's history, in a few words per feature.

use super::Sighting;
use super::history::{History, Past};

/// Where it comes from, nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetStatus {
    /// An address that this person signed in from before.
    SameAddress,
    /// A new address of a provider that they use.
    KnownProvider,
    /// A new provider in a city of theirs.
    SamePlace,
    /// A new city in a country of theirs, or nobody can say where.
    SameCountry,
    /// A new country.
    Elsewhere,
}

/// What it comes from, surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceStatus {
    /// It showed the cookie that we signed for it.
    Cookie,
    /// A known kind of device that never kept a cookie, with the version it had last.
    SameVersion,
    /// The same, one version on.
    NextVersion,
    /// The same, with an earlier version that was seen.
    KnownVersion,
    /// The same, with a version out of line.
    OddVersion,
    /// A known kind of device that used to show a cookie, without it.
    LostCookie,
    /// Another device with the same system and program.
    SameFamily,
    /// Another device.
    Other,
}

/// Number of [`NetStatus`] values.
pub(crate) const NETS: usize = 5;
/// Number of [`DeviceStatus`] values.
pub(crate) const DEVICES: usize = 8;
/// Number of buckets of history length.
pub(crate) const BUCKETS: usize = 5;

/// Buckets by the length of a history that is not empty: with one sign-in known, much is new; with ten, little.
pub(crate) const fn bucket(len: usize) -> usize {
    match len {
        0 | 1 => 0,
        2 => 1,
        3 | 4 => 2,
        5..=8 => 3,
        _ => 4,
    }
}

pub(crate) fn net(sighting: &Sighting, history: &History) -> NetStatus {
    let (line, provider) = (sighting.line(), sighting.provider());
    let any = |test: &dyn Fn(&Past) -> bool| history.past.iter().any(test);
    if line != [0; 16] && any(&|past| past.line == line) {
        return NetStatus::SameAddress;
    }
    if provider != 0 && any(&|past| past.provider == provider) {
        return NetStatus::KnownProvider;
    }
    let Some(place) = sighting.place else { return NetStatus::SameCountry };
    let same_city = |past: &Past| {
        past.place.is_some_and(|known| known.country == place.country && known.city == place.city)
    };
    if place.city.is_some() && any(&same_city) {
        return NetStatus::SamePlace;
    }
    if any(&|past| past.place.is_none_or(|known| known.country == place.country)) {
        NetStatus::SameCountry
    } else {
        NetStatus::Elsewhere
    }
}

pub(crate) fn device(sighting: &Sighting, history: &History) -> DeviceStatus {
    if sighting.device.is_some() {
        return DeviceStatus::Cookie;
    }
    let agent = sighting.agent;
    let alike = || history.past.iter().rev().filter(|past| past.shape == agent.shape);
    let Some(last) = alike().next() else {
        return if history.past.iter().any(|past| past.family == agent.family) {
            DeviceStatus::SameFamily
        } else {
            DeviceStatus::Other
        };
    };
    // The newest two, because one sign-in after clearing the cookies must not excuse everybody who comes without.
    if alike().take(2).any(|past| past.device != 0) {
        return DeviceStatus::LostCookie;
    }
    if agent.version == last.version {
        DeviceStatus::SameVersion
    } else if agent.version == last.version.saturating_add(1) {
        DeviceStatus::NextVersion
    } else if alike().any(|past| past.version == agent.version) {
        DeviceStatus::KnownVersion
    } else {
        DeviceStatus::OddVersion
    }
}
