//! Who is at the other end, as far as the network tells: the true address, and the cheap limit.

use std::net::IpAddr;

use base::ProblemKind;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::exchange::Exchange;
use crate::guard::Pipeline;
use crate::refusal::Stage;
use crate::{ForwardedHeader, GuardConfig, GuardError, Refusal};

use super::Stop;
use super::admit::Admitted;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Hops that are looked at; whoever sends more is believed no further.
const MAX_HOPS: usize = 16;

/// What `client` is configured with.
#[derive(Debug)]
pub(crate) struct ProxyRules {
    trusted: Vec<IpNet>,
    header: ForwardedHeader,
}

impl ProxyRules {
    pub(crate) fn new(config: &GuardConfig) -> Result<Self, GuardError> {
        let trusted = config.trusted_proxies.iter().map(|text| {
            let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| {
                GuardError::new(
                    "trusted_proxies",
                    format!("{text:?} must be an address or a network such as 10.0.0.0/8"),
                )
            })
        });
        Ok(Self { trusted: trusted.collect::<Result<_, _>>()?, header: config.forwarded })
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// The client's address and whether its side is encrypted. Starts at the socket and walks the header from right
    /// to left, only as long as each hop is one of ours: what stands further left was written by strangers.
    fn locate(&self, peer: IpAddr, tls: bool, headers: &HeaderMap) -> (IpAddr, bool) {
        let peer = peer.to_canonical();
        if self.trusted.is_empty() || !self.trusts(peer) {
            return (peer, tls);
        }
        match self.header {
            ForwardedHeader::XForwardedFor => {
                let hops = values(headers, &X_FORWARDED_FOR).map(parse_hop);
                let proto = values(headers, &X_FORWARDED_PROTO).next();
                (self.walk(peer, hops), proto.map_or(tls, |proto| proto.eq_ignore_ascii_case("https")))
            }
            ForwardedHeader::Forwarded => {
                let elements = || values(headers, &http::header::FORWARDED);
                let hops = elements().map(|element| forwarded_pair(element, "for").and_then(parse_hop));
                let proto = elements().next().and_then(|element| forwarded_pair(element, "proto"));
                (self.walk(peer, hops), proto.map_or(tls, |proto| proto.eq_ignore_ascii_case("https")))
            }
        }
    }

    fn walk(&self, peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut client = peer;
        for hop in hops.take(MAX_HOPS) {
            // An unreadable hop: the last address that one of ours vouched for is all that is known.
            let Some(address) = hop else { return client };
            client = address;
            if !self.trusts(address) {
                return client;
            }
        }
        client
    }
}

/// The elements of a list header, last first.
fn values<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> + use<'h> {
    let mut lines: Vec<&str> =
        headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect();
    lines.reverse();
    lines.into_iter().flat_map(|line| line.rsplit(',')).map(str::trim)
}

/// `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]`, `[::1]:5`, with or without quotes. Names and `_hidden` are not addresses.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(text, |(address, _port)| address),
        None if text.matches(':').count() == 1 => {
            text.split_once(':').map_or(text, |(address, _port)| address)
        }
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// The value of one parameter of a `Forwarded` element (RFC 7239 §4).
fn forwarded_pair<'e>(element: &'e str, name: &str) -> Option<&'e str> {
    element
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().trim_matches('"'))
}

/// Proof: the client's address is known and its network is not flooding.
#[derive(Debug)]
pub struct Located {
    pub(crate) admitted: Admitted,
}

