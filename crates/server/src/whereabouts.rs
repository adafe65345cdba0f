//! Login risk as it is configured, and where addresses are according to the operator's files.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use identity::{Locator, RiskSettings, Whereabouts};
use maxminddb::Reader;
use parking_lot::RwLock;
use serde::Deserialize;
use threat::login::{Engine, Network, Outcome, Place, Thresholds, Weights};

use crate::config::{FirstSignIn, Resolved};
use crate::error::StartError;

/// The largest file that is read; the whole of it stays in memory. Full city files have about 130 MiB.
const MAX_BYTES: u64 = 512 << 20;
/// How often the files are looked at. Such files are replaced once a week or less often.
const PERIOD: Duration = Duration::from_secs(10);

type Contents = Reader<Vec<u8>>;

/// A file that is read into memory, and again when it is replaced.
struct File {
    path: PathBuf,
    contents: RwLock<Arc<Contents>>,
    seen: Option<Stamp>,
}

/// What changes when a file is replaced.
type Stamp = (SystemTime, u64);

/// The settings of login risk.
///
/// # Errors
/// If a file of `[geo]` cannot be read or is not in MaxMind's format.
pub(crate) fn risk(config: &Resolved) -> Result<RiskSettings, StartError> {
    let risk = &config.risk;
    #[expect(clippy::cast_possible_truncation, reason = "weights have two digits")]
    let short = |value: f64| value as f32;
    Ok(RiskSettings {
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
        locator: locator(config)?,
        confirm_ttl_ms: risk.confirmation_ttl.as_ms_i64(),
        disown_ttl_ms: risk.undo_ttl.as_ms_i64(),
    })
}

fn locator(config: &Resolved) -> Result<Locator, StartError> {
    let open =
        |setting, path: &Option<PathBuf>| path.as_deref().map(|path| File::open(setting, path)).transpose();
    let geo = &config.geo;
    let files = Files {
        city: open("geo.city", &geo.city)?,
        asn: open("geo.asn", &geo.asn)?,
        anonymous: open("geo.anonymous", &geo.anonymous)?,
    };
    if files.all().next().is_none() {
        return Ok(Locator::default());
    }
    let files = Arc::new(files);
    tokio::spawn(watch(Arc::downgrade(&files)));
    Ok(Locator::new(move |address| files.locate(address)))
}

/// Takes up replaced files until nobody asks them any more. One that is just being written is refused and looked at
/// again: its time changes once more when it is whole.
async fn watch(files: Weak<Files>) {
    let mut seen: Vec<Option<Stamp>> =
        files.upgrade().map(|files| files.all().map(|file| file.seen).collect()).unwrap_or_default();
    loop {
        tokio::time::sleep(PERIOD).await;
        let Some(files) = files.upgrade() else { return };
        let known = std::mem::take(&mut seen);
        // Reading and checking a large file takes a while.
        let looked = tokio::task::spawn_blocking(move || {
            files.all().zip(known).map(|(file, seen)| file.take_up(seen)).collect()
        });
        match looked.await {
            Ok(now) => seen = now,
            Err(_) => {
                tracing::error!("reading a location file panicked; the old ones stay");
                return;
            }
        }
    }
}

impl File {
    fn open(setting: &'static str, path: &Path) -> Result<Self, StartError> {
        let seen = stamp(path);
        let contents = read(path).map_err(|reason| StartError::Secret {
            setting,
            reason: format!("{}: {reason}", path.display()),
        })?;
        Ok(Self { path: path.to_owned(), contents: RwLock::new(Arc::new(contents)), seen })
    }

    /// Reads the file again if it is another one than at the last look; the old one stays if it cannot be used.
    fn take_up(&self, seen: Option<Stamp>) -> Option<Stamp> {
        let now = stamp(&self.path);
        if now == seen {
            return seen;
        }
        match read(&self.path) {
            Ok(contents) => {
                *self.contents.write() = Arc::new(contents);
                tracing::info!(file = %self.path.display(), "took up the location file again");
            }
            Err(reason) => {
                tracing::error!(file = %self.path.display(), reason, "a new location file cannot be used; the old one stays");
            }
        }
        now
    }

