//! Receivers of webhooks. The measured one answers 200 and records how long each webhook took, from
//! the event's own timestamp to its arrival.
//!
//! Beside it are two that record nothing: one that answers at once, and one that answers after a
//! delay. Each has a port of its own, and so is another host to the server that sends.

use anyhow::Context as _;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use domain::Clock;
use http::StatusCode;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The delay of the slow receiver. It is less than the sender's timeout of 15 s.
const SLOW_ANSWER: Duration = Duration::from_secs(10);

/// Listens until the program ends.
pub(crate) struct Receiver {
    pub(crate) url: String,
    pub(crate) second_url: String,
    pub(crate) slow_url: String,
    arrivals: Arc<Arrivals>,
    is_slow: watch::Sender<bool>,
}

struct Arrivals {
    clock: Arc<dyn Clock>,
    /// Microseconds from each event to its arrival.
    took_us: Mutex<Vec<u32>>,
}

impl Arrivals {
    fn took_us(&self) -> MutexGuard<'_, Vec<u32>> {
        self.took_us.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver {
    /// Starts all three receivers on free loopback ports, in one thread.
    pub(crate) fn start(clock: Arc<dyn Clock>) -> anyhow::Result<Receiver> {
        let arrivals = Arc::new(Arrivals { clock, took_us: Mutex::default() });
        let (is_slow, slowness) = watch::channel(true);
        let app = axum::Router::new().route("/hook", post(record)).with_state(arrivals.clone());
        let second = axum::Router::new().route("/hook", post(async || StatusCode::OK));
        let slow = axum::Router::new().route("/hook", post(answer_slowly)).with_state(slowness);
        let (listener, url) = listen()?;
        let (second_listener, second_url) = listen()?;
        let (slow_listener, slow_url) = listen()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async move {
                let serve = async |listener, app: axum::Router| {
                    axum::serve(tokio::net::TcpListener::from_std(listener)?, app).await
                };
                tokio::join!(
                    serve(listener, app),
                    serve(second_listener, second),
                    serve(slow_listener, slow)
                )
            })
        });
        Ok(Receiver { url, second_url, slow_url, arrivals, is_slow })
    }

    /// Whether the slow receiver delays its answers. Switched off, it also answers all that wait.
    pub(crate) fn set_slow(&self, is_slow: bool) {
        self.is_slow.send_replace(is_slow);
    }

    /// How many webhooks have arrived since the last [`Receiver::take`].
    pub(crate) fn count(&self) -> usize {
        self.arrivals.took_us().len()
    }

    /// Removes and returns the times of the webhooks that have arrived, in microseconds.
    pub(crate) fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *self.arrivals.took_us())
    }
}

/// A listener on a free port, and the URL of its receiver.
fn listen() -> anyhow::Result<(TcpListener, String)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("a port for webhooks")?;
    listener.set_nonblocking(true)?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    Ok((listener, url))
}

async fn answer_slowly(State(mut slowness): State<watch::Receiver<bool>>) -> StatusCode {
    let _ = tokio::time::timeout(SLOW_ANSWER, slowness.wait_for(|is_slow| !is_slow)).await;
    StatusCode::OK
}

#[derive(serde::Deserialize)]
struct Event<'a> {
    timestamp: &'a str,
}

async fn record(State(arrivals): State<Arc<Arrivals>>, body: Bytes) -> StatusCode {
    let now = arrivals.clock.now();
    let event = serde_json::from_slice(&body).ok();
    let at = event.and_then(|Event { timestamp }| timestamp.parse::<jiff::Timestamp>().ok());
    let Some(at) = at else { return StatusCode::BAD_REQUEST };
    let took_us = now.0.saturating_sub(at.as_microsecond()).max(0);
    arrivals.took_us().push(u32::try_from(took_us).unwrap_or(u32::MAX));
    StatusCode::OK
}