/// Finds the true address and applies the cheap per-network limit.
pub fn client(pipeline: &Pipeline, exchange: &mut Exchange, admitted: Admitted) -> Result<Located, Stop> {
    let connection = exchange.connection;
    (exchange.address, exchange.tls) =
        pipeline.proxies.locate(connection.peer.ip(), connection.tls, admitted.request.headers());
    // Behind a proxy of ours it is the way to the proxy, which says nothing about the client.
    exchange.round_trip =
        connection.round_trip.filter(|_| !pipeline.proxies.trusts(connection.peer.ip().to_canonical()));
    // Once for the whole request; everything that is recorded of it says the same.
    exchange.place = pipeline.locate.as_ref().and_then(|locate| locate.place(exchange.address));
    let refused = pipeline.rates.network(exchange.address, exchange.at);
    if let Some(reading) = refused {
        let retry = reading.retry_after_s();
        exchange.reading = Some(reading);
        let problem = base::Problem::new(ProblemKind::RateLimited)
            .detail(format!("This network sends more than its limit. Try again in {retry} s."))
            .retry_after(retry);
        return Err(Refusal::at(Stage::Client, problem, "network_limit").into());
    }
    exchange.note(Stage::Client, "ok");
    Ok(Located { admitted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locate(header: ForwardedHeader, peer: &str, lines: &[(&'static str, &str)]) -> (String, bool) {
        let mut config = GuardConfig::new("http://localhost");
        config.trusted_proxies = vec!["10.0.0.0/8".into(), "2001:db8::1".into()];
        config.forwarded = header;
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let rules = ProxyRules::new(&config).unwrap();
        let (address, tls) = rules.locate(peer.parse().unwrap(), false, &headers);
        (address.to_string(), tls)
    }

    fn xff(peer: &str, value: &str) -> String {
        locate(ForwardedHeader::XForwardedFor, peer, &[("x-forwarded-for", value)]).0
    }

    #[test]
    fn strangers_headers_do_not_count() {
        assert_eq!(xff("203.0.113.9", "198.51.100.1"), "203.0.113.9");
        let spoofed = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-proto", "https")];
        assert_eq!(
            locate(ForwardedHeader::XForwardedFor, "203.0.113.9", &spoofed),
            ("203.0.113.9".into(), false)
        );
    }

    #[test]
    fn walks_from_right_to_left_through_our_own_proxies_only() {
        assert_eq!(xff("10.0.0.1", "198.51.100.7"), "198.51.100.7");
        assert_eq!(xff("10.0.0.1", "6.6.6.6, 198.51.100.7"), "198.51.100.7");
        assert_eq!(xff("10.0.0.1", "6.6.6.6, 198.51.100.7, 10.2.3.4"), "198.51.100.7");
        assert_eq!(xff("::ffff:10.0.0.1", "198.51.100.7"), "198.51.100.7");
        assert_eq!(xff("2001:db8::1", "\"[2001:db8:5::9]:443\""), "2001:db8:5::9");
        let two_lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "198.51.100.7")];
        assert_eq!(locate(ForwardedHeader::XForwardedFor, "10.0.0.1", &two_lines).0, "198.51.100.7");
    }

    #[test]
    fn unreadable_hops_end_the_walk() {
        assert_eq!(xff("10.0.0.1", "6.6.6.6, unknown"), "10.0.0.1");
        assert_eq!(xff("10.0.0.1", "6.6.6.6, _hidden, 10.0.0.2"), "10.0.0.2");
        assert_eq!(xff("10.0.0.1", ""), "10.0.0.1");
        let many = ["10.0.0.3"; 1_000].join(",");
        assert_eq!(xff("10.0.0.1", &format!("6.6.6.6,{many}")), "10.0.0.3");
    }

    #[test]
    fn only_the_configured_header_is_read() {
        let both =
            [("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=198.51.100.7;proto=https;by=10.0.0.1")];
        assert_eq!(locate(ForwardedHeader::Forwarded, "10.0.0.1", &both), ("198.51.100.7".into(), true));
        assert_eq!(locate(ForwardedHeader::XForwardedFor, "10.0.0.1", &both), ("6.6.6.6".into(), false));
        let quoted = [("forwarded", "for=6.6.6.6, For=\"[2001:db8:5::9]:1\"; Proto=http")];
        assert_eq!(locate(ForwardedHeader::Forwarded, "10.0.0.1", &quoted), ("2001:db8:5::9".into(), false));
    }

    #[test]
    fn wrong_networks_are_named() {
        let mut config = GuardConfig::new("http://localhost");
        config.trusted_proxies = vec!["ten".into()];
        assert!(ProxyRules::new(&config).unwrap_err().to_string().contains("\"ten\""));
    }
}
