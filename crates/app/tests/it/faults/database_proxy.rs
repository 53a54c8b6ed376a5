//! A TCP proxy between Saldo and PostgreSQL that cuts connections, holds packets back and delays
//! them.
//!
//! It forwards the server's bytes message by message, so that it recognises the answer to a COMMIT.
//! Invariant: what it has cut is cut for both sides.

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
    /// After so many more bytes from clients, on whichever connection that is.
    FromClient { after: usize },
    /// After so many more bytes from the server.
    FromServer { after: usize },
    /// So many bytes into the next answer to a COMMIT.
    CommitAnswer { after: usize },
}

/// What the proxy does with bytes and with new connections.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Forward,
    /// Closes every connection, also new ones.
    Refuse,
    /// Accepts connections and forwards nothing.
    HoldBack,
}

pub struct DatabaseProxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    cut: Mutex<Option<(Cut, bool)>>,
    cuts: AtomicUsize,
    /// Delay of each packet in microseconds; in a narrow line the next packet waits for it.
    delay_us: AtomicU64,
    is_narrow: AtomicBool,
    mode: watch::Sender<Mode>,
}

impl DatabaseProxy {
    pub async fn to(server: u16) -> DatabaseProxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            cut: Mutex::default(),
            cuts: AtomicUsize::new(0),
            delay_us: AtomicU64::new(0),
            is_narrow: AtomicBool::new(false),
            mode: watch::channel(Mode::Forward).0,
        });
        let serving = shared.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let mode = *serving.mode.borrow();
                if mode == Mode::Refuse {
                    continue;
                }
                tokio::spawn(serve(client, server, serving.clone()));
            }
        });
        DatabaseProxy { port, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the first connection that reaches this point. If `then_refuse`, no connection is
    /// accepted afterwards until [`DatabaseProxy::forward`].
    pub fn cut(&self, cut: Cut, then_refuse: bool) {
        *self.shared.cut.lock().unwrap() = Some((cut, then_refuse));
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Closes every connection, also new ones.
    pub fn refuse(&self) {
        self.shared.mode.send_replace(Mode::Refuse);
    }

    /// Delays each packet, in either direction. Packets follow each other, or, if the line is
    /// narrow, the next one is sent when the one before has arrived.
    pub fn delay(&self, delay: Duration, is_narrow: bool) {
        self.shared.is_narrow.store(is_narrow, Ordering::Relaxed);
        let delay_us = u64::try_from(delay.as_micros()).unwrap();
        self.shared.delay_us.store(delay_us, Ordering::Relaxed);
    }

    /// Forwards nothing. What is sent meanwhile is lost.
    pub fn hold_back(&self) {
        self.shared.mode.send_replace(Mode::HoldBack);
    }

    /// Forwards again.
    pub fn forward(&self) {
        self.shared.mode.send_replace(Mode::Forward);
    }
}

impl Shared {
    /// How many of these bytes are forwarded before the cut; `None`: all, and no cut.
    fn bytes_before_cut(&self, is_client: bool, bytes: &[u8]) -> Option<usize> {
        let mut armed = self.cut.lock().unwrap();
        let (cut, then_refuse) = armed.as_mut()?;
        let length = match cut {
            Cut::FromClient { after } if is_client => position_in(after, bytes)?,
            Cut::FromServer { after } if !is_client => position_in(after, bytes)?,
            Cut::CommitAnswer { after } if !is_client && bytes == COMMITTED => *after,
            Cut::FromClient { .. } | Cut::FromServer { .. } | Cut::CommitAnswer { .. } => {
                return None;
            }
        };
        if *then_refuse {
            self.mode.send_replace(Mode::Refuse);
        }
        *armed = None;
        Some(length)
    }
}

/// The cut's position within these bytes; if it lies behind them, `after` is reduced by their
/// length.
fn position_in(after: &mut usize, bytes: &[u8]) -> Option<usize> {
    let position = (*after <= bytes.len()).then_some(*after);
    *after = after.saturating_sub(bytes.len());
    position
}

async fn serve(client: TcpStream, server: u16, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut mode = shared.mode.subscribe();
    // The first that ends closes both directions.
    tokio::select! {
        () = copy(from_client, to_server, &shared, true) => {}
        () = copy(from_server, to_client, &shared, false) => {}
        _ = mode.wait_for(|mode| *mode == Mode::Refuse) => {}
    }
}

/// Forwards one direction until a side closes it, or it is cut.
async fn copy(from: OwnedReadHalf, to: OwnedWriteHalf, shared: &Shared, is_client: bool) {
    let (sender, receiver) = mpsc::channel(1_000);
    let reading = async {
        read(from, sender, shared).await;
        // Packets that are still under way arrive.
        std::future::pending().await
    };
    tokio::select! {
        () = reading => {}
        () = write(receiver, to, shared, is_client) => {}
    }
}

/// A packet, and when it arrives.
type Packet = (Instant, Vec<u8>);

async fn read(mut from: OwnedReadHalf, sender: mpsc::Sender<Packet>, shared: &Shared) {
    let mut packet = Vec::new();
    let mut last = Instant::now();
    while let Ok(1..) = from.read_buf(&mut packet).await {
        let delay = Duration::from_micros(shared.delay_us.load(Ordering::Relaxed));
        let now = Instant::now();
        let is_narrow = shared.is_narrow.load(Ordering::Relaxed);
        last = if is_narrow { last.max(now) } else { now } + delay;
        let sent = (last, std::mem::take(&mut packet));
        if sender.send(sent).await.is_err() {
            return;
        }
    }
}

async fn write(
    mut receiver: mpsc::Receiver<Packet>,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    is_client: bool,
) {
    let mut mode = shared.mode.subscribe();
    let mut held = Vec::new();
    while let Some((at, packet)) = receiver.recv().await {
        sleep_until(at).await;
        held.extend(packet);
        // A connection whose packets were held back is closed afterwards: they are lost.
        if *mode.borrow_and_update() == Mode::HoldBack {
            let _ = mode.wait_for(|mode| *mode != Mode::HoldBack).await;
            return;
        }
        while let Some(length) = message_length(&held, is_client) {
            let message: Vec<u8> = held.drain(..length).collect();
            match shared.bytes_before_cut(is_client, &message) {
                None => {
                    if to.write_all(&message).await.is_err() {
                        return;
                    }
                }
                Some(length) => {
                    let _ = to.write_all(&message[..length]).await;
                    shared.cuts.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
        }
    }
}

/// Length of the first message in these bytes, if it is complete. A client's bytes are not parsed:
/// all that have arrived count as one message.
fn message_length(bytes: &[u8], is_client: bool) -> Option<usize> {
    if is_client {
        return (!bytes.is_empty()).then_some(bytes.len());
    }
    let length = bytes.get(1..5)?.try_into().ok().map(u32::from_be_bytes)?;
    let length = 1 + usize::try_from(length).unwrap();
    (bytes.len() >= length).then_some(length)
}
