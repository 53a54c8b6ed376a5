//! A receiver of webhooks, which answers 200 and notes how long each was on its way: from when the
//! event happened, as the event says, to its arrival. Beside it two others, which note nothing: one
//! that answers at once, and one that lets everybody wait.

use crate::clock::MachineClock;
use anyhow::Context as _;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use domain::Clock as _;
use http::StatusCode;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Whoever sends gives up after 15 s: this one is slow, and not silent.
const SLOW: Duration = Duration::from_secs(10);

/// Listens until the program ends.
pub(super) struct Receiver {
    pub(super) url: String,
    pub(super) neighbour_url: String,
    pub(super) slow_url: String,
    seen: Arc<Seen>,
    is_slow: watch::Sender<bool>,
}

struct Seen {
    clock: MachineClock,
    /// Microseconds that each webhook was on its way.
    took_us: Mutex<Vec<u32>>,
}

impl Seen {
    fn took_us(&self) -> MutexGuard<'_, Vec<u32>> {
        self.took_us.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver {
    /// On free loopback ports, in a thread of their own.
    pub(super) fn start() -> anyhow::Result<Receiver> {
        let seen = Arc::new(Seen { clock: MachineClock::new(), took_us: Mutex::new(Vec::new()) });
        let (is_slow, slowness) = watch::channel(true);
        let app = axum::Router::new().route("/hook", post(take)).with_state(seen.clone());
        let neighbour = axum::Router::new().route("/hook", post(async || StatusCode::OK));
        let slow = axum::Router::new().route("/hook", post(take_slowly)).with_state(slowness);
        let (door, url) = open_door()?;
        let (next_door, neighbour_url) = open_door()?;
        let (slow_door, slow_url) = open_door()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async move {
                let serve = async |door, app: axum::Router| {
                    axum::serve(tokio::net::TcpListener::from_std(door)?, app).await
                };
                tokio::join!(serve(door, app), serve(next_door, neighbour), serve(slow_door, slow))
            })
        });
        Ok(Receiver { url, neighbour_url, slow_url, seen, is_slow })
    }

    /// The slow one lets everybody wait; or answers all that wait, and whoever comes, at once.
    pub(super) fn slow_down(&self, is_slow: bool) {
        self.is_slow.send_replace(is_slow);
    }

    /// How many have arrived since the last time they were taken away.
    pub(super) fn count(&self) -> usize {
        self.seen.took_us().len()
    }

    /// Takes away what has arrived.
    pub(super) fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *self.seen.took_us())
    }
}

/// A free port, and the address behind it. Each is another host to whoever sends.
fn open_door() -> anyhow::Result<(TcpListener, String)> {
    let door = TcpListener::bind(("127.0.0.1", 0)).context("a port for webhooks")?;
    door.set_nonblocking(true)?;
    let url = format!("http://{}/hook", door.local_addr()?);
    Ok((door, url))
}

async fn take_slowly(State(mut slowness): State<watch::Receiver<bool>>) -> StatusCode {
    let _ = tokio::time::timeout(SLOW, slowness.wait_for(|is_slow| !is_slow)).await;
    StatusCode::OK
}

#[derive(serde::Deserialize)]
struct Event<'a> {
    timestamp: &'a str,
}

async fn take(State(seen): State<Arc<Seen>>, body: Bytes) -> StatusCode {
    let now = seen.clock.now();
    let event = serde_json::from_slice(&body).ok();
    let at = event.and_then(|Event { timestamp }| timestamp.parse::<jiff::Timestamp>().ok());
    let Some(at) = at else { return StatusCode::BAD_REQUEST };
    let took_us = now.0.saturating_sub(at.as_microsecond()).max(0);
    seen.took_us().push(u32::try_from(took_us).unwrap_or(u32::MAX));
    StatusCode::OK
}
