//! A receiver of webhooks, which answers 200 and notes how long each was on its way: from when the
//! event happened, as the event says, to its arrival.

use crate::clock::MachineClock;
use anyhow::Context as _;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use domain::Clock as _;
use http::StatusCode;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Listens until the program ends.
pub(super) struct Receiver {
    pub(super) url: String,
    seen: Arc<Seen>,
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
    /// On a free loopback port, in a thread of its own.
    pub(super) fn start() -> anyhow::Result<Receiver> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("a port for webhooks")?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        listener.set_nonblocking(true)?;
        let seen = Arc::new(Seen { clock: MachineClock::new(), took_us: Mutex::new(Vec::new()) });
        let app = axum::Router::new().route("/hook", post(take)).with_state(seen.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                axum::serve(listener, app).await
            })
        });
        Ok(Receiver { url, seen })
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
