//! What an audio file is, by its own bytes; what the sender says about it is not believed.

use axum::http::HeaderValue;
use serde::{Deserialize, Serialize};

/// Bytes that [`Format::sniff`] wants to see.
pub const HEAD: usize = 16;

/// A format that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// MPEG-1 Audio Layer III.
    Mp3,
    /// RIFF WAVE.
    Wav,
    /// Free Lossless Audio Codec.
    Flac,
    /// Ogg (Vorbis, Opus).
    Ogg,
}

impl Format {
    /// The format of a file that starts with these bytes.
    pub fn sniff(head: &[u8]) -> Option<Self> {
        match head {
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some(Self::Wav),
            [b'f', b'L', b'a', b'C', ..] => Some(Self::Flac),
            [b'O', b'g', b'g', b'S', ..] => Some(Self::Ogg),
            [b'I', b'D', b'3', ..] => Some(Self::Mp3),
            // ISO 11172-3 §2.4.1.3: eleven ones, a version, layer III, a bit rate and a sampling rate that exist.
            [0xFF, second, third, ..]
                if second & 0xE6 == 0xE2
                    && second >> 3 & 3 != 1
                    && !matches!(third >> 4, 0 | 15)
                    && third >> 2 & 3 != 3 =>
            {
                Some(Self::Mp3)
            }
            _ => None,
        }
    }

    /// Its media type.
    pub const fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Mp3 => "audio/mpeg",
            Self::Wav => "audio/wav",
            Self::Flac => "audio/flac",
            Self::Ogg => "audio/ogg",
        })
    }
}
