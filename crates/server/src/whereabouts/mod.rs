//! Login risk as it is configured, and what the operator's files say of addresses: where they lie, whose networks they
//! are in, and what those are known for. One holder of the files for all who ask: the risk of sign-ins, and the place
//! in events.

mod file;
mod networks;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use guard::Locate;
use identity::{Locator, RiskSettings, Whereabouts};
use maxminddb::Reader;
use serde::Deserialize;
use threat::login::{Engine, Network, Outcome, Place, Thresholds, Weights};

use crate::config::{FirstSignIn, NetworkKind, Resolved};
use crate::error::StartError;
use file::{File, Replaceable};
use networks::Networks;

/// How often the files are looked at. Such files are replaced once an hour or less often.
const PERIOD: Duration = Duration::from_secs(10);

/// A file in MaxMind's format.
type Table = Reader<Vec<u8>>;

/// What the operator's files say of addresses. Clones share them; the default knows nothing.
#[derive(Clone, Default)]
pub(crate) struct Places(Option<Arc<Files>>);

struct Files {
    city: Option<File<Table>>,
    asn: Option<File<Table>>,
    anonymous: Option<File<Table>>,
    lists: Vec<List>,
}

/// A list of networks that are known for something.
struct List {
    file: File<Networks>,
    kind: NetworkKind,
    confidence: f32,
}

/// The settings of login risk.
pub(crate) fn risk(config: &Resolved, places: &Places) -> RiskSettings {
    let risk = &config.risk;
    RiskSettings {
        enabled: risk.enabled,
        engine: Engine {
            weights: Weights {
                new_place: short(risk.new_place),
                new_device: short(risk.new_device),
                unusual_hour: short(risk.unusual_hour),
                bad_network: short(risk.bad_network),
                impossible_travel: short(risk.impossible_travel),
                recent_failures: short(risk.recent_failures),
                breached_password: short(risk.breached_password),
            },
            thresholds: Thresholds {
                notify: short(risk.notify_at),
                step_up: short(risk.step_up_at),
                deny: short(risk.deny_at),
                learned_step_up: short(risk.learned_step_up_at),
                first_sign_in: match risk.first_sign_in {
                    FirstSignIn::Allow => Outcome::Allow,
                    FirstSignIn::Notify => Outcome::Notify,
                    FirstSignIn::StepUp => Outcome::StepUp,
                },
            },
        },
        locator: places.locator(),
        confirm_ttl_ms: risk.confirmation_ttl.as_ms_i64(),
        disown_ttl_ms: risk.undo_ttl.as_ms_i64(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "weights and degrees have few digits that count")]
const fn short(value: f64) -> f32 {
    value as f32
}

impl Places {
    /// Reads the files that are configured, and takes up replaced ones from now on. Needs a tokio runtime.
    ///
    /// # Errors
    /// If a file cannot be read or is not what its setting wants.
    pub(crate) fn open(config: &Resolved) -> Result<Self, StartError> {
        let files = Files::open(config)?;
        if files.all().next().is_none() {
            return Ok(Self::default());
        }
        let files = Arc::new(files);
        tokio::spawn(watch(Arc::downgrade(&files)));
        Ok(Self(Some(files)))
    }

    /// For the risk of sign-ins.
    fn locator(&self) -> Locator {
        match &self.0 {
            None => Locator::default(),
            Some(files) => {
                let files = Arc::clone(files);
                Locator::new(move |address| files.whereabouts(address))
            }
        }
    }

    /// For the place in events; `None` if no file of places is configured.
    pub(crate) fn locate(&self) -> Option<Locate> {
        let files = Arc::clone(self.0.as_ref()?);
        files.city.as_ref()?;
        Some(Locate::new(move |address| files.place(address)))
    }
}

/// Takes up replaced files until nobody asks them any more.
async fn watch(files: Weak<Files>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let Some(files) = files.upgrade() else { return };
        // Reading and checking a large file takes a while.
        let looked = tokio::task::spawn_blocking(move || files.all().for_each(Replaceable::take_up));
        if looked.await.is_err() {
            tracing::error!("reading a file of addresses panicked; the old ones stay");
            return;
        }
    }
}

fn table(bytes: Vec<u8>) -> Result<Table, String> {
    Reader::from_source(bytes).map_err(|error| format!("is not in MaxMind's format: {error}"))
}

/// What a file says of an address; nothing where it is damaged or does not know.
fn ask<'f, T: Deserialize<'f>>(table: &'f Table, address: IpAddr) -> Option<T> {
    table.lookup(address).ok()?.decode::<T>().ok()?
}

#[derive(Deserialize)]
struct City<'f> {
    #[serde(borrow)]
    country: Option<Coded<'f>>,
    #[serde(borrow)]
    registered_country: Option<Coded<'f>>,
    #[serde(borrow, default)]
    subdivisions: Vec<Coded<'f>>,
    city: Option<Numbered>,
    location: Option<Degrees>,
}

