//! What holds for a peer because of its address: values by ranges of addresses (CIDR,
//! RFC 4632). Of the ranges that have an address, the one with the longest prefix
//! counts.

use std::net::IpAddr;

use hotsocket_sandbox::Endpoint;
use ipnet::{IpNet, Ipv4Net};

/// Ranges of one listener: each is looked at for each connection.
pub const MAX_RANGES: usize = 1024;

/// Some addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    Ip(IpNet),
    /// Every peer of a Unix socket.
    Unix,
}

impl Range {
    /// `10.0.0.0/8`, a single address, or `unix`.
    ///
    /// # Errors
    /// Says what else it is.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "unix" => Ok(Range::Unix),
            _ => Self::parse_ip(text),
        }
    }

    /// The same without `unix`.
    ///
    /// # Errors
    /// Says what else it is.
    pub fn parse_ip(text: &str) -> Result<Self, String> {
        if text == "unix" {
            return Err("who may connect to a Unix socket is up to its file's mode".to_owned());
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Range::Ip(address.to_canonical().into()));
        }
        let range: IpNet = text.parse().map_err(|_| {
            format!("{text:?} is no range of addresses; try 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32")
        })?;
        match range.trunc() == range {
            true => Ok(Range::Ip(to_canonical(range))),
            false => Err(format!(
                "{text} has bits beyond its prefix; the range is {}",
                range.trunc()
            )),
        }
    }

    fn contains(&self, peer: &Endpoint) -> bool {
        match (self, peer) {
            // A socket of both families has peers such as ::ffff:192.0.2.7.
            (Range::Ip(range), Endpoint::Ip(address)) => {
                range.contains(&address.ip().to_canonical())
            }
            (Range::Unix, Endpoint::Unix(_)) => true,
            _ => false,
        }
    }

    fn prefix(&self) -> u8 {
        match self {
            Range::Ip(range) => range.prefix_len(),
            Range::Unix => 0,
        }
    }
}

/// A range in `::ffff:0:0/96` is one of IPv4, as the addresses in it are.
fn to_canonical(range: IpNet) -> IpNet {
    let IpNet::V6(mapped) = range else {
        return range;
    };
    let address = mapped.addr().to_ipv4_mapped();
    let parts = address.zip(mapped.prefix_len().checked_sub(96));
    let range_v4 = parts.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    range_v4.map_or(range, IpNet::V4)
}

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges<T> {
    /// The longest prefixes first.
    ranges: Vec<(Range, T)>,
}

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Ranges { ranges: Vec::new() }
    }
}

impl<T: Copy> Ranges<T> {
    /// Of two that are the same range, the first counts.
    pub fn new(ranges: impl IntoIterator<Item = (Range, T)>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().collect();
        ranges.sort_by_key(|(range, _)| std::cmp::Reverse(range.prefix()));
        Ranges { ranges }
    }

    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether any range has this value.
    pub fn has(&self, value: T) -> bool
    where
        T: PartialEq,
    {
        self.ranges.iter().any(|(_, each)| *each == value)
    }

    /// What holds for this peer; `None` if no range has it.
    pub fn get(&self, peer: &Endpoint) -> Option<T> {
        let mut ranges = self.ranges.iter();
        let found = ranges.find(|(range, _)| range.contains(peer));
        found.map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(all: &[(&str, u8)]) -> Ranges<u8> {
        let parse = |(text, value): &(&str, u8)| (Range::parse(text).expect(text), *value);
        Ranges::new(all.iter().map(parse))
    }

    fn peer(ip: &str) -> Endpoint {
        Endpoint::Ip((ip.parse::<IpAddr>().expect(ip), 1).into())
    }

    #[test]
    fn the_longest_prefix_counts_whatever_the_order() {
        let all = [
            ("0.0.0.0/0", 0),
            ("10.1.0.0/16", 2),
            ("10.0.0.0/8", 1),
            ("10.1.2.3", 3),
        ];
        let mut reversed = all;
        reversed.reverse();
        for ranges in [ranges(&all), ranges(&reversed)] {
            for (ip, value) in [
                ("10.1.2.3", 3),
                ("10.1.2.4", 2),
                ("10.2.0.0", 1),
                ("192.0.2.1", 0),
                ("::ffff:10.1.2.3", 3),
            ] {
                assert_eq!(ranges.get(&peer(ip)), Some(value), "{ip}");
            }
            assert_eq!(ranges.get(&peer("::1")), None);
            assert_eq!(ranges.get(&Endpoint::Unix(None)), None);
        }
        let unix = ranges(&[("unix", 7), ("::/0", 6)]);
        assert_eq!(unix.get(&Endpoint::Unix(None)), Some(7));
        assert_eq!(unix.get(&peer("::1")), Some(6));
    }

    #[test]
    fn a_range_of_mapped_addresses_is_one_of_ipv4() {
        let all = [("::ffff:10.0.0.0/104", 1), ("::ffff:0:0/96", 0)];
        let mapped = ranges(&all);
        assert_eq!(mapped, ranges(&[("10.0.0.0/8", 1), ("0.0.0.0/0", 0)]));
        assert_eq!(mapped.get(&peer("10.1.2.3")), Some(1));
        assert_eq!(mapped.get(&peer("::ffff:192.0.2.1")), Some(0));
        assert_eq!(mapped.get(&peer("::1")), None);
        // Those around it stay what they are.
        let wider = ranges(&[("::/64", 2), ("2001:db8::/104", 3)]);
        assert_eq!(wider.get(&peer("::1")), Some(2));
        assert_eq!(wider.get(&peer("2001:db8::1")), Some(3));
        assert_eq!(wider.get(&peer("10.1.2.3")), None);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "localhost",
            "10.0.0.1/8",
            "1.2.3.4:5",
            "*",
        ] {
            assert!(Range::parse(text).is_err(), "{text}");
        }
        let error = Range::parse("10.0.0.1/8").expect_err("beyond its prefix");
        assert!(error.ends_with("the range is 10.0.0.0/8"), "{error}");
    }
}
