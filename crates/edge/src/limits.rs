//! What a client may send, how slowly and how often: every number of the edge, with its reason.
//!
//! Not here: limits that an API sets for its own documents (depth of a JSON, rows of a file).
//! Invariant: nothing that a client decides is without a bound.

use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

/// The bounds of one listener. `Limits::default()` is what Saldo serves the open network with.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From the first byte of a head to its last, and from the accept to the first byte.
    pub head_within: Duration,
    /// From the end of a head to the last byte of its body.
    pub body_within: Duration,
    /// From the end of a head to the first byte of its answer. The handler's future is dropped
    /// then: what must not be cut off belongs into a task of the engine's.
    pub whole_within: Duration,
    /// From an answer to the first byte of the next head on the same connection.
    pub idle: Duration,
    /// For a client to take [`TAKEN_BYTES`] of an answer, once the socket's buffer is full.
    pub taken_within: Duration,
    /// Bytes of a head: request line, fields and the empty line.
    pub head_bytes: usize,
    /// Lines of a head: request line and fields, without the empty line. More than
    /// [`HEAD_LINES_MAX`] cannot be set.
    pub head_lines: usize,
    /// Bytes of the request target, query included.
    pub uri_bytes: usize,
    /// Bytes of a body, counted as they come, whatever its Content-Length says.
    pub body_bytes: usize,
    /// Connections open at once, on the listener.
    pub connections: usize,
    /// Connections open at once from one address, as `subscriber` counts them.
    pub connections_per_address: usize,
    /// Addresses that speak for many (proxies): `connections` is their only bound.
    pub uncounted: Vec<IpNet>,
    /// The address that a peer's connections are counted under, so that whoever holds many IPv6
    /// addresses counts once. By default each address is its own.
    pub subscriber: fn(IpAddr) -> IpAddr,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A head is one packet or few: 5 s is a slow mobile link with two lost packets.
            head_within: Duration::from_secs(5),
            // 64 KiB in 10 s is 6.5 KB/s, a bad 2G link.
            body_within: Duration::from_secs(10),
            // More than an upstream may take (20 s), less than a proxy waits (60 s).
            whole_within: Duration::from_secs(30),
            // What nginx and haproxy keep their own side open for, about.
            idle: Duration::from_secs(60),
            // The same 6.5 KB/s, the other way: a slow reader is gone as soon as a slow writer.
            taken_within: Duration::from_secs(10),
            // nginx and node refuse at 8 and 16 KiB; a JWT and some cookies fit.
            head_bytes: 16 * 1024,
            // Browsers behind two proxies send about 30.
            head_lines: HEAD_LINES_MAX,
            // The longest listing filter is under 1 KiB.
            uri_bytes: 4096,
            // A purchase is under 1 KiB, a batch of the largest size under 40 KiB.
            body_bytes: 64 * 1024,
            // 1,000 bodies of 64 KiB are 64 MiB, and descriptors stay under the usual 1,024.
            connections: 1000,
            // A shop's office behind one NAT; one address cannot take a tenth of the listener.
            connections_per_address: 50,
            uncounted: Vec::new(),
            subscriber: |peer| peer.to_canonical(),
        }
    }
}

/// The most that `Limits::head_lines` can be: the fields are parsed into an array on the stack.
pub const HEAD_LINES_MAX: usize = 64;

/// How much of an answer a slow client takes within `Limits::taken_within`: about what one
/// socket buffer holds, so that a client which trickles is told from one which is slow.
pub const TAKEN_BYTES: usize = 64 * 1024;

/// Bytes of chunk extensions and trailers in one body: nobody sends any, so little is enough.
pub(super) const CHUNK_EXTRA_BYTES: u16 = 4096;

/// Digits of one chunk's size: 15 hex digits fit a `u64` with no overflow to check for.
pub(super) const CHUNK_DIGITS: u8 = 15;

/// How long, and for how many bytes, a closing connection is still read and thrown away, so
/// that the kernel does not reset it and take the last answer from the client.
pub(super) const LINGER: Duration = Duration::from_secs(1);
pub(super) const LINGER_BYTES: usize = 256 * 1024;

/// The pause after an accept that failed for want of descriptors or memory: some connection
/// ends meanwhile, and the loop does not burn a core.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The least that hyper buffers for a connection; a head has to fit in beside a read.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;
