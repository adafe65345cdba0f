//! Where network addresses lie, from the operator's own location file in MaxMind's format.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use audit::Place;
use maxminddb::Reader;
use parking_lot::RwLock;
use serde::Deserialize;

/// The largest file that is read; the whole of it stays in memory. Full city files have about 130 MiB.
const MAX_BYTES: u64 = 512 << 20;

/// Why a location file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    /// It cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is larger than 512 MiB.
    #[error("{path} has more than 512 MiB, which no location file has")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not in MaxMind's format.
    #[error("{path} is no location file in MaxMind's format (.mmdb): {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A location file that is read into memory, and can be read again while it is used. Cheap to clone.
#[derive(Clone)]
pub struct Geo(Arc<Inner>);

struct Inner {
    path: PathBuf,
    reader: RwLock<Arc<Reader<Vec<u8>>>>,
}

impl fmt::Debug for Geo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Geo").field(&self.0.path).finish()
    }
}

/// What a file may know about an address. Files of cities and of countries have the first, files of cities the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location {
    /// Country and region, for events.
    pub place: Place,
    /// Degrees north and east; the centre of an area, not a person's place.
    pub coordinates: Option<(f64, f64)>,
}

#[derive(Deserialize)]
struct Found<'f> {
    #[serde(borrow)]
    country: Option<Coded<'f>>,
    #[serde(borrow)]
    registered_country: Option<Coded<'f>>,
    #[serde(borrow, default)]
    subdivisions: Vec<Coded<'f>>,
    location: Option<Degrees>,
}

#[derive(Deserialize)]
struct Coded<'f> {
    iso_code: Option<&'f str>,
}

#[derive(Deserialize)]
struct Degrees {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl Geo {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read or is not such a file.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, GeoError> {
        let path = path.into();
        let reader = RwLock::new(read(&path)?);
        Ok(Self(Arc::new(Inner { path, reader })))
    }

    /// Reads the file again, after the operator has replaced it. If it cannot be used, the old one stays.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn reload(&self) -> Result<(), GeoError> {
        let fresh = read(&self.0.path)?;
        *self.0.reader.write() = fresh;
        Ok(())
    }

    /// The file's path.
    pub fn path(&self) -> &std::path::Path {
        &self.0.path
    }

    /// Where an address lies. `None` for addresses that the file does not know, and where it is damaged.
    pub fn locate(&self, address: IpAddr) -> Option<Location> {
        let reader = Arc::clone(&self.0.reader.read());
        let found = reader.lookup(address.to_canonical()).ok()?.decode::<Found<'_>>().ok()??;
        // Where it is registered, if nothing says where it is used.
        let country = found.country.or(found.registered_country)?.iso_code?;
        // From large to small; the first is what ISO 3166-2 calls the country's principal subdivision.
        let region = found.subdivisions.first().and_then(|division| division.iso_code);
        let degrees = found.location.and_then(|at| Some((at.latitude?, at.longitude?)));
        Some(Location {
            place: Place::new(country, region)?,
            coordinates: degrees.filter(|(north, east)| north.abs() <= 90.0 && east.abs() <= 180.0),
        })
    }
}

fn read(path: &std::path::Path) -> Result<Arc<Reader<Vec<u8>>>, GeoError> {
    let unreadable = |source| GeoError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_BYTES {
        return Err(GeoError::TooLarge { path: path.to_owned() });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let wrong = |reason: String| GeoError::Format { path: path.to_owned(), reason };
    let reader = Reader::from_source(bytes).map_err(|error| wrong(error.to_string()))?;
    Ok(Arc::new(reader))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The folder of test data beside the checkout, which a published checkout does not have.
    fn data(name: &str) -> Option<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let path = root.parent().unwrap().join("shared/data/geo").join(name);
        if !path.exists() {
            eprintln!("not tested here: the location files for tests are not beside the checkout");
            return None;
        }
        Some(path)
    }

    fn place(geo: &Geo, address: &str) -> Option<(String, Option<String>)> {
        let place = geo.locate(address.parse().unwrap())?.place;
        Some((place.country().to_owned(), place.region()))
    }

    #[test]
    fn addresses_of_both_versions_are_found_with_country_and_region() {
        let Some(path) = data("GeoLite2-City-Test.mmdb") else { return };
        let geo = Geo::open(path).unwrap();
        let found = |country: &str, region: &str| Some((country.to_owned(), Some(region.to_owned())));
        assert_eq!(place(&geo, "81.2.69.142"), found("GB", "GB-ENG"));
        assert_eq!(place(&geo, "::ffff:81.2.69.142"), found("GB", "GB-ENG"));
        assert_eq!(place(&geo, "89.160.20.128"), found("SE", "SE-E"));
        assert_eq!(place(&geo, "127.0.0.1"), None);
        assert_eq!(place(&geo, "::1"), None);
        let (north, east) = geo.locate("81.2.69.142".parse().unwrap()).unwrap().coordinates.unwrap();
        assert!((51.0..52.0).contains(&north) && (-1.0..1.0).contains(&east));
    }

    #[test]
    fn a_file_of_countries_gives_countries() {
        let Some(path) = data("GeoLite2-Country-Test.mmdb") else { return };
        assert_eq!(place(&Geo::open(path).unwrap(), "81.2.69.142"), Some(("GB".to_owned(), None)));
    }

    #[test]
    fn a_file_of_something_else_knows_no_place() {
        let Some(path) = data("GeoLite2-ASN-Test.mmdb") else { return };
        assert_eq!(place(&Geo::open(path).unwrap(), "1.128.0.1"), None);
    }

    #[test]
    fn what_is_no_location_file_is_refused_and_the_old_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("city.mmdb");
        assert!(matches!(Geo::open(&path), Err(GeoError::Read { .. })));
        std::fs::write(&path, b"<html>404 Not Found</html>").unwrap();
        assert!(matches!(Geo::open(&path), Err(GeoError::Format { .. })));
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(Geo::open(&path), Err(GeoError::Format { .. })));

        let Some(good) = data("GeoLite2-City-Test.mmdb") else { return };
        let bytes = std::fs::read(good).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let geo = Geo::open(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
        assert!(geo.reload().is_err());
        assert!(place(&geo, "81.2.69.142").is_some());
    }

    /// The operator fetches it from somewhere; a damaged one must not stop requests.
    #[test]
    fn a_damaged_file_never_panics() {
        let Some(good) = data("GeoLite2-City-Test.mmdb") else { return };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("city.mmdb");
        let bytes = std::fs::read(good).unwrap();
        for step in 0..200 {
            let mut damaged = bytes.clone();
            for at in (step..damaged.len()).step_by(211) {
                damaged[at] = damaged[at].wrapping_mul(31).wrapping_add(17);
            }
            std::fs::write(&path, &damaged).unwrap();
            if let Ok(geo) = Geo::open(&path) {
                for address in ["81.2.69.142", "89.160.20.128", "2001:218::1", "1.2.3.4"] {
                    let _ = geo.locate(address.parse().unwrap());
                }
            }
        }
    }
}
