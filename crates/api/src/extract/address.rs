//! The client's address of a request that may have passed proxies.
//!
//! Invariant: only the hops that trusted proxies wrote count, in the one header that the settings
//! name; whatever else a client writes there is ignored (RELIABILITY K6).

use crate::limits::HOPS_MAX;
use crate::{ForwardedHeader, Settings};
use axum::extract::ConnectInfo;
use http::HeaderName;
use http::request::Parts;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Once;

/// The client's address. Only a test has a connection without one: it gets the unspecified
/// address, which no allow list contains.
pub(crate) fn of_client(parts: &Parts, settings: &Settings) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |c| c.0.ip());
    let header = settings.forwarded_header;
    let name = HeaderName::from_static(match header {
        ForwardedHeader::XForwardedFor => "x-forwarded-for",
        ForwardedHeader::Forwarded => "forwarded",
    });
    let lines = parts.headers.get_all(name).iter().map(|value| value.as_bytes());
    let hops = Hops { header, trusted: &settings.trusted_proxies };
    hops.nearest_untrusted(peer, lines).unwrap_or_else(|unreadable| {
        warn_once(peer, unreadable);
        peer.to_canonical()
    })
}

/// Behind a proxy that writes another form, all clients would count as one: somebody must see it.
fn warn_once(peer: IpAddr, hop: &[u8]) {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        let hop: String = String::from_utf8_lossy(hop).chars().take(100).collect();
        tracing::warn!(
            %peer,
            hop,
            "a trusted proxy wrote an address that cannot be read: its own counts instead; \
             this is said once"
        );
    });
}

/// How hops are read.
struct Hops<'a> {
    header: ForwardedHeader,
    trusted: &'a [IpNet],
}

impl Hops<'_> {
    /// The peer, unless it is a trusted proxy; then the first hop from the right that is not a
    /// trusted proxy. `lines` are the header's lines in their order. Too many hops give the peer; a
    /// hop that cannot be read is the error.
    fn nearest_untrusted<'h>(
        &self,
        peer: IpAddr,
        lines: impl DoubleEndedIterator<Item = &'h [u8]>,
    ) -> Result<IpAddr, &'h [u8]> {
        let peer = peer.to_canonical();
        let is_trusted = |address: IpAddr| self.trusted.iter().any(|net| contains(net, address));
        if !is_trusted(peer) {
            return Ok(peer);
        }
        // From the right, and whatever the quotes: no proxy writes a comma within a hop, and a
        // quote that a client left open changes nothing on its right.
        let hops = lines.rev().flat_map(|line| line.rsplit(|b| *b == b','));
        let mut nearest = peer;
        for (n, hop) in hops.enumerate() {
            let address = self.address(hop).ok_or(hop)?;
            if n >= HOPS_MAX {
                return Ok(peer);
            }
            nearest = address;
            if !is_trusted(address) {
                break;
            }
        }
        Ok(nearest)
    }

    fn address(&self, hop: &[u8]) -> Option<IpAddr> {
        let text = std::str::from_utf8(hop).ok()?.trim_matches(OWS);
        match self.header {
            ForwardedHeader::XForwardedFor => parse_node(text),
            ForwardedHeader::Forwarded => {
                let mut nodes = text.split(';').filter_map(|pair| {
                    let (name, value) = pair.split_once('=')?;
                    name.trim_matches(OWS).eq_ignore_ascii_case("for").then_some(value)
                });
                let node = parse_node(nodes.next()?.trim_matches(OWS));
                node.filter(|_| nodes.next().is_none())
            }
        }
    }
}

/// Optional whitespace of HTTP (RFC 9110, 5.6.3).
const OWS: [char; 2] = [' ', '\t'];

