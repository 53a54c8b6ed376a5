//! The client's address of a request that may have passed proxies.
//!
//! Invariant: of `X-Forwarded-For` only the hops that trusted proxies wrote count; whatever else a
//! client writes there is ignored (RELIABILITY K6).

use crate::limits::HOPS_MAX;
use axum::extract::ConnectInfo;
use http::HeaderName;
use http::request::Parts;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The client's address. Only a test has a connection without one: it gets the unspecified
/// address, which no allow list contains.
pub(crate) fn of_client(parts: &Parts, trusted: &[IpNet]) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |c| c.0.ip());
    let lines = parts.headers.get_all(HeaderName::from_static("x-forwarded-for"));
    nearest_untrusted(peer, lines.iter().map(|v| v.as_bytes()), trusted)
}

/// The peer, unless it is a trusted proxy; then the first hop from the right that is not a trusted
/// proxy. `lines` are the header's lines in their order. A hop that cannot be parsed, or too many
/// hops, give the peer.
fn nearest_untrusted<'h>(
    peer: IpAddr,
    lines: impl DoubleEndedIterator<Item = &'h [u8]>,
    trusted: &[IpNet],
) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| contains(net, address));
    if !is_trusted(peer) {
        return peer;
    }
    let hops = lines.rev().flat_map(|line| line.rsplit(|b| *b == b','));
    let mut nearest = peer;
    for (n, hop) in hops.enumerate() {
        let Some(address) = parse_hop(hop) else { return peer };
        if n >= HOPS_MAX {
            return peer;
        }
        nearest = address;
        if !is_trusted(address) {
            break;
        }
    }
    nearest
}

/// A range of IPv4 addresses may be written as IPv6 too: `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
fn contains(net: &IpNet, address: IpAddr) -> bool {
    match (net, address) {
        (IpNet::V6(_), IpAddr::V4(v4)) => net.contains(&IpAddr::V6(v4.to_ipv6_mapped())),
        (IpNet::V4(_), _) | (_, IpAddr::V6(_)) => net.contains(&address),
    }
}

fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop.trim_ascii()).ok()?;
    Some(text.parse::<IpAddr>().ok()?.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &[&str] = &[];
    const ONE: &[&str] = &["10.0.0.1/32"];
    const TEN: &[&str] = &["10.0.0.0/8", "2001:db8:aaaa::/48"];

    fn check(trusted: &[&str], peer: &str, lines: &[&str], expected: &str) {
        let trusted: Vec<IpNet> = trusted.iter().map(|t| t.parse().unwrap()).collect();
        let lines_bytes = lines.iter().map(|l| l.as_bytes());
        let found = nearest_untrusted(peer.parse().unwrap(), lines_bytes, &trusted);
        let expected: IpAddr = expected.parse().unwrap();
        assert_eq!(found, expected, "{trusted:?} {peer} {lines:?}");
    }

    /// Trusted proxies, the peer, the header's lines, and the expected address.
    const ROWS: &[(&[&str], &str, &[&str], &str)] = &[
        // No trusted proxy: the header is ignored.
        (NONE, "9.9.9.9", &[], "9.9.9.9"),
        (NONE, "9.9.9.9", &["1.2.3.4"], "9.9.9.9"),
        (NONE, "9.9.9.9", &["1.2.3.4, 5.6.7.8"], "9.9.9.9"),
        (NONE, "10.0.0.1", &["1.2.3.4"], "10.0.0.1"),
        (NONE, "::ffff:9.9.9.9", &["1.2.3.4"], "9.9.9.9"),
        (NONE, "2001:db8::1", &["1.2.3.4"], "2001:db8::1"),
        (NONE, "127.0.0.1", &["1.2.3.4"], "127.0.0.1"),
        (NONE, "::1", &["1.2.3.4"], "::1"),
        // One proxy: the rightmost hop is the one it wrote.
        (ONE, "9.9.9.9", &["1.2.3.4"], "9.9.9.9"),
        (ONE, "10.0.0.2", &["1.2.3.4"], "10.0.0.2"),
        (ONE, "10.0.0.1", &[], "10.0.0.1"),
        (ONE, "10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
        (ONE, "::ffff:10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
        (ONE, "10.0.0.1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
        (ONE, "10.0.0.1", &["6.6.6.6,1.2.3.4"], "1.2.3.4"),
        (ONE, "10.0.0.1", &["6.6.6.6 ,\t1.2.3.4 "], "1.2.3.4"),
        (ONE, "10.0.0.1", &["6.6.6.6", "1.2.3.4"], "1.2.3.4"),
        (ONE, "10.0.0.1", &["6.6.6.6, 7.7.7.7", "8.8.8.8, 1.2.3.4"], "1.2.3.4"),
        (ONE, "10.0.0.1", &["10.0.0.1, 1.2.3.4"], "1.2.3.4"),
        (ONE, "10.0.0.1", &["6.6.6.6, 10.0.0.1"], "6.6.6.6"),
        (ONE, "10.0.0.1", &["6.6.6.6, 10.0.0.9"], "10.0.0.9"),
        (ONE, "10.0.0.1", &["::ffff:1.2.3.4"], "1.2.3.4"),
        (ONE, "10.0.0.1", &["2001:db8::7"], "2001:db8::7"),
        (ONE, "10.0.0.1", &["garbage, 1.2.3.4"], "1.2.3.4"),
        // Two proxies in a trusted range, IPv6 as well.
        (TEN, "10.0.0.1", &["1.2.3.4, 10.0.0.2"], "1.2.3.4"),
        (TEN, "10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.2"], "1.2.3.4"),
        (TEN, "10.0.0.1", &["1.2.3.4", "10.0.0.2"], "1.2.3.4"),
        (TEN, "10.0.0.1", &["1.2.3.4, ::ffff:10.0.0.2"], "1.2.3.4"),
        (TEN, "2001:db8:aaaa::5", &["1.2.3.4, 10.0.0.2"], "1.2.3.4"),
        (TEN, "2001:db8:bbbb::5", &["1.2.3.4, 10.0.0.2"], "2001:db8:bbbb::5"),
        (TEN, "10.0.0.1", &["10.0.0.7, 10.0.0.2"], "10.0.0.7"),
        (TEN, "10.0.0.1", &["1.2.3.4, 10.0.0.2, 9.9.9.9"], "9.9.9.9"),
        // A hop that cannot be parsed gives the peer, unless the address was found before it.
        (ONE, "10.0.0.1", &[""], "10.0.0.1"),
        (ONE, "10.0.0.1", &[" "], "10.0.0.1"),
        (ONE, "10.0.0.1", &[","], "10.0.0.1"),
        (ONE, "10.0.0.1", &["1.2.3.4,"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["1.2.3.4", ""], "10.0.0.1"),
        (ONE, "10.0.0.1", &["unknown"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["1.2.3.4:80"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["[2001:db8::7]:80"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["1.2.3"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["01.2.3.4"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["0x1.2.3.4"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["16909060"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["1.2.3.256"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["fe80::1%eth0"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["for=1.2.3.4"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["1.2.3.4;5.6.7.8"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["１.２.３.４"], "10.0.0.1"),
        (TEN, "10.0.0.1", &["1.2.3.4, junk, 10.0.0.2"], "10.0.0.1"),
    ];

    #[test]
    fn hops_that_a_client_writes_are_ignored() {
        for (trusted, peer, lines, expected) in ROWS {
            check(trusted, peer, lines, expected);
        }
        check(&["::ffff:10.0.0.0/104"], "10.1.2.3", &["1.2.3.4"], "1.2.3.4");
    }

    #[test]
    fn a_chain_is_followed_for_twenty_hops() {
        let chain = |n: usize| format!("1.2.3.4{}", ", 10.0.0.2".repeat(n));
        check(TEN, "10.0.0.1", &[&chain(HOPS_MAX - 1)], "1.2.3.4");
        check(TEN, "10.0.0.1", &[&chain(HOPS_MAX)], "10.0.0.1");
        check(TEN, "10.0.0.1", &[&chain(10_000)], "10.0.0.1");
    }
}
