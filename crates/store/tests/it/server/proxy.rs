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

/// The client's messages, put together again: a read may end within one, or hold several.
#[derive(Default)]
struct Messages {
    bytes: Vec<u8>,
    has_started: bool,
    /// The name of the prepared COMMIT.
    commit: Option<Vec<u8>>,
}

impl Messages {
    /// The length of the message at the front, once all of it is there. Those before and including
    /// the start-up message have no type.
    fn length(bytes: &[u8], has_started: bool) -> Option<usize> {
        let typed = usize::from(has_started);
        let length = bytes.get(typed..typed + 4)?;
        let length = typed + u32::from_be_bytes(length.try_into().unwrap()) as usize;
        (bytes.len() >= length).then_some(length)
    }

    /// Takes the next messages to forward, and whether they are a COMMIT: its Bind, Execute and
    /// Sync together.
    fn next(&mut self) -> Option<(Vec<u8>, bool)> {
        let mut length = Messages::length(&self.bytes, self.has_started)?;
        let first = &self.bytes[..length];
        if !self.has_started {
            self.has_started = first[4..8] == 0x0003_0000_u32.to_be_bytes();
            return Some((self.bytes.drain(..length).collect(), false));
        }
        // Parse: the statement's name, its text. Bind: the portal's name, the statement's.
        let mut names = first[5..].split(|b| *b == 0);
        let (name, second) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        if first[0] == b'P' && second == b"COMMIT" {
            self.commit = Some(name.to_vec());
        }
        let is_commit = first[0] == b'B' && self.commit.as_deref() == Some(second);
        // A Bind of COMMIT is followed by its Execute and Sync.
        let mut last = if is_commit { first[0] } else { b'S' };
        while last != b'S' {
            let rest = &self.bytes[length..];
            length += Messages::length(rest, true)?;
            last = rest[0];
        }
        Some((self.bytes.drain(..length).collect(), is_commit))
    }
}

fn forward_commits(
    mut client: TcpStream,
    mut server: &TcpStream,
    cut: &Mutex<Cut>,
    refuses: &AtomicBool,
    cuts: &AtomicUsize,
) {
    let mut messages = Messages::default();
    let mut bytes = [0; 65536];
    'open: while let Ok(n @ 1..) = client.read(&mut bytes) {
        messages.bytes.extend_from_slice(&bytes[..n]);
        while let Some((message, is_commit)) = messages.next() {
            let now = if is_commit { *cut.lock().unwrap() } else { Cut::Never };
            if now != Cut::Never {
                *cut.lock().unwrap() = Cut::Never;
                cuts.fetch_add(1, Ordering::SeqCst);
            }
            match now {
                Cut::Never => {}
                Cut::BeforeCommit => break 'open,
                Cut::AfterCommit | Cut::AfterCommitAndRefuse => {
                    // From here on no reply reaches the client.
                    let _ = client.shutdown(Shutdown::Both);
                    refuses.store(now == Cut::AfterCommitAndRefuse, Ordering::SeqCst);
                    let _ = server.write_all(&message);
                    std::thread::sleep(Duration::from_millis(200));
                    break 'open;
                }
                Cut::Silence => {
                    std::thread::sleep(Duration::from_secs(60));
                    break 'open;
                }
            }
            if server.write_all(&message).is_err() {
                break 'open;
            }
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
