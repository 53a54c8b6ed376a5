//! The edge: our own accept loop on hyper, for HTTP/1.1 without TLS.
//!
//! Here: limits, timeouts, strict framing, and the answers to requests that violate them. Not here:
//! TLS and HTTP/2 (the proxy's task), trusted proxies, authentication, rate limits. Invariant: a
//! request that the router sees arrived completely, in time, and in a form that every HTTP parser
//! reads in the same way.

mod admit;
mod framing;
mod guard;
mod limits;
mod refuse;
mod slots;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use limits::{HEAD_LINES_MAX, Limits, WRITE_BYTES_MIN};
pub use refuse::{EdgeError, errors};

use guard::Guard;
use limits::{ACCEPT_PAUSE, BUFFER_BYTES_MIN};
use refuse::Refused;
use slots::{SlotUse, Slots};

/// The headers that an answer of the edge gets besides its own, from the head of the request that
/// it refuses, which carries `ConnectInfo<SocketAddr>`.
pub type RefusalHeaders = Arc<dyn Fn(Parts) -> BoxFuture<'static, HeaderMap> + Send + Sync>;

/// What is served: the routes, and what is added to the edge's own answers.
#[derive(Clone)]
pub struct Service {
    /// Handles what the edge lets through.
    pub router: Router,
    /// For a request whose head was read and whose body was not; none: nothing is added.
    pub refusal_headers: Option<RefusalHeaders>,
}

impl From<Router> for Service {
    fn from(router: Router) -> Service {
        Service { router, refusal_headers: None }
    }
}

/// Serves `service` on `listener` until `stop`; each request carries `ConnectInfo<SocketAddr>`.
///
/// After `stop` no connection is accepted, idle connections are closed, and requests in progress
/// have `drain` to be answered; what remains then is dropped. No error is returned today: a failed
/// accept is tried again. Bind `listener` with a backlog as long as `limits.connections`: with the
/// 128 of a plain `bind`, a burst of clients waits a second for the next SYN.
pub async fn serve(
    listener: TcpListener,
    service: impl Into<Service>,
    limits: Limits,
    stop: CancellationToken,
    drain: Duration,
) -> io::Result<()> {
    let service = service.into();
    let limits = Arc::new(limits);
    let slots = Arc::new(Slots::default());
    let full = Refused::TooManyConnections.raw();
    let tasks = TaskTracker::new();
    let abort = CancellationToken::new();
    while let Some((stream, peer)) = accept(&listener, &stop).await {
        let signals = Signals { stop: stop.child_token(), abort: abort.child_token() };
        let Some(slot) = slots.take(peer.ip(), &limits, &signals.stop) else {
            Refused::TooManyConnections.count(peer.ip());
            reject(stream, &full);
            continue;
        };
        let client = Client { peer, slot: slot.user() };
        let (service, limits) = (service.clone(), Arc::clone(&limits));
        tasks.spawn(async move {
            match stream.set_nodelay(true) {
                Ok(()) => serve_connection(stream, service, client, limits, signals).await,
                Err(error) => tracing::debug!(%peer, %error, "a connection ended at once"),
            }
            drop(slot);
        });
    }
    drop(listener);
    tasks.close();
    if timeout(drain, tasks.wait()).await.is_err() {
        let connections = tasks.len();
        abort.cancel();
        tracing::warn!(connections, "connections were cut off at the end of a drain");
    }
    Ok(())
}

/// The other end of a connection, and the slot that it uses.
struct Client {
    peer: SocketAddr,
    slot: SlotUse,
}

/// How the server ends a connection: `stop` after the request in progress, `abort` at once.
struct Signals {
    stop: CancellationToken,
    abort: CancellationToken,
}

/// The next connection; `None` after `stop`.
async fn accept(
    listener: &TcpListener,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) => {
                tracing::warn!(target: "counted", code = %error, "not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it ends.
async fn serve_connection<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    service: Service,
    client: Client,
    limits: Arc<Limits>,
    signals: Signals,
) {
    let peer = client.peer;
    let socket = TokioIo::new(Guard::new(stream, client, Arc::clone(&limits)));
    let buffer_bytes = limits.head_bytes.saturating_add(BUFFER_BYTES_MIN);
    let service = service_fn(move |request| {
        let (service, limits) = (service.clone(), Arc::clone(&limits));
        async move { admit::answer(request, service, peer, &limits).await }
    });
    let mut http = http1::Builder::new();
    // The guard has the timers: hyper's would treat an idle connection as a slow head.
    http.header_read_timeout(None).max_buf_size(buffer_bytes);
    // A client that closed its side still waits for its answer; and hyper does not read beyond
    // the request in progress.
    http.half_close(true);
    let mut connection = pin!(http.serve_connection(socket, service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        () = signals.stop.cancelled() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                ended = connection => ended,
                () = signals.abort.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}

/// Answers a connection that has no slot, by one write that does not block.
fn reject(stream: TcpStream, answer: &[u8]) {
    let written = stream.into_std().and_then(|mut socket| {
        socket.write_all(answer)?;
        socket.shutdown(Shutdown::Write)?;
        // A close with unread bytes would send a reset, and the client might lose the answer.
        socket.read(&mut [0; 4096])
    });
    if let Err(error) = written
        && error.kind() != io::ErrorKind::WouldBlock
    {
        tracing::debug!(%error, "a connection ended before it was rejected");
    }
}
