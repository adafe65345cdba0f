//! Where a network address lies: country and region.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest part of ISO 3166-2 behind the country.
const REGION: usize = 3;

/// A country (ISO 3166-1 alpha-2) and, where known, its subdivision (ISO 3166-2), as the operator's location file has
/// them. Personal, as the address is: sealed with the body. Small and without allocation, because every request has one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    country: [u8; 2],
    /// Padded with zeros; all zero if unknown.
    region: [u8; REGION],
}

impl Place {
    /// From the codes of a location file, such as `GB` and `ENG`. `None` if the country is not two letters; a region
    /// that is not one to three letters or digits is left out. A file is outside input.
    pub fn new(country: &str, region: Option<&str>) -> Option<Self> {
        let country = <[u8; 2]>::try_from(country.as_bytes()).ok()?;
        if !country.iter().all(u8::is_ascii_alphabetic) {
            return None;
        }
        let mut padded = [0; REGION];
        let fits = |code: &&str| {
            (1..=REGION).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        if let Some(code) = region.filter(fits) {
            padded[..code.len()].copy_from_slice(code.as_bytes());
        }
        Some(Self {
            country: country.map(|b| b.to_ascii_uppercase()),
            region: padded.map(|b| b.to_ascii_uppercase()),
        })
    }

    /// The country, such as `GB`.
    pub fn country(&self) -> &str {
        std::str::from_utf8(&self.country).expect("made of letters only")
    }

    /// The region with its country, such as `GB-ENG`.
    pub fn region(&self) -> Option<String> {
        let length = self.region.iter().position(|b| *b == 0).unwrap_or(REGION);
        let code = std::str::from_utf8(&self.region[..length]).expect("made of letters and digits only");
        (length > 0).then(|| format!("{}-{code}", self.country()))
    }

    /// From the written forms of [`Self::country`] and [`Self::region`].
    pub(crate) fn read(country: &str, region: Option<&str>) -> Option<Self> {
        let code = region.and_then(|text| text.split_once('-')).map(|(_, code)| code);
        Self::new(country, code)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Personal; a debug line of a record must not print it.
        f.write_str("Place(..)")
    }
}

#[derive(Serialize, Deserialize)]
struct Written {
    country: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { country: self.country().to_owned(), region: self.region() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { country, region } = Written::deserialize(deserializer)?;
        Self::read(&country, region.as_deref())
            .ok_or_else(|| serde::de::Error::custom("not a country's code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kept_and_written_as_iso_has_them() {
        let place = Place::new("gb", Some("eng")).unwrap();
        assert_eq!((place.country(), place.region().as_deref()), ("GB", Some("GB-ENG")));
        assert_eq!(Place::new("FR", Some("75")).unwrap().region().as_deref(), Some("FR-75"));
        let written = serde_json::to_string(&place).unwrap();
        assert_eq!(written, r#"{"country":"GB","region":"GB-ENG"}"#);
        assert_eq!(serde_json::from_str::<Place>(&written).unwrap(), place);
        assert_eq!(serde_json::from_str::<Place>(r#"{"country":"SE"}"#).unwrap().region(), None);
    }

    #[test]
    fn what_a_damaged_file_says_is_left_out() {
        for wrong in ["", "G", "GBR", "G1", "é", "\n\n"] {
            assert_eq!(Place::new(wrong, None), None, "{wrong:?}");
        }
        for wrong in ["", "LONG", "a-b", "é"] {
            assert_eq!(Place::new("GB", Some(wrong)).unwrap().region(), None, "{wrong:?}");
        }
        assert!(serde_json::from_str::<Place>(r#"{"country":"Atlantis"}"#).is_err());
    }

    #[test]
    fn a_debug_line_does_not_tell_it() {
        assert_eq!(format!("{:?}", Place::new("GB", None)), "Some(Place(..))");
    }
}
