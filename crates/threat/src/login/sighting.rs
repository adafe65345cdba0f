//! What is seen of a sign-in.

use std::net::IpAddr;

use base::Timestamp;

use super::Agent;
use super::sketch::hash;

/// What is known of the network that an address belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Network {
    /// Number of the autonomous system, if a file that knows it is configured.
    pub provider: Option<u32>,
    /// A VPN, proxy, Tor exit or other network that hides where people are. `None` if nobody was asked.
    pub anonymous: Option<bool>,
    /// A data centre.
    pub hosting: bool,
    /// Known for attacks: 0 nothing known, 1 certain.
    pub reputation: f32,
}

/// Where an address seems to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// ISO 3166-1 alpha-2.
    pub country: [u8; 2],
    /// A number for the city (such as its GeoNames id), if known.
    pub city: Option<u32>,
    /// Latitude and longitude in degrees, if known.
    pub position: Option<(f32, f32)>,
}

/// What happened around this sign-in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// Failed sign-ins of this account in the last hour.
    pub account_failures: u32,
    /// Failed sign-ins from this network in the last hour.
    pub network_failures: u32,
    /// The password that was given is in a list of breached ones, or is marked as compromised.
    pub breached_password: bool,
}

/// One sign-in whose password (or passkey) was right, as far as the server saw it. Everything but the time may be
/// missing; what is missing is neither held against the person nor in their favour.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// When.
    pub at: Timestamp,
    /// The client's true address.
    pub address: Option<IpAddr>,
    /// Its network.
    pub network: Network,
    /// Where that seems to be.
    pub place: Option<Place>,
    /// The user agent.
    pub agent: Agent,
    /// The device, if it showed a cookie of ours that signed in to this account before; any number that is never zero
    /// and stays the same. A cookie that is known to other accounts only is none: it proves nothing here.
    pub device: Option<u64>,
    /// Round-trip time of the connection, in milliseconds.
    pub rtt_ms: Option<u32>,
    /// What happened around it.
    pub circumstances: Circumstances,
}

impl Sighting {
    /// A sign-in of which only the time is known.
    pub fn at(at: Timestamp) -> Self {
        Self {
            at,
            address: None,
            network: Network::default(),
            place: None,
            agent: Agent::default(),
            device: None,
            rtt_ms: None,
            circumstances: Circumstances::default(),
        }
    }

    /// The provider: the autonomous system where known, else the /16 (IPv6: /32) that the address lies in. Zero if
    /// there is no address.
    pub(crate) fn provider(&self) -> u64 {
        match (self.network.provider, self.address) {
            (Some(number), _) => hash(b"as", &number.to_be_bytes()),
            (None, Some(IpAddr::V4(address))) => hash(b"v4", &address.octets()[..2]),
            (None, Some(IpAddr::V6(address))) => hash(b"v6", &address.octets()[..4]),
            (None, None) => 0,
        }
    }

    /// The address as sixteen bytes; of IPv6 only the /64, which is one line. Zeros if there is none.
    pub(crate) fn line(&self) -> [u8; 16] {
        match self.address.map(|address| address.to_canonical()) {
            None => [0; 16],
            Some(IpAddr::V4(address)) => address.to_ipv6_mapped().octets(),
            Some(IpAddr::V6(address)) => {
                let mut octets = address.octets();
                octets[8..].fill(0);
                octets
            }
        }
    }

    /// The provider and the kind of device, as bytes to be fingerprinted: two sightings that agree here come from the
    /// same whereabouts as far as a person moves between two requests.
    pub fn whence(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.provider().to_be_bytes());
        bytes[8..].copy_from_slice(&self.agent.shape.to_be_bytes());
        bytes
    }

    /// Whether the network hides where people are; `None` if that is not known.
    pub(crate) fn hidden(&self) -> Option<bool> {
        if self.network.hosting { Some(true) } else { self.network.anonymous }
    }

    /// The network hides where people are, or is known for attacks.
    pub(crate) fn bad_network(&self) -> bool {
        self.network.anonymous == Some(true) || self.network.hosting || self.network.reputation >= 0.5
    }
}
