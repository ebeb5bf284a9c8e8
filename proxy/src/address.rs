//! Whom a request comes from, if it comes through proxies.
//!
//! Anybody can write a forwarding header, so only listed proxies are believed, and only what they wrote: addresses are
//! read from the right, where the nearest proxy put its own, up to the first that is not listed.
//!
//! | Law | Test |
//! |---|---|
//! | Without a listed proxy, the socket alone counts. | `headers_of_strangers_are_not_read` |
//! | What stands left of the first stranger changes nothing. | `what_a_client_writes_changes_nothing` |
//! | Addresses of one IPv6 network of 64 bits count as one. | `a_network_counts_as_one` |

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};

use crate::settings::Cidr;

/// Proxies before ours that are believed: networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<Network>,
}

/// A network: an address, and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoNetwork(String);

impl fmt::Display for NoNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is no address or network, such as \"10.0.0.0/8\" or \"::1\"",
            self.0
        )
    }
}

impl std::error::Error for NoNetwork {}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Network, NoNetwork> {
        let wrong = || NoNetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        if most < bits {
            return Err(wrong());
        }
        Ok(Network { address, bits })
    }
}

impl Network {
    /// Whether `address` is in it; IPv4 within IPv6 is IPv4.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.bits);
                (net.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.bits);
                (net.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl From<Cidr> for Network {
    fn from(cidr: Cidr) -> Network {
        let most = if cidr.address.is_ipv4() { 32 } else { 128 };
        Network {
            address: cidr.address,
            bits: cidr.prefix.min(most),
        }
    }
}

impl FromIterator<Network> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> TrustedProxies {
        TrustedProxies {
            networks: networks.into_iter().collect(),
        }
    }
}

impl TrustedProxies {
    /// The address of the client whose request came from `socket` with these `headers`.
    ///
    /// `Forwarded` is read where it is there, else `X-Forwarded-For`. What is no address ends the reading: then the
    /// proxy that wrote it is the client.
    #[must_use]
    pub fn client(&self, socket: IpAddr, headers: &HeaderMap) -> IpAddr {
        let socket = socket.to_canonical();
        if !self.trusts(socket) {
            return socket;
        }
        let forwarded = headers.contains_key(FORWARDED);
        let name = if forwarded { FORWARDED } else { X_FORWARDED_FOR };
        let lines = headers.get_all(name).iter().rev();
        let hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        let mut client = socket;
        for hop in hops {
            let address = if forwarded { forwarded_for(hop) } else { plain(hop) };
            let Some(address) = address else {
                return client;
            };
            client = address;
            if !self.trusts(address) {
                return client;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.has(address))
    }
}

/// An address as a limit counts it: IPv6 by its network of 64 bits, for one host has all of it.
#[must_use]
pub fn counted(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = Ipv6Addr::from_bits(address.to_bits() >> 64 << 64);
            format!("{network}/64")
        }
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address in `for=192.0.2.1;proto=https`, or `for="[2001:db8::1]:4711"`.
fn forwarded_for(hop: &[u8]) -> Option<IpAddr> {
    let pairs = hop.split(|byte| *byte == b';');
    let mut values = pairs.filter_map(|pair| {
        let (name, value) = pair.trim_ascii().split_at_checked("for=".len())?;
        name.eq_ignore_ascii_case(b"for=").then_some(value)
    });
    let value = values.next_back()?;
    let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    plain(quoted.unwrap_or(value))
}

/// An address, perhaps with a port, perhaps in brackets.
fn plain(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => text,
    };
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip());
    let address = bare.parse::<IpAddr>().ok().or_else(with_port)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proxies(networks: &[&str]) -> TrustedProxies {
        let networks = networks.iter().map(|text| text.parse::<Network>().expect("a network"));
        networks.collect()
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn headers_of_strangers_are_not_read() {
        let forged = headers(&[("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=192.0.2.8")]);
        assert_eq!(proxies(&[]).client(ip("203.0.113.9"), &forged), ip("203.0.113.9"));
        let others = proxies(&["10.0.0.0/8"]);
        assert_eq!(others.client(ip("203.0.113.9"), &forged), ip("203.0.113.9"));
    }

    #[test]
    fn the_rightmost_stranger_is_the_client() {
        let trusted = proxies(&["10.0.0.0/8", "fd00::/8"]);
        let cases = [
            ("x-forwarded-for", "192.0.2.1", "192.0.2.1"),
            ("x-forwarded-for", "198.51.100.1, 192.0.2.1, 10.1.2.3", "192.0.2.1"),
            ("x-forwarded-for", "10.9.9.9, 10.1.2.3", "10.9.9.9"),
            ("x-forwarded-for", "192.0.2.1:4711", "192.0.2.1"),
            ("x-forwarded-for", "2001:db8::1", "2001:db8::1"),
            ("x-forwarded-for", "[2001:db8::1]:4711", "2001:db8::1"),
            ("x-forwarded-for", "::ffff:192.0.2.1", "192.0.2.1"),
            ("x-forwarded-for", "192.0.2.1, unknown, 10.1.2.3", "10.1.2.3"),
            ("x-forwarded-for", "", "10.0.0.1"),
            ("forwarded", "for=192.0.2.1;proto=https", "192.0.2.1"),
            ("forwarded", "For=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            (
                "forwarded",
                "for=198.51.100.1, for=192.0.2.1, for=10.1.2.3",
                "192.0.2.1",
            ),
            ("forwarded", "by=10.0.0.2;for=192.0.2.1", "192.0.2.1"),
            ("forwarded", "for=_hidden", "10.0.0.1"),
        ];
        for (name, value, client) in cases {
            let headers = headers(&[(name, value)]);
            assert_eq!(trusted.client(ip("10.0.0.1"), &headers), ip(client), "{name}: {value}");
        }
        let lines = headers(&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.1.2.3")]);
        assert_eq!(trusted.client(ip("fd00::1"), &lines), ip("192.0.2.1"));
    }

    #[test]
    fn a_network_counts_as_one() {
        assert_eq!(counted(ip("192.0.2.1")), "192.0.2.1");
        assert_eq!(counted(ip("::ffff:192.0.2.1")), "192.0.2.1");
        assert_eq!(counted(ip("2001:db8:1:2:3:4:5:6")), "2001:db8:1:2::/64");
        assert_eq!(counted(ip("2001:db8:1:2::ffff")), "2001:db8:1:2::/64");
    }

    #[test]
    fn what_is_no_network_is_said() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "host",
            "10.0.0.0/-1",
            "10.0.0.0/",
        ] {
            let error = text.parse::<Network>().expect_err(text);
            assert!(
                error.to_string().starts_with(&format!("\"{text}\" is no address")),
                "{error}"
            );
        }
        assert!("0.0.0.0/0".parse::<Network>().expect("all").has(ip("203.0.113.9")));
        assert!(!"0.0.0.0/0".parse::<Network>().expect("all").has(ip("::1")));
    }

    proptest! {
        #[test]
        fn what_a_client_writes_changes_nothing(written in "[ -~&&[^\r\n]]{0,60}", is_standard: bool) {
            let trusted = proxies(&["10.0.0.0/8"]);
            let (name, nearest) = if is_standard {
                ("forwarded", "for=192.0.2.1")
            } else {
                ("x-forwarded-for", "192.0.2.1")
            };
            let headers = headers(&[(name, &format!("{written},{nearest}"))]);
            prop_assert_eq!(trusted.client(ip("10.0.0.1"), &headers), ip("192.0.2.1"));
        }
    }
}