/// An address as proxies write it: alone, in brackets, with a port, in quotes (RFC 7239, 6).
fn parse_node(text: &str) -> Option<IpAddr> {
    let unquoted = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    let address = match unquoted.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            IpAddr::V6(address.parse().ok().filter(|_| is_port)?)
        }
        None => match unquoted.parse() {
            Ok(address) => address,
            Err(_) => {
                let (address, port) = unquoted.split_once(':')?;
                IpAddr::V4(address.parse().ok().filter(|_| is_port(port))?)
            }
        },
    };
    Some(address.to_canonical())
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// A range of IPv4 addresses may be written as IPv6 too: `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
fn contains(net: &IpNet, address: IpAddr) -> bool {
    match (net, address) {
        (IpNet::V6(_), IpAddr::V4(v4)) => net.contains(&IpAddr::V6(v4.to_ipv6_mapped())),
        (IpNet::V4(_), _) | (_, IpAddr::V6(_)) => net.contains(&address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &[&str] = &[];
    const ONE: &[&str] = &["10.0.0.1/32"];
    const TEN: &[&str] = &["10.0.0.0/8", "2001:db8:aaaa::/48"];

    fn check(trusted: &[&str], peer: &str, lines: &[&str], expected: &str) {
        let trusted: Vec<IpNet> = trusted.iter().map(|t| t.parse().unwrap()).collect();
        check_header(ForwardedHeader::XForwardedFor, &trusted, peer, lines, expected);
    }

    fn check_header(
        header: ForwardedHeader,
        trusted: &[IpNet],
        peer: &str,
        lines: &[&str],
        expected: &str,
    ) {
        let peer: IpAddr = peer.parse().unwrap();
        let lines_bytes = lines.iter().map(|l| l.as_bytes());
        let found = Hops { header, trusted }.nearest_untrusted(peer, lines_bytes);
        let found = found.unwrap_or(peer.to_canonical());
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
        (ONE, "10.0.0.1", &["1.2.3.4:"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["1.2.3.4:65536"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["1.2.3.4:+80"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["1.2.3.4:80:80"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["[1.2.3.4]:80"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["[2001:db8::7"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["[2001:db8::7]80"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["[2001:db8::7]:"], "10.0.0.1"),
        (ONE, "10.0.0.1", &["\"1.2.3.4"], "10.0.0.1"),
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
        // Every form that proxies write: with a port, in brackets, in quotes.
        (ONE, "10.0.0.1", &["203.0.113.7:51234"], "203.0.113.7"),
        (ONE, "10.0.0.1", &["[2001:db8:5:1::9]:443"], "2001:db8:5:1::9"),
        (ONE, "10.0.0.1", &["[2001:db8:5:1::9]"], "2001:db8:5:1::9"),
        (ONE, "10.0.0.1", &["[::ffff:1.2.3.4]:443"], "1.2.3.4"),
        (ONE, "10.0.0.1", &["\"203.0.113.7\""], "203.0.113.7"),
        (ONE, "10.0.0.1", &["\"203.0.113.7:51234\""], "203.0.113.7"),
        (ONE, "10.0.0.1", &["\"[2001:db8:5:1::9]:443\""], "2001:db8:5:1::9"),
        (ONE, "10.0.0.1", &["6.6.6.6, 203.0.113.7:51234"], "203.0.113.7"),
        (TEN, "10.0.0.1", &["203.0.113.7:51234, 10.0.0.2:80"], "203.0.113.7"),
        // A client's own quotes and brackets, left of what the proxy wrote, change nothing.
        (ONE, "10.0.0.1", &["\"6.6.6.6, 203.0.113.7:51234"], "203.0.113.7"),
        (ONE, "10.0.0.1", &["[6.6.6.6, 203.0.113.7"], "203.0.113.7"),
    ];

    /// The lines of `Forwarded` behind one proxy, and the expected address.
    const FORWARDED: &[(&[&str], &str)] = &[
        (&["for=203.0.113.7"], "203.0.113.7"),
        (&["For=203.0.113.7;proto=https;by=10.0.0.1"], "203.0.113.7"),
        (&["proto=https ; for=\"203.0.113.7:51234\""], "203.0.113.7"),
        (&["for=\"[2001:db8:5:1::9]:443\""], "2001:db8:5:1::9"),
        (&["for=6.6.6.6, for=203.0.113.7"], "203.0.113.7"),
        (&["for=6.6.6.6", "for=203.0.113.7;proto=http"], "203.0.113.7"),
        (&["for=\"6.6.6.6, for=203.0.113.7"], "203.0.113.7"),
        (&["for=unknown"], "10.0.0.1"),
        (&["for=_hidden"], "10.0.0.1"),
        (&["for=6.6.6.6;for=203.0.113.7"], "10.0.0.1"),
        (&["by=203.0.113.7"], "10.0.0.1"),
        (&["203.0.113.7"], "10.0.0.1"),
        (&[], "10.0.0.1"),
    ];

    #[test]
    fn forwarded_is_read_where_it_is_named() {
        let trusted = ["10.0.0.1/32".parse().unwrap()];
        for (lines, expected) in FORWARDED {
            check_header(ForwardedHeader::Forwarded, &trusted, "10.0.0.1", lines, expected);
            check_header(ForwardedHeader::Forwarded, &trusted, "9.9.9.9", lines, "9.9.9.9");
        }
    }

    #[test]
    fn one_header_counts_and_never_both() {
        let both = || {
            let mut parts = http::Request::new(()).into_parts().0;
            let peer: SocketAddr = "10.0.0.1:80".parse().unwrap();
            parts.extensions.insert(ConnectInfo(peer));
            parts.headers.insert("x-forwarded-for", "203.0.113.7:1".parse().unwrap());
            parts.headers.insert("forwarded", "for=203.0.113.8".parse().unwrap());
            parts
        };
        for (forwarded_header, expected) in [
            (ForwardedHeader::XForwardedFor, "203.0.113.7"),
            (ForwardedHeader::Forwarded, "203.0.113.8"),
        ] {
            let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
            let settings = Settings { trusted_proxies, forwarded_header, ..Settings::default() };
            assert_eq!(of_client(&both(), &settings), expected.parse::<IpAddr>().unwrap());
        }
    }

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