#[derive(Deserialize)]
struct Coded<'f> {
    iso_code: Option<&'f str>,
}

#[derive(Deserialize)]
struct Numbered {
    geoname_id: Option<u32>,
}

#[derive(Deserialize)]
struct Degrees {
    // The format has doubles, and the reader gives them as nothing else.
    latitude: Option<f64>,
    longitude: Option<f64>,
}

#[derive(Deserialize)]
struct Asn {
    autonomous_system_number: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Anonymous {
    is_anonymous: bool,
    is_anonymous_vpn: bool,
    is_public_proxy: bool,
    is_residential_proxy: bool,
    is_tor_exit_node: bool,
    is_hosting_provider: bool,
}

impl City<'_> {
    /// Where it is used; where it is registered, if nothing says that.
    fn country(&self) -> Option<&str> {
        self.country.as_ref().or(self.registered_country.as_ref())?.iso_code
    }

    /// As events have it.
    fn for_events(&self) -> Option<audit::Place> {
        // From large to small; the first is what ISO 3166-2 calls the country's principal subdivision.
        let region = self.subdivisions.first().and_then(|division| division.iso_code);
        audit::Place::new(self.country()?, region)
    }

    /// As the risk of sign-ins wants it.
    fn for_risk(&self) -> Option<Place> {
        let country = <[u8; 2]>::try_from(self.country()?.as_bytes()).ok()?;
        let position =
            self.location.as_ref().and_then(|at| Some((short(at.latitude?), short(at.longitude?))));
        let position = position.filter(|(north, east)| north.abs() <= 90.0 && east.abs() <= 180.0);
        Some(Place { country, city: self.city.as_ref().and_then(|city| city.geoname_id), position })
    }
}

impl Files {
    fn open(config: &Resolved) -> Result<Self, StartError> {
        let tables = |setting, path: Option<&Path>| {
            path.map(|path| File::open(path, table))
                .transpose()
                .map_err(|reason| StartError::Secret { setting, reason })
        };
        let geo = &config.geo;
        let list = |one: &crate::config::RiskNetworks| {
            let file = File::open(&one.file, Networks::parse)
                .map_err(|reason| StartError::Secret { setting: "risk.networks", reason })?;
            let networks = file.contents().len();
            tracing::info!(file = %one.file.display(), networks, kind = ?one.kind, "read a list of networks");
            Ok(List { file, kind: one.kind, confidence: short(one.confidence) })
        };
        Ok(Self {
            city: tables("geo.city", geo.city.as_deref())?,
            asn: tables("geo.asn", geo.asn.as_deref())?,
            anonymous: tables("geo.anonymous", geo.anonymous.as_deref())?,
            lists: config.risk.networks.iter().map(list).collect::<Result<_, StartError>>()?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &dyn Replaceable> {
        let tables = [&self.city, &self.asn, &self.anonymous].into_iter().flatten();
        tables.map(|file| file as &dyn Replaceable).chain(self.lists.iter().map(|list| &list.file as _))
    }

    fn city<T>(&self, address: IpAddr, read: impl FnOnce(&City<'_>) -> Option<T>) -> Option<T> {
        let table = self.city.as_ref()?.contents();
        read(&ask::<City<'_>>(&table, address.to_canonical())?)
    }

    fn place(&self, address: IpAddr) -> Option<audit::Place> {
        self.city(address, |city| city.for_events())
    }

    fn whereabouts(&self, address: IpAddr) -> Whereabouts {
        let address = address.to_canonical();
        let asn = self.asn.as_ref().and_then(|file| ask::<Asn>(&file.contents(), address));
        let provider = asn.and_then(|found| found.autonomous_system_number);
        let mut network = Network { provider, ..Network::default() };
        if let Some(file) = &self.anonymous {
            let found = ask::<Anonymous>(&file.contents(), address).unwrap_or_default();
            network.hosting = found.is_hosting_provider;
            network.anonymous = Some(
                found.is_anonymous_vpn
                    || found.is_public_proxy
                    || found.is_residential_proxy
                    || found.is_tor_exit_node
                    || (found.is_anonymous && !found.is_hosting_provider),
            );
        }
        for list in &self.lists {
            let listed = list.file.contents().contain(address);
            match list.kind {
                NetworkKind::Attacks if listed => {
                    network.reputation = network.reputation.max(list.confidence)
                }
                NetworkKind::Hosting if listed => network.hosting = true,
                // Who has such a list has asked: whoever is on none of them is known to hide nothing.
                NetworkKind::Anonymous => network.anonymous = Some(listed || network.anonymous == Some(true)),
                NetworkKind::Attacks | NetworkKind::Hosting => {}
            }
        }
        Whereabouts { network, place: self.city(address, |city| city.for_risk()) }
    }
}

#[cfg(test)]
mod tests;
