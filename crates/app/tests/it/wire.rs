//! The wire between Saldo and PostgreSQL, which a test cuts, silences and makes long.
//!
//! It forwards what the server says message by message, so that it knows an answer to COMMIT when it
//! sees one. Invariant: what it has cut is cut for both sides.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// CommandComplete of a COMMIT.
const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

/// Where a connection is cut.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// After so many more bytes of what clients say, on whichever connection that is.
    FromClient { after: usize },
    /// The same of what the server says.
    FromServer { after: usize },
    /// So many bytes into the next answer to a COMMIT.
    CommitAnswer { after: usize },
}

/// What becomes of bytes, and of those who want to connect.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Weather {
    Fair,
    /// Whoever connects is hung up on.
    Dark,
    /// Nothing comes through; whoever connects hears nothing.
    Silent,
}

pub struct Wire {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    cut: Mutex<Option<(Cut, bool)>>,
    cuts: AtomicUsize,
    /// How long each packet is on its way, in microseconds; in a narrow line the next waits for it.
    late_us: AtomicU64,
    is_narrow: AtomicBool,
    weather: watch::Sender<Weather>,
}

impl Wire {
    pub async fn to(server: u16) -> Wire {
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = door.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            cut: Mutex::default(),
            cuts: AtomicUsize::new(0),
            late_us: AtomicU64::new(0),
            is_narrow: AtomicBool::new(false),
            weather: watch::channel(Weather::Fair).0,
        });
        let serving = shared.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = door.accept().await.unwrap();
                let weather = *serving.weather.borrow();
                if weather == Weather::Dark {
                    continue;
                }
                tokio::spawn(carry(client, server, serving.clone()));
            }
        });
        Wire { port, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts one connection, as soon as one comes to this point; then, if `is_dark`, nobody connects
    /// until [`Wire::let_through`].
    pub fn cut(&self, cut: Cut, is_dark: bool) {
        *self.shared.cut.lock().unwrap() = Some((cut, is_dark));
    }

    /// How often it was cut.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Hangs up on everybody, and on whoever connects.
    pub fn go_dark(&self) {
        self.shared.weather.send_replace(Weather::Dark);
    }

    /// Each packet is on its way for so long, in either direction. Packets follow each other, or, if the
    /// line is narrow, the next one sets out when the one before has arrived.
    pub fn delay(&self, late: Duration, is_narrow: bool) {
        self.shared.is_narrow.store(is_narrow, Ordering::Relaxed);
        let late_us = u64::try_from(late.as_micros()).unwrap();
        self.shared.late_us.store(late_us, Ordering::Relaxed);
    }

    /// Everything is held back. What was said meanwhile is lost.
    pub fn fall_silent(&self) {
        self.shared.weather.send_replace(Weather::Silent);
    }

    pub fn let_through(&self) {
        self.shared.weather.send_replace(Weather::Fair);
    }
}

impl Shared {
    /// How much of these bytes gets through; `None`: all of it.
    fn passes(&self, is_client: bool, bytes: &[u8]) -> Option<usize> {
        let mut armed = self.cut.lock().unwrap();
        let (cut, is_dark) = armed.as_mut()?;
        let passes = match cut {
            Cut::FromClient { after } if is_client => within(after, bytes)?,
            Cut::FromServer { after } if !is_client => within(after, bytes)?,
            Cut::CommitAnswer { after } if !is_client && bytes == COMMITTED => *after,
            Cut::FromClient { .. } | Cut::FromServer { .. } | Cut::CommitAnswer { .. } => {
                return None;
            }
        };
        if *is_dark {
            self.weather.send_replace(Weather::Dark);
        }
        *armed = None;
        Some(passes)
    }
}

/// Where these bytes reach the mark, which comes so much closer if they do not.
fn within(after: &mut usize, bytes: &[u8]) -> Option<usize> {
    let reached = (*after <= bytes.len()).then_some(*after);
    *after = after.saturating_sub(bytes.len());
    reached
}

async fn carry(client: TcpStream, server: u16, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut weather = shared.weather.subscribe();
    // Whichever ends takes the other with it.
    tokio::select! {
        () = pass(from_client, to_server, &shared, true) => {}
        () = pass(from_server, to_client, &shared, false) => {}
        _ = weather.wait_for(|weather| *weather == Weather::Dark) => {}
    }
}

/// Forwards until one side ends, or it is cut.
async fn pass(from: OwnedReadHalf, to: OwnedWriteHalf, shared: &Shared, is_client: bool) {
    let (on_its_way, arriving) = mpsc::channel(1_000);
    let sending = async {
        send(from, on_its_way, shared).await;
        // What is on its way still arrives.
        std::future::pending().await
    };
    tokio::select! {
        () = sending => {}
        () = arrive(arriving, to, shared, is_client) => {}
    }
}

/// A packet, and when it arrives.
type Packet = (Instant, Vec<u8>);

async fn send(mut from: OwnedReadHalf, on_its_way: mpsc::Sender<Packet>, shared: &Shared) {
    let mut packet = Vec::new();
    let mut last = Instant::now();
    while let Ok(1..) = from.read_buf(&mut packet).await {
        let late = Duration::from_micros(shared.late_us.load(Ordering::Relaxed));
        let now = Instant::now();
        let is_narrow = shared.is_narrow.load(Ordering::Relaxed);
        last = if is_narrow { last.max(now) } else { now } + late;
        let sent = (last, std::mem::take(&mut packet));
        if on_its_way.send(sent).await.is_err() {
            return;
        }
    }
}

async fn arrive(
    mut arriving: mpsc::Receiver<Packet>,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    is_client: bool,
) {
    let mut weather = shared.weather.subscribe();
    let mut held = Vec::new();
    while let Some((at, packet)) = arriving.recv().await {
        sleep_until(at).await;
        held.extend(packet);
        // A connection that was silenced says nothing more, whatever comes after.
        if *weather.borrow_and_update() == Weather::Silent {
            let _ = weather.wait_for(|weather| *weather != Weather::Silent).await;
            return;
        }
        while let Some(length) = whole(&held, is_client) {
            let message: Vec<u8> = held.drain(..length).collect();
            match shared.passes(is_client, &message) {
                None => {
                    if to.write_all(&message).await.is_err() {
                        return;
                    }
                }
                Some(passes) => {
                    let _ = to.write_all(&message[..passes]).await;
                    shared.cuts.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
        }
    }
}

/// How long the message is that these bytes begin with, if it is whole. What a client says is taken as
/// it comes.
fn whole(bytes: &[u8], is_client: bool) -> Option<usize> {
    if is_client {
        return (!bytes.is_empty()).then_some(bytes.len());
    }
    let length = bytes.get(1..5)?.try_into().ok().map(u32::from_be_bytes)?;
    let length = 1 + usize::try_from(length).unwrap();
    (bytes.len() >= length).then_some(length)
}
