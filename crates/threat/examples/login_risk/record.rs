//! Records of the set (`../shared/data/login`).

use std::io::{BufRead, BufReader, Error};
use std::net::IpAddr;
use std::path::Path;

use base::Timestamp;
use threat::login::{Agent, Place, Sighting};

/// One log-in of the set.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Login {
    t: i64,
    pub(crate) user: u32,
    pub(crate) ip: IpAddr,
    pub(crate) asn: u32,
    pub(crate) country: String,
    pub(crate) city: String,
    pub(crate) ua: String,
    pub(crate) browser: String,
    pub(crate) os: String,
    pub(crate) device: String,
    pub(crate) rtt_ms: u32,
    label: String,
    model: String,
}

impl Login {
    /// For learning and measuring; never for scoring.
    pub(crate) fn is_legit(&self) -> bool {
        self.label == "legit"
    }

    /// `legit` or the attacker's kind; for measuring only.
    pub(crate) fn kind(&self) -> &str {
        if self.is_legit() { "legit" } else { &self.model }
    }

    /// As the server would see it. The set has no cookies and no positions.
    pub(crate) fn sighting(&self) -> Sighting {
        let mut sighting = Sighting::at(Timestamp::from_millis(1_700_000_000_000 + self.t * 1000));
        sighting.address = Some(self.ip);
        sighting.network.provider = Some(self.asn);
        let mut country = [0; 2];
        country.copy_from_slice(&self.country.as_bytes()[..2]);
        let city =
            self.city.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        sighting.place = Some(Place { country, city: Some(city.max(1)), position: None });
        sighting.agent = Agent::parse(&self.ua);
        sighting.rtt_ms = Some(self.rtt_ms);
        sighting
    }
}

/// Reads the whole set.
pub(crate) fn read(path: &Path) -> Result<Vec<Login>, Error> {
    let input = BufReader::new(flate2::read::GzDecoder::new(std::fs::File::open(path)?));
    input.lines().map(|line| serde_json::from_str(&line?).map_err(Error::from)).collect()
}
