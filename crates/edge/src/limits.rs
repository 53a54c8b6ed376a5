//! Every limit of the edge, with its reason: sizes, timeouts, connections.
//!
//! Not here: limits that an API sets for its own documents (depth of a JSON, rows of a file).
//! Invariant: everything that a client determines has a bound.

use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

/// The limits of one listener. `Limits::default()` is fit for the open network.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From the first byte of a head to its last; also from the accept to the first byte.
    pub head_timeout: Duration,
    /// From the end of a head to the last byte of its body.
    pub body_timeout: Duration,
    /// From the end of a head to the first byte of its answer. The handler's future is dropped
    /// then: work that must complete belongs in a task of the engine.
    pub answer_timeout: Duration,
    /// From an answer to the first byte of the next head on the same connection.
    pub idle_timeout: Duration,
    /// For a client to read [`WRITE_BYTES_MIN`] of an answer, once the socket's buffer is full.
    pub write_timeout: Duration,
    /// Bytes of a head: request line, fields and the empty line.
    pub head_bytes: usize,
    /// Lines of a head: request line and fields, without the empty line. More than
    /// [`HEAD_LINES_MAX`] cannot be set.
    pub head_lines: usize,
    /// Bytes of the request target, query included.
    pub uri_bytes: usize,
    /// Bytes of a body, counted as they arrive, independent of Content-Length.
    pub body_bytes: usize,
    /// Open connections of the listener.
    pub connections: usize,
    /// Open connections from one address, as `subscriber` maps it.
    pub connections_per_address: usize,
    /// Addresses that forward for many clients (proxies): only `connections` limits them.
    pub uncounted: Vec<IpNet>,
    /// The address under which a peer's connections are counted, so that a subscriber with many
    /// IPv6 addresses counts as one. By default each address is counted by itself.
    pub subscriber: fn(IpAddr) -> IpAddr,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A head is one or a few packets: 5 s is a slow mobile link with two lost packets.
            head_timeout: Duration::from_secs(5),
            // 64 KiB in 10 s is 6.5 KB/s, a bad 2G link.
            body_timeout: Duration::from_secs(10),
            // More than an upstream may take (20 s), less than a proxy waits (60 s).
            answer_timeout: Duration::from_secs(30),
            // About as long as nginx and haproxy keep their side open.
            idle_timeout: Duration::from_secs(60),
            // The same 6.5 KB/s in the other direction: slow readers and slow writers are equal.
            write_timeout: Duration::from_secs(10),
            // The limits of nginx and node are 8 and 16 KiB; a JWT and some cookies fit.
            head_bytes: 16 * 1024,
            // Browsers behind two proxies send about 30.
            head_lines: HEAD_LINES_MAX,
            // The longest listing filter is under 1 KiB.
            uri_bytes: 4096,
            // A purchase is under 1 KiB, a batch of the largest size under 40 KiB.
            body_bytes: 64 * 1024,
            // 1,000 bodies of 64 KiB are 64 MiB, and descriptors stay under the usual 1,024.
            connections: 1000,
            // Enough for an office behind one NAT; one address gets a twentieth of the slots.
            connections_per_address: 50,
            uncounted: Vec::new(),
            subscriber: |peer| peer.to_canonical(),
        }
    }
}

/// The highest possible `Limits::head_lines`: headers are parsed into an array on the stack.
pub const HEAD_LINES_MAX: usize = 64;

/// The bytes of an answer that a client must read within `Limits::write_timeout`: about one socket
/// buffer. A client that keeps the connection busy by reading single bytes is cut off too.
pub const WRITE_BYTES_MIN: usize = 64 * 1024;

/// Bytes of chunk extensions and trailers in one body: clients hardly use them, so few suffice.
pub(super) const CHUNK_EXTRA_BYTES_MAX: u16 = 4096;

/// Digits of one chunk's size: 15 hex digits fit into a `u64` without overflow.
pub(super) const CHUNK_DIGITS_MAX: u8 = 15;

/// How long, and for how many bytes, a closing connection is still read and the bytes dropped.
/// Otherwise the kernel might send a reset, and the client would lose the last answer.
pub(super) const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
pub(super) const LINGER_BYTES_MAX: usize = 256 * 1024;

/// The pause after an accept that failed for lack of descriptors or memory: some connection may
/// end meanwhile, and the loop does not use up a core.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The minimum that hyper buffers for a connection, beside the largest head.
pub(super) const BUFFER_BYTES_MIN: usize = 64 * 1024;
