//! Networks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A network in CIDR form (`10.0.0.0/8`); a single address counts as the network of just itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let single = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse()
            .map(|net: IpNet| Self(net.trunc()))
            .or_else(|_| single().map(Self))
            .map_err(|_| "expected a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"".to_owned())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

super::text_value!(Network, "Network", "a network such as \"10.0.0.0/8\"");
