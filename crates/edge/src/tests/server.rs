//! A server for tests, and a client that reads its answers byte by byte.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::routing::{any, get};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{Limits, serve};

pub(super) const CLIENT_TIMEOUT: Duration = Duration::from_secs(8);
/// Fewer than a listener's backlog, or a client waits a second for its next SYN.
pub(super) const CLIENTS_AT_ONCE: usize = 64;
pub(super) const LARGE_BYTES: usize = 48 * 1024 * 1024;
static LARGE: LazyLock<Bytes> = LazyLock::new(|| vec![b'x'; LARGE_BYTES].into());

pub(super) struct Edge {
    pub(super) address: SocketAddr,
    pub(super) stop: CancellationToken,
    pub(super) served: JoinHandle<io::Result<()>>,
    /// A permit for each request that has reached `/gate`; `gate`: for each that may be answered.
    pub(super) entered: Arc<Semaphore>,
    pub(super) gate: Arc<Semaphore>,
}

impl Edge {
    pub(super) async fn start(limits: Limits) -> Self {
        Self::start_with(limits, CLIENT_TIMEOUT).await
    }

    pub(super) async fn start_with(limits: Limits, drain: Duration) -> Self {
        let (entered, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let limits = match limits.connections_per_address {
            50 => Limits { connections_per_address: 1000, ..limits },
            _ => limits,
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let served = serve(listener, router(&entered, &gate), limits, stop.clone(), drain);
        Self { address, stop, served: tokio::spawn(served), entered, gate }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).await.unwrap();
        client.set_nodelay(true).unwrap();
        client
    }

    pub(super) async fn exchange(&self, bytes: &[u8]) -> String {
        self.exchange_in(&[bytes]).await
    }

    /// Sends the pieces one after the other, and returns all answers until the server closes.
    pub(super) async fn exchange_in(&self, pieces: &[&[u8]]) -> String {
        let (mut read, mut write) = self.connect().await.into_split();
        let send = async {
            for (index, piece) in pieces.iter().enumerate() {
                if index > 0 {
                    sleep(Duration::from_millis(1)).await;
                }
                if write.write_all(piece).await.is_err() {
                    return;
                }
            }
            // The server may have closed already.
            drop(write.shutdown().await);
        };
        let ((), answers) = tokio::join!(send, rest_of(&mut read));
        summary(&answers)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(super) fn router(entered: &Arc<Semaphore>, gate: &Arc<Semaphore>) -> Router {
    let echo = async |headers: http::HeaderMap, body: Bytes| {
        if body.len() > 100 {
            Body::from(body.len().to_string())
        } else {
            Body::from((headers, body).1)
        }
    };
    let (entered, gate) = (Arc::clone(entered), Arc::clone(gate));
    let wait = async move || {
        entered.add_permits(1);
        gate.acquire().await.unwrap().forget();
        "open"
    };
    Router::new()
        .route("/", get(async || "ok"))
        .route("/echo", any(echo))
        .route("/peer", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()))
        .route("/panic", get(async || -> &'static str { panic!("a secret") }))
        .route("/gate", get(wait))
        .route("/large", get(async || LARGE.clone()))
        .method_not_allowed_fallback(async || http::StatusCode::NOT_FOUND)
}

/// Timeouts that a test can wait for.
pub(super) fn short_timeouts() -> Limits {
    let within = Duration::from_millis(150);
    Limits {
        head_timeout: within,
        body_timeout: within,
        write_timeout: within,
        ..Limits::default()
    }
}

/// `200 ok, 400 BAD_REQUEST_FRAMING`: statuses with the text, or the code of an error, after a
/// check that each error has the documented shape.
pub(super) fn summary(mut answers: &[u8]) -> String {
    let mut summary = Vec::new();
    while !answers.is_empty() {
        let end = answers.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let (head, rest) = answers.split_at(end);
        let (body, rest) = rest.split_at(length_of(&text(head)));
        summary.push(one(&text(head), &text(body)));
        answers = rest;
    }
    summary.join(", ")
}

fn one(head: &str, body: &str) -> String {
    let status = head.strip_prefix("HTTP/1.").unwrap()[2..5].to_string();
    if status.starts_with('1') {
        return status;
    }
    assert_eq!(head.matches("x-content-type-options: nosniff\r\n").count(), 1, "{head}");
    if matches!(status.as_str(), "200" | "404") {
        return format!("{status} {body}");
    }
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    let shape: serde_json::Value = serde_json::from_str(body).expect(head);
    let mut keys: Vec<_> = shape.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["code", "error", "message", "success"]);
    assert_eq!(shape["success"], false);
    format!("{status} {}", shape["code"].as_str().unwrap())
}

fn length_of(head: &str) -> usize {
    let field = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
    field.map_or(0, |length| length.parse().unwrap())
}

pub(super) async fn answer_of<R: AsyncRead + Unpin>(client: &mut R) -> String {
    let head = head_of(client).await;
    let body = body_of(client, &head).await;
    one(&head, &body)
}

pub(super) async fn head_of<R: AsyncRead + Unpin>(client: &mut R) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(CLIENT_TIMEOUT, client.read_u8()).await.unwrap().unwrap());
    }
    text(&head)
}

pub(super) async fn body_of<R: AsyncRead + Unpin>(client: &mut R, head: &str) -> String {
    let mut body = vec![0; length_of(head)];
    timeout(CLIENT_TIMEOUT, client.read_exact(&mut body)).await.unwrap().unwrap();
    text(&body)
}

/// Everything until the server closes; a reset counts as a close.
pub(super) async fn rest_of<R: AsyncRead + Unpin>(client: &mut R) -> Vec<u8> {
    let mut rest = Vec::new();
    drop(timeout(CLIENT_TIMEOUT, client.read_to_end(&mut rest)).await.unwrap());
    rest
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
