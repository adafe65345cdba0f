//! Lists of networks as they are published: one network (CIDR) or address on a line, `#` and `;` begin remarks. Spamhaus
//! DROP, FireHOL's `netset`s and the list of Tor exits have this form.

use std::net::IpAddr;

use ipnet::IpNet;

/// More entries than any published list has.
const MAX_NETWORKS: usize = 2_000_000;

/// Networks without overlap, sorted.
#[derive(Debug)]
pub(super) struct Networks(Vec<IpNet>);

impl Networks {
    /// Reads a list; the error names the line.
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let text = String::from_utf8(bytes).map_err(|_| "is not a text file".to_owned())?;
        let mut all = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let entry = line.split(['#', ';']).next().unwrap_or_default().trim();
            if entry.is_empty() {
                continue;
            }
            if all.len() == MAX_NETWORKS {
                return Err(format!("has more than {MAX_NETWORKS} networks"));
            }
            let network = entry.parse::<IpNet>().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
            let network = network.map_err(|_| {
                format!("line {}: expected a network such as 192.0.2.0/24, or an address", at + 1)
            })?;
            if network.prefix_len() == 0 {
                return Err(format!("line {}: that is the whole internet", at + 1));
            }
            all.push(network.trunc());
        }
        let mut all = IpNet::aggregate(&all);
        all.sort_unstable();
        all.shrink_to_fit();
        Ok(Self(all))
    }

    /// Whether one of the networks contains the address.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        // Of networks without overlap only the last one that begins at or before the address can contain it.
        let after = self.0.partition_point(|network| network.network() <= address);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|network| network.contains(&address))
    }

    /// How many networks there are, after neighbours were joined.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Networks, String> {
        Networks::parse(text.as_bytes().to_vec())
    }

    #[test]
    fn published_lists_are_understood() {
        let text = "; Spamhaus DROP List\n1.10.16.0/20 ; SBL256894\n\n# Tor\n198.51.100.7\n  2001:db8:5::/48  \r\n\
                    203.0.113.0/25\n203.0.113.128/25\n203.0.113.7\n";
        let networks = list(text).unwrap();
        for inside in [
            "1.10.16.0",
            "1.10.31.255",
            "198.51.100.7",
            "2001:db8:5:1::9",
            "203.0.113.200",
            "::ffff:1.10.20.1",
        ] {
            assert!(networks.contain(inside.parse().unwrap()), "{inside}");
        }
        for outside in
            ["1.10.15.255", "1.10.32.0", "198.51.100.8", "2001:db8:6::", "0.0.0.0", "255.255.255.255", "::"]
        {
            assert!(!networks.contain(outside.parse().unwrap()), "{outside}");
        }
        // Neighbours and what lies inside of others are one.
        assert_eq!(networks.len(), 4);
        assert!(!list("").unwrap().contain("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn mistakes_are_named_by_line() {
        for (text, expected) in [
            ("192.0.2.0/24\n<html>", "line 2: expected a network"),
            ("192.0.2.0/33", "line 1: expected a network"),
            ("# all\n0.0.0.0/0", "line 2: that is the whole internet"),
            ("::/0", "line 1: that is the whole internet"),
        ] {
            let refused = list(text).unwrap_err();
            assert!(refused.starts_with(expected), "{refused}");
        }
        assert_eq!(Networks::parse(vec![0xff, 0xfe]).unwrap_err(), "is not a text file");
    }

    /// Against asking every network in turn.
    #[test]
    fn the_search_finds_what_a_slow_one_finds() {
        let mut text = String::new();
        let mut all = Vec::new();
        for number in 0..400_u32 {
            let start = number.wrapping_mul(2_654_435_761);
            let network =
                IpNet::new(std::net::Ipv4Addr::from(start).into(), 14 + (number % 19) as u8).unwrap();
            text.push_str(&format!("{network}\n"));
            all.push(network);
        }
        let networks = list(&text).unwrap();
        for number in 0..20_000_u32 {
            let address =
                IpAddr::from(std::net::Ipv4Addr::from(number.wrapping_mul(214_013).wrapping_add(2_531_011)));
            let slow = all.iter().any(|network| network.contains(&address));
            assert_eq!(networks.contain(address), slow, "{address}");
        }
    }
}
