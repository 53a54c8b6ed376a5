//! URLs by which attackers make servers connect to private addresses.
//!
//! Uses no code of ours. All begin with `http://`; the test tries each with `https://` too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Each IPv4 range that is not public: its first or last addresses and those often in use.
const V4: [[u8; 4]; 25] = [
    [0, 0, 0, 0],
    [0, 1, 2, 3],
    [10, 0, 0, 1],
    [10, 255, 255, 254],
    [100, 64, 0, 1],
    [100, 127, 255, 254],
    [127, 0, 0, 1],
    [127, 9, 9, 9],
    [168, 63, 129, 16],
    [169, 254, 0, 1],
    [169, 254, 169, 254],
    [172, 16, 0, 1],
    [172, 31, 255, 254],
    [192, 0, 0, 1],
    [192, 0, 0, 192],
    [192, 0, 2, 1],
    [192, 88, 99, 1],
    [192, 168, 1, 1],
    [198, 18, 0, 1],
    [198, 19, 255, 254],
    [198, 51, 100, 1],
    [203, 0, 113, 1],
    [224, 0, 0, 1],
    [240, 0, 0, 1],
    [255, 255, 255, 255],
];

/// The same for IPv6, and IPv4 addresses embedded in IPv6 ones.
const V6: [&str; 24] = [
    "::",
    "::1",
    "::10.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::10.0.0.1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:a00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
];

/// Targets for other ways of writing an address and for redirects.
const TARGETS: [[u8; 4]; 4] =
    [[10, 0, 0, 1], [127, 0, 0, 1], [169, 254, 169, 254], [192, 168, 1, 1]];

/// URLs in which parsers find different hosts.
const AMBIGUOUS: [&str; 24] = [
    "http://localhost/",
    "http://LocalHost./",
    "http://ip6-localhost/",
    "http://x.localhost/",
    "http://receiver.rig.example@10.0.0.1/",
    "http://receiver.rig.example:80@10.0.0.1/",
    "http://10.0.0.1#@receiver.rig.example/",
    "http://10.0.0.1\\@receiver.rig.example/",
    "http://receiver.rig.example\\@10.0.0.1/",
    "http://10.0.0.1:80\\.receiver.rig.example/",
    "http://10.0.0.1%00.receiver.rig.example/",
    "http://10.0.0.1%2f.receiver.rig.example/",
    "http://%31%30.0.0.1/",
    "http://10.0.0.1\t/",
    "http://10.0\n.0.1/",
    " http://10.0.0.1/",
    "http:10.0.0.1/",
    "http:/10.0.0.1/",
    "http:///10.0.0.1/",
    "http:\\\\10.0.0.1/",
    "http://10。0。0。1/",
    "http://[fe80::1%25lo]/",
    "http://[::ffff:a00:1]:8080/",
    "http://0/",
];

/// Other ports, and another scheme.
const OTHER_PORTS: [&str; 6] = [
    "http://10.0.0.1:22/",
    "http://10.0.0.1:6379/",
    "http://0a000001.rig.example:5432/",
    "http://0a000001.rig.example:8080/",
    "http://0a000001.rig.example:9000/",
    "ftp://10.0.0.1/",
];

pub(super) fn urls() -> Vec<String> {
    let mut urls: Vec<String> =
        AMBIGUOUS.iter().chain(&OTHER_PORTS).map(|&u| u.to_owned()).collect();
    for v4 in V4.map(Ipv4Addr::from) {
        urls.push(format!("http://{v4}/"));
        urls.extend(names(v4.into()));
    }
    for v6 in V6 {
        urls.push(format!("http://[{v6}]/"));
        urls.extend(names(IpAddr::V6(v6.parse().unwrap())));
    }
    for [a, b, c, d] in TARGETS {
        let number = u32::from_be_bytes([a, b, c, d]);
        urls.extend([
            format!("http://{number}/"),
            format!("http://{number:#x}/"),
            format!("http://0{number:o}/"),
            format!("http://{a:#x}.{b:#x}.{c:#x}.{d:#x}/"),
            format!("http://0{a:o}.0{b:o}.0{c:o}.0{d:o}/"),
            format!("http://{a}.{}/", number & 0x00ff_ffff),
            format!("http://{a}.{b}.{}/", number & 0xffff),
            format!("http://{a}.{b}.{c}.{d}./"),
            format!("http://[::ffff:{:x}:{:x}]/", number >> 16, number & 0xffff),
            format!("http://{}/", full_width(&Ipv4Addr::from(number).to_string())),
            format!("http://flip-{number:08x}.rig.example/close"),
        ]);
        for length in [1, 3, 8] {
            urls.push(format!("http://c{length}-{number:08x}.rig.example/"));
        }
        for status in [301, 302, 303, 307, 308] {
            urls.push(format!("http://to.rig.example/{status}?http://{a}.{b}.{c}.{d}/"));
            urls.push(format!("http://to.rig.example/{status}?http://{number:08x}.rig.example/"));
        }
    }
    urls
}

/// Names that resolve to this address: alone, and together with an address of the receiver.
fn names(address: IpAddr) -> Vec<String> {
    let receiver = u32::from(super::RECEIVER_V4);
    let name = |label: String| format!("http://{label}.rig.example/");
    match address {
        IpAddr::V4(v4) => {
            let v4 = v4.to_bits();
            vec![
                name(format!("{v4:08x}")),
                name(format!("{receiver:08x}-{v4:08x}")),
                name(format!("{v4:08x}-{receiver:08x}")),
                name(format!("{v4:08x}-{:032x}", super::RECEIVER_V6.to_bits())),
            ]
        }
        IpAddr::V6(v6) => {
            let v6 = Ipv6Addr::to_bits(v6);
            vec![name(format!("{v6:032x}")), name(format!("{receiver:08x}-{v6:032x}"))]
        }
    }
}

/// In full-width digits and dots, which URL parsers convert to ASCII.
fn full_width(text: &str) -> String {
    let full_width = |c: char| char::from_u32(u32::from(c) - 0x21 + 0xff01).unwrap_or(c);
    text.chars().map(full_width).collect()
}
