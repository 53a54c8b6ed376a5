//! Counts all packets of the namespace, and listens on all addresses. Serves as the receiver too.
//!
//! A packet socket sees each packet of the loopback interface twice: sent and received. Invariant:
//! a packet that is not between the receiver and the name server is a hit.

use super::{NAME_SERVER, RECEIVER_V4, RECEIVER_V6};
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const SERVER: &[u8] = include_bytes!("server.pem");
/// Ports that webhooks may go to, and some that attackers try.
const PORTS: [u16; 8] = [80, 443, 8443, 22, 5432, 6379, 8080, 9000];
/// More than the capturing thread needs to read all packets so far.
const CAPTURE_DELAY: Duration = Duration::from_millis(300);
/// More than the pause between the last packets of a connection that is being closed.
const QUIET: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Counts {
    hits: Mutex<Vec<(IpAddr, IpAddr)>>,
    expected_packets: AtomicUsize,
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

pub(super) struct PacketMonitor {
    counts: Arc<Counts>,
}

impl PacketMonitor {
    pub(super) async fn start() -> PacketMonitor {
        let counts = Arc::new(Counts::default());
        capture(Arc::clone(&counts));
        let tls = acceptor();
        for port in PORTS {
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await.unwrap();
            let (counts, tls) = (Arc::clone(&counts), tls.clone());
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(receive(stream, port, tls.clone(), Arc::clone(&counts)));
                }
            });
        }
        PacketMonitor { counts }
    }

    pub(super) fn reset(&self) {
        self.counts.hits.lock().clear();
        self.counts.expected_packets.store(0, Ordering::SeqCst);
        self.counts.connections.store(0, Ordering::SeqCst);
        self.counts.requests.lock().clear();
    }

    /// Resets once no packet was seen for [`QUIET`]: connections of the test before still close.
    pub(super) async fn reset_when_quiet(&self) {
        let mut before = usize::MAX;
        loop {
            let now = self.counts.hits.lock().len() + self.expected_packets();
            if now == before {
                return self.reset();
            }
            before = now;
            tokio::time::sleep(QUIET).await;
        }
    }

    /// Packets and connections to unexpected addresses, after a short wait.
    pub(super) async fn hits(&self) -> (usize, usize) {
        tokio::time::sleep(CAPTURE_DELAY).await;
        let packets = self.counts.hits.lock().len();
        (packets, self.counts.connections.load(Ordering::SeqCst))
    }

    /// Whether there is a hit. Returns at once if there is one, or else after a short wait.
    pub(super) async fn has_hits(&self) -> bool {
        for _ in 0..10 {
            if !self.counts.hits.lock().is_empty() {
                return true;
            }
            tokio::time::sleep(CAPTURE_DELAY / 30).await;
        }
        false
    }

    pub(super) fn first_hits(&self) -> Vec<(IpAddr, IpAddr)> {
        self.counts.hits.lock().iter().take(4).copied().collect()
    }

    pub(super) fn expected_packets(&self) -> usize {
        self.counts.expected_packets.load(Ordering::SeqCst)
    }

    /// The requests that the receiver has read.
    pub(super) fn requests(&self) -> Vec<String> {
        self.counts.requests.lock().clone()
    }
}

fn is_expected(address: IpAddr) -> bool {
    let known = [RECEIVER_V4.into(), RECEIVER_V6.into(), NAME_SERVER.into()];
    known.contains(&address)
}

/// Starts to capture all packets. The socket is open when this returns.
fn capture(counts: Arc<Counts>) {
    // AF_PACKET, and ETH_P_ALL in network byte order.
    let all = Protocol::from(i32::from(3_u16.to_be()));
    let mut socket = Socket::new(Domain::from(17), Type::DGRAM, Some(all)).unwrap();
    // No packet of a burst may be lost. The kernel may grant less than this.
    socket.set_recv_buffer_size(8 << 20).unwrap();
    std::thread::spawn(move || {
        let mut packet = [0; 64];
        while let Ok(length) = socket.read(&mut packet) {
            // A packet that is not IP is a hit too.
            let not_ip = (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into());
            let (from, to) = ends(&packet[..length]).unwrap_or(not_ip);
            if is_expected(from) && is_expected(to) {
                counts.expected_packets.fetch_add(1, Ordering::SeqCst);
            } else {
                counts.hits.lock().push((from, to));
            }
        }
    });
}

/// The source and the destination of an IP packet.
fn ends(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let v4 =
        |at| packet.get(at..at + 4)?.try_into().ok().map(|b: [u8; 4]| Ipv4Addr::from(b).into());
    let v6 =
        |at| packet.get(at..at + 16)?.try_into().ok().map(|b: [u8; 16]| Ipv6Addr::from(b).into());
    match packet.first()? >> 4 {
        4 => Some((v4(12)?, v4(16)?)),
        6 => Some((v6(8)?, v6(24)?)),
        _ => None,
    }
}

async fn receive(stream: TcpStream, port: u16, tls: TlsAcceptor, counts: Arc<Counts>) {
    let here = stream.local_addr().unwrap().ip().to_canonical();
    if !is_expected(here) {
        counts.connections.fetch_add(1, Ordering::SeqCst);
        return;
    }
    match port {
        80 => serve(stream, &counts).await,
        443 | 8443 => {
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, &counts).await;
            }
        }
        _ => {}
    }
}

/// Answers 204, or a redirect to `somewhere` for `/302?somewhere`. Closes the connection after
/// `/close`.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, counts: &Counts) {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n{}") {
            let mut bytes = [0; 4096];
            match stream.read(&mut bytes).await {
                Ok(read) if read > 0 => request.extend_from_slice(&bytes[..read]),
                Ok(_) | Err(_) => return,
            }
        }
        let request = String::from_utf8(request).unwrap();
        let target = request.split(' ').nth(1).unwrap().to_owned();
        counts.requests.lock().push(request);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let status = path.trim_start_matches('/');
        let reply = if status.len() == 3 && status.starts_with('3') {
            format!("HTTP/1.1 {status} X\r\nlocation: {query}\r\ncontent-length: 0\r\n\r\n")
        } else if status == "close" {
            "HTTP/1.1 204 X\r\nconnection: close\r\n\r\n".to_owned()
        } else {
            "HTTP/1.1 204 X\r\n\r\n".to_owned()
        };
        if stream.write_all(reply.as_bytes()).await.is_err() || status == "close" {
            // Sends TLS close_notify, without which the client would see a truncated response.
            let _ = stream.shutdown().await;
            return;
        }
    }
}

fn acceptor() -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(SERVER).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(SERVER).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
