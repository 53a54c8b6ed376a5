//! A DNS server (RFC 1035, UDP, TTL 0). The first label of a name decides the answer: 8 hexadecimal
//! digits are an IPv4 address, 32 an IPv6 address, and a hyphen separates several. `c3-…` has three
//! CNAMEs before its addresses. `flip-…` has the receiver's address in its first answer and the
//! given ones in all later ones; `alternate-…` has them in turn. Any other name is the receiver's.

use super::{NAME_SERVER, RECEIVER_V4, RECEIVER_V6};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use tokio::net::UdpSocket;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

/// The number of A queries of each name.
type Lookups = Arc<Mutex<HashMap<String, usize>>>;

pub(super) struct NameServer {
    lookups: Lookups,
}

impl NameServer {
    pub(super) async fn start() -> NameServer {
        let socket = UdpSocket::bind((NAME_SERVER, 53)).await.unwrap();
        let lookups = Lookups::default();
        let counts = Arc::clone(&lookups);
        tokio::spawn(async move {
            let mut packet = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                let _ = socket.send_to(&answer(&packet[..length], &counts), from).await;
            }
        });
        NameServer { lookups }
    }

    /// Resets the counts: the next answer for each name is its first one again.
    pub(super) fn reset(&self) {
        self.lookups.lock().clear();
    }

    pub(super) fn lookups_of(&self, name: &str) -> usize {
        self.lookups.lock().get(name).copied().unwrap_or_default()
    }
}

fn answer(query: &[u8], lookups: &Lookups) -> Vec<u8> {
    let (name, end) = read_name(query);
    let kind = u16::from_be_bytes([query[end], query[end + 1]]);
    let nth = if kind == A {
        let mut lookups = lookups.lock();
        let count = lookups.entry(name.clone()).or_default();
        *count += 1;
        *count - 1
    } else {
        0
    };
    let (chain, addresses) = records(&name, nth);
    let mut records = Vec::new();
    let mut owner = name;
    for target in chain {
        records.push(record(&owner, CNAME, &encoded(&target)));
        owner = target;
    }
    for address in addresses {
        match address {
            IpAddr::V4(v4) if kind == A => records.push(record(&owner, A, &v4.octets())),
            IpAddr::V6(v6) if kind == AAAA => records.push(record(&owner, AAAA, &v6.octets())),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
    }
    // The header: the ID of the query, "response, recursion available", the number of questions (1)
    // and of answers.
    let mut reply =
        vec![query[0], query[1], 0x81, 0x80, 0, 1, 0, u8::try_from(records.len()).unwrap()];
    reply.extend([0; 4]);
    reply.extend(&query[12..end + 4]);
    reply.extend(records.concat());
    reply
}

/// The name in the question, in lower case, and the position after it.
fn read_name(query: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}

fn encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn record(owner: &str, kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = encoded(owner);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 0, 0]);
    bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend(value);
    bytes
}

/// The CNAME chain and the addresses of a name in its nth answer, from 0.
fn records(name: &str, nth: usize) -> (Vec<String>, Vec<IpAddr>) {
    let receiver = || vec![IpAddr::V4(RECEIVER_V4), IpAddr::V6(RECEIVER_V6)];
    let (first, zone) = name.split_once('.').unwrap_or((name, ""));
    let (word, rest) = first.split_once('-').unwrap_or((first, ""));
    let listed = |text: &str| text.split('-').map(address).collect::<Option<Vec<IpAddr>>>();
    match word {
        "flip" if nth > 0 => (Vec::new(), listed(rest).unwrap()),
        "alternate" if nth % 2 == 1 => (Vec::new(), listed(rest).unwrap()),
        // IPv4 only: only A queries are counted.
        "flip" | "alternate" => (Vec::new(), vec![IpAddr::V4(RECEIVER_V4)]),
        _ => match chain_length(word) {
            Some(length) => {
                let chain = (0..length).rev().map(|n| format!("link-{n}-{rest}.{zone}"));
                (chain.collect(), listed(rest).unwrap_or_else(receiver))
            }
            None => (Vec::new(), listed(first).unwrap_or_else(receiver)),
        },
    }
}

/// The number in `c3`. Longer words such as `c0000001` are addresses.
fn chain_length(word: &str) -> Option<usize> {
    word.strip_prefix('c').filter(|number| number.len() == 1)?.parse().ok()
}

fn address(text: &str) -> Option<IpAddr> {
    match text.len() {
        8 => u32::from_str_radix(text, 16).ok().map(|n| Ipv4Addr::from_bits(n).into()),
        32 => u128::from_str_radix(text, 16).ok().map(|n| Ipv6Addr::from_bits(n).into()),
        _ => None,
    }
}