    fn contents(&self) -> Arc<Contents> {
        Arc::clone(&self.contents.read())
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

fn read(path: &Path) -> Result<Contents, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_BYTES {
        return Err("has more than 512 MiB, which no such file has".to_owned());
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    Reader::from_source(bytes).map_err(|error| format!("is not in MaxMind's format: {error}"))
}

struct Files {
    city: Option<File>,
    asn: Option<File>,
    anonymous: Option<File>,
}

#[derive(Deserialize)]
struct City<'f> {
    #[serde(borrow)]
    country: Option<Country<'f>>,
    city: Option<Numbered>,
    location: Option<Degrees>,
}

#[derive(Deserialize)]
struct Country<'f> {
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

/// What a file says of an address; nothing where it is damaged or does not know.
fn ask<'f, T: Deserialize<'f>>(file: &'f Contents, address: IpAddr) -> Option<T> {
    file.lookup(address).ok()?.decode::<T>().ok()?
}

impl Files {
    fn all(&self) -> impl Iterator<Item = &File> {
        [&self.city, &self.asn, &self.anonymous].into_iter().flatten()
    }

    fn locate(&self, address: IpAddr) -> Whereabouts {
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
        Whereabouts { network, place: self.city.as_ref().and_then(|file| place(&file.contents(), address)) }
    }
}

fn place(file: &Contents, address: IpAddr) -> Option<Place> {
    let found = ask::<City<'_>>(file, address)?;
    let country = <[u8; 2]>::try_from(found.country?.iso_code?.as_bytes()).ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "a city is larger than what is cut off")]
    let position = found.location.and_then(|at| Some((at.latitude? as f32, at.longitude? as f32)));
    let position = position.filter(|(north, east)| north.abs() <= 90.0 && east.abs() <= 180.0);
    Some(Place { country, city: found.city.and_then(|city| city.geoname_id), position })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder of test data beside the checkout, which a published checkout does not have.
    fn data(name: &str) -> Option<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let beside = root.parent().unwrap().join("shared/data/geo").join(name);
        if !beside.exists() {
            eprintln!("not tested here: the location files for tests are not beside the checkout");
            return None;
        }
        Some(beside)
    }

    #[test]
    fn the_files_say_place_network_and_whether_it_hides_people() {
        let (Some(city), Some(asn), Some(anonymous)) = (
            data("GeoLite2-City-Test.mmdb"),
            data("GeoLite2-ASN-Test.mmdb"),
            data("GeoIP2-Anonymous-IP-Test.mmdb"),
        ) else {
            return;
        };
        let open = |path: &Path| Some(File::open("geo", path).unwrap());
        let files = Files { city: open(&city), asn: open(&asn), anonymous: open(&anonymous) };
        let london = files.locate("81.2.69.142".parse().unwrap());
        let place = london.place.unwrap();
        assert_eq!((&place.country, place.city), (b"GB", Some(2_643_743)));
        assert!((place.position.unwrap().0 - 51.5).abs() < 0.2);
        let sweden = files.locate("89.160.20.128".parse().unwrap());
        assert_eq!((&sweden.place.unwrap().country, sweden.network.anonymous), (b"SE", Some(false)));
        assert_eq!(files.locate("1.128.0.1".parse().unwrap()).network.provider, Some(1221));
        let vpn = files.locate("1.2.0.1".parse().unwrap());
        assert_eq!(vpn.network.anonymous, Some(true), "{vpn:?}");
        let nowhere = files.locate("127.0.0.1".parse().unwrap());
        assert_eq!((nowhere.place, nowhere.network.provider), (None, None));
    }

    #[test]
    fn what_is_no_such_file_is_said_with_its_setting_and_a_replaced_one_is_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("asn.mmdb");
        assert!(File::open("geo.asn", &path).err().unwrap().to_string().starts_with("geo.asn: "));
        std::fs::write(&path, b"<html>404 Not Found</html>").unwrap();
        assert!(File::open("geo.asn", &path).err().unwrap().to_string().contains("MaxMind's format"));

        let (Some(city), Some(asn)) = (data("GeoLite2-City-Test.mmdb"), data("GeoLite2-ASN-Test.mmdb"))
        else {
            return;
        };
        std::fs::copy(city, &path).unwrap();
        let file = File::open("geo.asn", &path).unwrap();
        let number = |file: &File| {
            ask::<Asn>(&file.contents(), "1.128.0.1".parse().unwrap())
                .and_then(|found| found.autonomous_system_number)
        };
        assert_eq!(number(&file), None);
        std::fs::write(&path, b"half").unwrap();
        let seen = file.take_up(file.seen);
        std::fs::copy(asn, &path).unwrap();
        let now = file.take_up(seen);
        assert_eq!(number(&file), Some(1221));
        assert_eq!(file.take_up(now), now);
    }
}
