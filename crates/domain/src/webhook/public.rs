//! Which IP addresses are public; webhooks are sent to no others.
//!
//! The lists are from IANA's registries of special-purpose addresses (RFC 6890 and its updates), as
//! in RELIABILITY O1. Invariant: an IPv6 address that embeds an IPv4 address is decided by the
//! embedded one, or is not public; an IPv6 address is public only if it is listed as global.

use ipnet::{Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix_bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix_bits)
}

const fn v6(a: u16, b: u16, prefix_bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix_bits)
}

/// The IPv4 networks that are not public.
const NOT_PUBLIC_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),        // this network: to Linux, 0.0.0.0 is the machine itself
    v4(10, 0, 0, 0, 8),       // private (RFC 1918)
    v4(100, 64, 0, 0, 10),    // behind a carrier's NAT (RFC 6598)
    v4(127, 0, 0, 0, 8),      // loopback
    v4(168, 63, 129, 16, 32), // the Azure host's services for its machines
    v4(169, 254, 0, 0, 16),   // link-local: clouds serve a machine's secrets here
    v4(172, 16, 0, 0, 12),    // private (RFC 1918)
    v4(192, 0, 0, 0, 24),     // protocol assignments
    v4(192, 0, 2, 0, 24),     // documentation
    v4(192, 88, 99, 0, 24),   // relays of 6to4 (RFC 7526)
    v4(192, 168, 0, 0, 16),   // private (RFC 1918)
    v4(198, 18, 0, 0, 15),    // benchmarking (RFC 2544)
    v4(198, 51, 100, 0, 24),  // documentation
    v4(203, 0, 113, 0, 24),   // documentation
    v4(224, 0, 0, 0, 4),      // multicast
    v4(240, 0, 0, 0, 4),      // class E, and broadcast
];

/// The global IPv6 addresses. Not included are: unspecified and loopback (`::`, `::1`),
/// IPv4-compatible (`::/96`), NAT64 (`64:ff9b::/96`, `64:ff9b:1::/48`), discard (`100::/64`), SRv6
/// (`5f00::/16`), unique local (`fc00::/7`), link-local (`fe80::/10`), site-local (`fec0::/10`) and
/// multicast (`ff00::/8`).
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// The networks within [`GLOBAL_V6`] that are not public.
const NOT_PUBLIC_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0, 23), // protocol assignments: Teredo, benchmarking, ORCHID and the like
    v6(0x2001, 0x0db8, 32), // documentation
    v6(0x2002, 0, 16), // 6to4: embeds an IPv4 address
    v6(0x3fff, 0, 20), // documentation (RFC 9637)
];

/// Whether an address belongs to the public Internet.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => !NOT_PUBLIC_V4.iter().any(|net| net.contains(&v4)),
        IpAddr::V6(v6) => {
            GLOBAL_V6.contains(&v6) && !NOT_PUBLIC_V6.iter().any(|net| net.contains(&v6))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_public;

    /// The first and last address of each class, and their public neighbours.
    #[test]
    fn each_class_has_its_exact_bounds() {
        for (class, inside, outside) in [
            ("this network", &["0.0.0.0", "0.255.255.255"][..], &["1.0.0.0"][..]),
            ("RFC 1918", &["10.0.0.0", "10.255.255.255"], &["9.255.255.255", "11.0.0.0"]),
            ("RFC 1918", &["172.16.0.0", "172.31.255.255"], &["172.15.255.255", "172.32.0.0"]),
            ("RFC 1918", &["192.168.0.0", "192.168.255.255"], &["192.167.255.255", "192.169.0.0"]),
            ("CGNAT", &["100.64.0.0", "100.127.255.255"], &["100.63.255.255", "100.128.0.0"]),
            ("loopback", &["127.0.0.0", "127.255.255.255"], &["126.255.255.255", "128.0.0.0"]),
            ("Azure's host", &["168.63.129.16"], &["168.63.129.15", "168.63.129.17"]),
            (
                "link-local",
                &["169.254.0.0", "169.254.169.254", "169.254.255.255"],
                &["169.253.255.255", "169.255.0.0"],
            ),
            ("assignments", &["192.0.0.0", "192.0.0.255"], &["191.255.255.255", "192.0.1.0"]),
            ("documentation", &["192.0.2.0", "192.0.2.255"], &["192.0.1.255", "192.0.3.0"]),
            ("6to4 relays", &["192.88.99.0", "192.88.99.255"], &["192.88.98.255", "192.88.100.0"]),
            ("benchmarking", &["198.18.0.0", "198.19.255.255"], &["198.17.255.255", "198.20.0.0"]),
            (
                "documentation",
                &["198.51.100.0", "198.51.100.255"],
                &["198.51.99.255", "198.51.101.0"],
            ),
            ("documentation", &["203.0.113.0", "203.0.113.255"], &["203.0.112.255", "203.0.114.0"]),
            ("multicast", &["224.0.0.0", "239.255.255.255"], &["223.255.255.255"]),
            ("class E and broadcast", &["240.0.0.0", "255.255.255.255"], &[]),
            ("unspecified, loopback", &["::", "::1", "::2"], &[]),
            ("IPv4-compatible", &["::8.8.8.8", "::ffff:ffff"], &[]),
            ("IPv4-mapped", &["::ffff:10.0.0.1", "::ffff:127.0.0.1"], &["::ffff:8.8.8.8"]),
            ("IPv4-translated", &["::ffff:0:10.0.0.1", "::ffff:0:8.8.8.8"], &[]),
            ("NAT64", &["64:ff9b::", "64:ff9b::8.8.8.8", "64:ff9b:1::", "64:ff9b:1:ffff::1"], &[]),
            ("discard", &["100::", "100::ffff:ffff:ffff:ffff"], &[]),
            ("below global", &["1fff:ffff::1"], &["2000::", "2000::1"]),
            ("Teredo", &["2001::", "2001:0:ffff::1"], &[]),
            ("benchmarking", &["2001:2::", "2001:2:0:ffff::1"], &[]),
            ("ORCHID", &["2001:10::", "2001:1f:ffff::", "2001:20::", "2001:2f:ffff::"], &[]),
            (
                "assignments",
                &["2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"],
                &["2000:ffff::1", "2001:200::"],
            ),
            (
                "documentation",
                &["2001:db8::", "2001:db8:ffff:ffff::1"],
                &["2001:db7:ffff::1", "2001:db9::"],
            ),
            ("6to4", &["2002::", "2002:a00:1::1", "2002:ffff::1"], &["2001:ffff::1", "2003::"]),
            ("documentation", &["3fff::", "3fff:fff:ffff::1"], &["3ffe:ffff::1", "3fff:1000::"]),
            ("above global", &["4000::", "5f00::", "5fff::1", "8000::1"], &["3fff:ffff::1"]),
            ("unique local", &["fc00::", "fd00::1", "fd00:ec2::254", "fdff:ffff::1"], &[]),
            ("link-local", &["fe80::", "fe80::1", "febf:ffff::1"], &[]),
            ("site-local", &["fec0::", "feff:ffff::1"], &[]),
            ("multicast", &["ff00::", "ff02::1", "ffff:ffff::1"], &[]),
        ] {
            for address in inside {
                assert!(!is_public(address.parse().unwrap()), "{class}: {address}");
            }
            for address in outside {
                assert!(is_public(address.parse().unwrap()), "beside {class}: {address}");
            }
        }
        for known in ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00::1"] {
            assert!(is_public(known.parse().unwrap()), "{known}");
        }
    }
}
