//! Listeners at every address, one of which is the receiver's, and eyes on every packet.
//!
//! A packet socket sees what passes on the loopback interface, twice: as it leaves and as it comes.
//! Invariant: whatever is not between the receiver and the name server is a hit.

use super::{NAME_SERVER, RECEIVER_V4, RECEIVER_V6};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const SERVER: &[u8] = include_bytes!("server.pem");
/// The ports that webhooks may go to, and some that attackers like.
const PORTS: [u16; 8] = [80, 443, 8443, 22, 5432, 6379, 8080, 9000];
/// Longer than the watcher takes to look at what has passed.
const A_WHILE: Duration = Duration::from_millis(300);
/// Longer than a connection that is at its end still has something to send.
const QUIET: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Notes {
    hits: Mutex<Vec<(IpAddr, IpAddr)>>,
    packets_elsewhere: AtomicUsize,
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

pub(super) struct Trap {
    notes: Arc<Notes>,
}

impl Trap {
    pub(super) async fn set() -> Trap {
        let notes = Arc::new(Notes::default());
        watch(Arc::clone(&notes));
        let tls = acceptor();
        for port in PORTS {
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await.unwrap();
            let (notes, tls) = (Arc::clone(&notes), tls.clone());
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(receive(stream, port, tls.clone(), Arc::clone(&notes)));
                }
            });
        }
        Trap { notes }
    }

    pub(super) fn forget(&self) {
        self.notes.hits.lock().unwrap().clear();
        self.notes.packets_elsewhere.store(0, Ordering::SeqCst);
        self.notes.connections.store(0, Ordering::SeqCst);
        self.notes.requests.lock().unwrap().clear();
    }

    /// Forgets once the wire has been quiet for a second: connections that were led astray before
    /// still say goodbye.
    pub(super) async fn forget_when_quiet(&self) {
        let mut before = usize::MAX;
        loop {
            let now = self.notes.hits.lock().unwrap().len() + self.packets_elsewhere();
            if now == before {
                return self.forget();
            }
            before = now;
            tokio::time::sleep(QUIET).await;
        }
    }

    /// Packets and connections that went astray.
    pub(super) async fn hits_after_a_while(&self) -> (usize, usize) {
        tokio::time::sleep(A_WHILE).await;
        let packets = self.notes.hits.lock().unwrap().len();
        (packets, self.notes.connections.load(Ordering::SeqCst))
    }

    /// Whether anything went astray; soon, if it did.
    pub(super) async fn has_hits(&self) -> bool {
        for _ in 0..10 {
            if !self.notes.hits.lock().unwrap().is_empty() {
                return true;
            }
            tokio::time::sleep(A_WHILE / 30).await;
        }
        false
    }

    pub(super) fn first_hits(&self) -> Vec<(IpAddr, IpAddr)> {
        self.notes.hits.lock().unwrap().iter().take(4).copied().collect()
    }

    pub(super) fn packets_elsewhere(&self) -> usize {
        self.notes.packets_elsewhere.load(Ordering::SeqCst)
    }

    /// What the receiver has read.
    pub(super) fn requests(&self) -> Vec<String> {
        self.notes.requests.lock().unwrap().clone()
    }
}

fn is_expected(address: IpAddr) -> bool {
    let known = [RECEIVER_V4.into(), RECEIVER_V6.into(), NAME_SERVER.into()];
    known.contains(&address)
}

/// Reads every packet, from before anybody can send one.
fn watch(notes: Arc<Notes>) {
    // AF_PACKET, and ETH_P_ALL in the network's order.
    let all = Protocol::from(i32::from(3_u16.to_be()));
    let mut socket = Socket::new(Domain::from(17), Type::DGRAM, Some(all)).unwrap();
    // A burst must not get lost; the kernel gives what it may.
    socket.set_recv_buffer_size(8 << 20).unwrap();
    std::thread::spawn(move || {
        let mut packet = [0; 64];
        while let Ok(length) = socket.read(&mut packet) {
            // One that is not IP counts as a hit as well.
            let nowhere = (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into());
            let (from, to) = ends(&packet[..length]).unwrap_or(nowhere);
            if is_expected(from) && is_expected(to) {
                notes.packets_elsewhere.fetch_add(1, Ordering::SeqCst);
            } else {
                notes.hits.lock().unwrap().push((from, to));
            }
        }
    });
}

/// From where, to where.
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

async fn receive(stream: TcpStream, port: u16, tls: TlsAcceptor, notes: Arc<Notes>) {
    let here = stream.local_addr().unwrap().ip().to_canonical();
    if !is_expected(here) {
        notes.connections.fetch_add(1, Ordering::SeqCst);
        return;
    }
    match port {
        80 => serve(stream, &notes).await,
        443 | 8443 => {
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, &notes).await;
            }
        }
        _ => {}
    }
}

/// Answers 204; or as `/302?somewhere` says; and hangs up if the path is `/close`.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, notes: &Notes) {
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
        notes.requests.lock().unwrap().push(request);
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
            // With the end of TLS, without which the other side would call it cut off.
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
