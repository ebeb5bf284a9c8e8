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

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};

use crate::settings::Cidr;

/// The address of the client whose request came from `socket` with these `headers`, `trusted` proxies being believed.
///
/// `Forwarded` is read where it is there, else `X-Forwarded-For`. What is no address ends the reading: then the proxy
/// that wrote it is the client.
#[must_use]
pub fn client(trusted: &[Cidr], socket: IpAddr, headers: &HeaderMap) -> IpAddr {
    let trusts = |address| trusted.iter().any(|network| network.holds(address));
    let mut client = socket.to_canonical();
    if !trusts(client) {
        return client;
    }
    let is_standard = headers.contains_key(FORWARDED);
    let name = if is_standard { FORWARDED } else { X_FORWARDED_FOR };
    let lines = headers.get_all(name).iter().rev();
    for hop in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
        let Some(address) = (if is_standard { forwarded_for(hop) } else { plain(hop) }) else {
            return client;
        };
        client = address;
        if !trusts(address) {
            return client;
        }
    }
    client
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
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let address = bare.parse::<IpAddr>().ok().or_else(with_port)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proxies(networks: &[(&str, u8)]) -> Vec<Cidr> {
        let network = |(text, prefix): &(&str, u8)| Cidr {
            address: ip(text),
            prefix: *prefix,
        };
        networks.iter().map(network).collect()
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
        assert_eq!(client(&[], ip("203.0.113.9"), &forged), ip("203.0.113.9"));
        let others = proxies(&[("10.0.0.0", 8)]);
        assert_eq!(client(&others, ip("203.0.113.9"), &forged), ip("203.0.113.9"));
    }

    #[test]
    fn the_rightmost_stranger_is_the_client() {
        let trusted = proxies(&[("10.0.0.0", 8), ("fd00::", 8)]);
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
        for (name, value, expected) in cases {
            let headers = headers(&[(name, value)]);
            assert_eq!(
                client(&trusted, ip("10.0.0.1"), &headers),
                ip(expected),
                "{name}: {value}"
            );
        }
        let lines = headers(&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.1.2.3")]);
        assert_eq!(client(&trusted, ip("fd00::1"), &lines), ip("192.0.2.1"));
    }

    #[test]
    fn a_network_counts_as_one() {
        assert_eq!(counted(ip("192.0.2.1")), "192.0.2.1");
        assert_eq!(counted(ip("::ffff:192.0.2.1")), "192.0.2.1");
        assert_eq!(counted(ip("2001:db8:1:2:3:4:5:6")), "2001:db8:1:2::/64");
        assert_eq!(counted(ip("2001:db8:1:2::ffff")), "2001:db8:1:2::/64");
    }

    proptest! {
        #[test]
        fn what_a_client_writes_changes_nothing(written in "[ -~&&[^\r\n]]{0,60}", is_standard: bool) {
            let trusted = proxies(&[("10.0.0.0", 8)]);
            let (name, nearest) = if is_standard {
                ("forwarded", "for=192.0.2.1")
            } else {
                ("x-forwarded-for", "192.0.2.1")
            };
            let headers = headers(&[(name, &format!("{written},{nearest}"))]);
            prop_assert_eq!(client(&trusted, ip("10.0.0.1"), &headers), ip("192.0.2.1"));
        }
    }
}
