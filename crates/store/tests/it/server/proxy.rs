//! Proxies between the store and a server: one cuts the connection at a COMMIT, one delivers
//! replies in small pieces.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    Never,
    /// The server does not receive the COMMIT.
    BeforeCommit,
    /// The server commits, and its reply is lost.
    AfterCommit,
    /// As `AfterCommit`, and new connections are refused for a while.
    AfterCommitAndRefuse,
    /// Nothing is forwarded any more, but the connection stays open.
    Silence,
}

/// Cuts the connection at the next COMMIT when told to.
pub struct Proxy {
    pub port: u16,
    pub refuses: Arc<AtomicBool>,
    /// How often it has cut.
    pub cuts: Arc<AtomicUsize>,
    cut: Arc<Mutex<Cut>>,
}

impl Proxy {
    pub fn before(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Proxy {
            port,
            cut: Arc::new(Mutex::new(Cut::Never)),
            refuses: Arc::default(),
            cuts: Arc::default(),
        };
        let (cut, refuses, cuts) = (proxy.cut.clone(), proxy.refuses.clone(), proxy.cuts.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if refuses.load(Ordering::SeqCst) {
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let (back, out) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || forward(back, &out));
                let (cut, refuses, cuts) = (cut.clone(), refuses.clone(), cuts.clone());
                std::thread::spawn(move || forward_commits(client, &server, &cut, &refuses, &cuts));
            }
        });
        proxy
    }

    /// Cuts at the next COMMIT.
    pub fn cut(&self, cut: Cut) {
        *self.cut.lock().unwrap() = cut;
    }
}

fn forward(mut from: TcpStream, mut to: &TcpStream) {
    let mut bytes = [0; 65536];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// The writer prepares COMMIT once. Later it sends a Bind and an Execute of it alone, in one
/// packet: no values, a few dozen bytes with the statement's name.
fn forward_commits(
    mut client: TcpStream,
    mut server: &TcpStream,
    cut: &Mutex<Cut>,
    refuses: &AtomicBool,
    cuts: &AtomicUsize,
) {
    let mut commit: Option<Vec<u8>> = None;
    let mut bytes = [0; 65536];
    while let Ok(n @ 1..) = client.read(&mut bytes) {
        let packet = &bytes[..n];
        // Parse: 'P', length, the statement's name, its text.
        if let Some(at) = packet.windows(8).position(|w| w == b"\0COMMIT\0") {
            let name = packet[..at].rsplit(|b| *b < b' ').next().unwrap();
            commit = Some(name.to_vec());
        }
        let is_commit = packet[0] == b'B'
            && commit.as_ref().is_some_and(|name| {
                packet
                    .windows(name.len() + 2)
                    .any(|w| w[0] == 0 && w[w.len() - 1] == 0 && &w[1..w.len() - 1] == name)
            });
        let now = if is_commit { *cut.lock().unwrap() } else { Cut::Never };
        if now != Cut::Never {
            *cut.lock().unwrap() = Cut::Never;
            cuts.fetch_add(1, Ordering::SeqCst);
        }
        match now {
            Cut::Never => {}
            Cut::BeforeCommit => break,
            Cut::AfterCommit | Cut::AfterCommitAndRefuse => {
                // From here on no reply reaches the client.
                let _ = client.shutdown(Shutdown::Both);
                refuses.store(now == Cut::AfterCommitAndRefuse, Ordering::SeqCst);
                let _ = server.write_all(packet);
                std::thread::sleep(Duration::from_millis(200));
                break;
            }
            Cut::Silence => {
                std::thread::sleep(Duration::from_secs(60));
                break;
            }
        }
        if server.write_all(packet).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// Forwards the server's replies in pieces of a few bytes; returns the port and the number of
/// connections so far.
pub fn in_pieces(server: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            let client = client.unwrap();
            client.set_nodelay(true).unwrap();
            let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || forward(from, &to));
            std::thread::spawn(move || {
                let mut bytes = [0; 7];
                let (mut from, mut to) = (server, client);
                while let Ok(n @ 1..) = from.read(&mut bytes) {
                    if to.write_all(&bytes[..n]).is_err() {
                        break;
                    }
                    // Long enough for the client to read this piece before the next one.
                    std::thread::sleep(Duration::from_micros(100));
                }
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    });
    (port, connections)
}
