//! What is remembered of one person: their last completed sign-ins.

use base::Timestamp;

use super::codec::{CorruptState, Reader, Writer};
use super::{Place, Sighting};

/// Sign-ins remembered per person; the oldest gives way.
pub const HISTORY_LIMIT: usize = 64;

const MAGIC: &[u8; 4] = b"ftlh";
const VERSION: u8 = 1;

/// One completed sign-in, in the grains that are compared. Zero means unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Past {
    pub(crate) at: Timestamp,
    pub(crate) line: [u8; 16],
    pub(crate) provider: u64,
    pub(crate) place: Option<Place>,
    pub(crate) hidden: bool,
    pub(crate) shape: u64,
    pub(crate) family: u64,
    pub(crate) version: u16,
    pub(crate) device: u64,
    pub(crate) rtt_ms: u16,
}

impl Past {
    pub(crate) fn of(sighting: &Sighting) -> Self {
        Self {
            at: sighting.at,
            line: sighting.line(),
            provider: sighting.provider(),
            place: sighting.place,
            hidden: sighting.hidden() == Some(true),
            shape: sighting.agent.shape,
            family: sighting.agent.family,
            version: sighting.agent.version,
            device: sighting.device.unwrap_or(0),
            rtt_ms: sighting.rtt_ms.map_or(0, |rtt| u16::try_from(rtt.max(1)).unwrap_or(u16::MAX)),
        }
    }
}

/// A person's last completed sign-ins, oldest first. Personal data: keep it sealed. At most 64 entries of 74 bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    pub(crate) past: Vec<Past>,
}

impl History {
    /// How many sign-ins are remembered.
    pub fn len(&self) -> usize {
        self.past.len()
    }

    /// Nothing is known of this person.
    pub fn is_empty(&self) -> bool {
        self.past.is_empty()
    }

    pub(crate) fn push(&mut self, sighting: &Sighting) {
        if self.past.len() >= HISTORY_LIMIT {
            self.past.drain(..=self.past.len() - HISTORY_LIMIT);
        }
        self.past.push(Past::of(sighting));
    }

    /// Forgets what happened at or after `since`, because its owner says that it was not them.
    pub fn forget_since(&mut self, since: Timestamp) {
        self.past.retain(|past| past.at < since);
    }

    /// The form to store; versioned.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(MAGIC, VERSION);
        out.u16(u16::try_from(self.past.len()).unwrap_or(0));
        for past in &self.past {
            out.u64(past.at.as_millis().cast_unsigned());
            out.bytes(&past.line);
            out.u64(past.provider);
            let place = past.place;
            out.bytes(&place.map_or([0; 2], |place| place.country));
            out.u32(place.and_then(|place| place.city).unwrap_or(0));
            let position = place.and_then(|place| place.position);
            out.f32(position.map_or(1_000.0, |(latitude, _)| latitude));
            out.f32(position.map_or(1_000.0, |(_, longitude)| longitude));
            out.u8(u8::from(past.hidden));
            out.u64(past.shape);
            out.u64(past.family);
            out.u16(past.version);
            out.u64(past.device);
            out.u16(past.rtt_ms);
        }
        out.finish()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// If it is of another version, cut, or too long.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CorruptState> {
        let mut input = Reader::new(bytes, MAGIC, VERSION)?;
        let len = usize::from(input.u16()?);
        if len > HISTORY_LIMIT {
            return Err(CorruptState("more sign-ins than are ever kept"));
        }
        let mut past = Vec::with_capacity(len);
        for _ in 0..len {
            let at = Timestamp::from_millis(input.u64()?.cast_signed());
            let line = input.array()?;
            let provider = input.u64()?;
            let country: [u8; 2] = input.array()?;
            let city = Some(input.u32()?).filter(|city| *city != 0);
            let (latitude, longitude) = (input.f32()?, input.f32()?);
            let position =
                (latitude.abs() <= 90.0 && longitude.abs() <= 180.0).then_some((latitude, longitude));
            past.push(Past {
                at,
                line,
                provider,
                place: (country != [0; 2]).then_some(Place { country, city, position }),
                hidden: input.u8()? != 0,
                shape: input.u64()?,
                family: input.u64()?,
                version: input.u16()?,
                device: input.u64()?,
                rtt_ms: input.u16()?,
            });
        }
        input.end()?;
        Ok(Self { past })
    }
}
