use std::path::PathBuf;

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

fn city(path: &Path) -> Files {
    Files { city: Some(File::open(path, table).unwrap()), asn: None, anonymous: None, lists: Vec::new() }
}

fn place(files: &Files, address: &str) -> Option<(String, Option<String>)> {
    let place = files.place(address.parse().unwrap())?;
    Some((place.country().to_owned(), place.region()))
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
    let open = |path: &Path| Some(File::open(path, table).unwrap());
    let files = Files { city: open(&city), asn: open(&asn), anonymous: open(&anonymous), lists: Vec::new() };
    let london = files.whereabouts("81.2.69.142".parse().unwrap());
    let place = london.place.unwrap();
    assert_eq!((&place.country, place.city), (b"GB", Some(2_643_743)));
    assert!((place.position.unwrap().0 - 51.5).abs() < 0.2);
    let sweden = files.whereabouts("89.160.20.128".parse().unwrap());
    assert_eq!((&sweden.place.unwrap().country, sweden.network.anonymous), (b"SE", Some(false)));
    assert_eq!(files.whereabouts("1.128.0.1".parse().unwrap()).network.provider, Some(1221));
    let vpn = files.whereabouts("1.2.0.1".parse().unwrap());
    assert_eq!(vpn.network.anonymous, Some(true), "{vpn:?}");
    let nowhere = files.whereabouts("127.0.0.1".parse().unwrap());
    assert_eq!((nowhere.place, nowhere.network.provider), (None, None));
}

#[test]
fn events_get_country_and_region_for_addresses_of_both_versions() {
    let Some(path) = data("GeoLite2-City-Test.mmdb") else { return };
    let files = city(&path);
    let found = |country: &str, region: &str| Some((country.to_owned(), Some(region.to_owned())));
    assert_eq!(place(&files, "81.2.69.142"), found("GB", "GB-ENG"));
    assert_eq!(place(&files, "::ffff:81.2.69.142"), found("GB", "GB-ENG"));
    assert_eq!(place(&files, "89.160.20.128"), found("SE", "SE-E"));
    assert_eq!(place(&files, "127.0.0.1"), None);
    assert_eq!(place(&files, "::1"), None);
}

#[test]
fn a_file_of_countries_gives_countries_and_one_of_something_else_nothing() {
    let (Some(countries), Some(asn)) = (data("GeoLite2-Country-Test.mmdb"), data("GeoLite2-ASN-Test.mmdb"))
    else {
        return;
    };
    assert_eq!(place(&city(&countries), "81.2.69.142"), Some(("GB".to_owned(), None)));
    assert_eq!(place(&city(&asn), "1.128.0.1"), None);
}

#[test]
fn what_is_no_such_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("city.mmdb");
    for wrong in [&b"<html>404 Not Found</html>"[..], b""] {
        std::fs::write(&path, wrong).unwrap();
        assert!(File::open(&path, table).err().unwrap().contains("MaxMind's format"));
    }
    let Some(good) = data("GeoLite2-City-Test.mmdb") else { return };
    let bytes = std::fs::read(good).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let files = city(&path);
    std::fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
    files.all().for_each(Replaceable::take_up);
    assert!(place(&files, "81.2.69.142").is_some());
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
        if let Ok(file) = File::open(&path, table) {
            let files = Files { city: Some(file), asn: None, anonymous: None, lists: Vec::new() };
            for address in ["81.2.69.142", "89.160.20.128", "2001:218::1", "1.2.3.4"] {
                let address = address.parse().unwrap();
                let _ = (files.place(address), files.whereabouts(address));
            }
        }
    }
}

#[test]
fn lists_of_networks_say_what_a_network_is_known_for_and_are_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let list = |name: &str, text: &str, kind, confidence| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        List { file: File::open(&path, Networks::parse).unwrap(), kind, confidence }
    };
    let files = Files {
        city: None,
        asn: None,
        anonymous: None,
        lists: vec![
            list("drop", "192.0.2.0/24\n", NetworkKind::Attacks, 1.0),
            list("doubtful", "192.0.2.0/25\n198.51.100.0/24\n", NetworkKind::Attacks, 0.3),
            list("tor", "203.0.113.7\n", NetworkKind::Anonymous, 1.0),
            list("clouds", "203.0.113.0/24\n", NetworkKind::Hosting, 1.0),
        ],
    };
    let network = |address: &str| files.whereabouts(address.parse().unwrap()).network;
    let about = |address: &str| {
        let network = network(address);
        (network.reputation, network.anonymous, network.hosting)
    };
    assert_eq!(about("192.0.2.9"), (1.0, Some(false), false), "the surer of two lists counts");
    assert_eq!(about("198.51.100.9"), (0.3, Some(false), false));
    assert_eq!(about("203.0.113.7"), (0.0, Some(true), true));
    assert_eq!(about("203.0.113.8"), (0.0, Some(false), true));
    assert_eq!(about("10.0.0.1"), (0.0, Some(false), false));
    std::fs::write(folder.path().join("tor"), "# none today\n203.0.113.250\n").unwrap();
    files.all().for_each(Replaceable::take_up);
    assert_eq!(about("203.0.113.7"), (0.0, Some(false), true));
    assert_eq!(about("203.0.113.250"), (0.0, Some(true), true));
}
