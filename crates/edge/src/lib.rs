//! The edge of HTTP: our own accept loop on hyper, for HTTP/1.1 in plain text.
//!
//! Here: limits, timers, strict framing, and answers for what breaks them. Not here: TLS and
//! HTTP/2 (a proxy's matter), trusted proxies, identity, rates. Invariant: a request that a router
//! sees arrived whole, in time and in a form that no two readers understand differently.

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
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use limits::{HEAD_LINES_MAX, Limits, TAKEN_BYTES};

use guard::Guard;
use limits::{ACCEPT_PAUSE, BUFFER_BYTES};
use refuse::Refused;
use slots::Slots;

/// Serves `router` on `listener` until `stop`; each request carries `ConnectInfo<SocketAddr>`.
///
/// After `stop` nothing is accepted, idle connections are closed, and requests in progress have
/// `drain` to be answered; what is left then is dropped. Returns no error today: an accept that
/// fails is tried again. Bind `listener` with a queue as long as `limits.connections`: the 128
/// of a plain `bind` makes a burst of clients wait a second for their next try.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
    drain: Duration,
) -> io::Result<()> {
    let limits = Arc::new(limits);
    let slots = Arc::new(Slots::default());
    let full = Refused::TooManyConnections.raw();
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    while let Some((stream, peer)) = accept(&listener, &stop).await {
        let Some(slot) = slots.take(peer.ip(), &limits) else {
            turn_away(stream, &full);
            continue;
        };
        let ends = Ends { stop: stop.child_token(), cut: cut.child_token() };
        let (router, limits) = (router.clone(), Arc::clone(&limits));
        tasks.spawn(async move {
            match stream.set_nodelay(true) {
                Ok(()) => tend(stream, router, peer, limits, ends).await,
                Err(error) => tracing::debug!(%peer, %error, "a connection ended at once"),
            }
            drop(slot);
        });
    }
    drop(listener);
    tasks.close();
    if timeout(drain, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "connections were cut off at the end of a drain");
        cut.cancel();
    }
    Ok(())
}

/// The two ends of a connection that are not its own: finish what you do, and stop at once.
struct Ends {
    stop: CancellationToken,
    cut: CancellationToken,
}

/// The next connection; none once `stop` was called.
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
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn tend<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    router: Router,
    peer: SocketAddr,
    limits: Arc<Limits>,
    ends: Ends,
) {
    let socket = TokioIo::new(Guard::new(stream, Arc::clone(&limits)));
    let buffer_bytes = limits.head_bytes.saturating_add(BUFFER_BYTES);
    let service = service_fn(move |request| {
        let (router, limits) = (router.clone(), Arc::clone(&limits));
        async move { admit::answer(request, router, peer, &limits).await }
    });
    let mut http = http1::Builder::new();
    // The guard has the timers: hyper's would count an idle connection as a slow head.
    http.header_read_timeout(None).max_buf_size(buffer_bytes);
    // A client that ended its side still waits for its answer; and hyper reads no further
    // than the request it works on.
    http.half_close(true);
    let mut connection = pin!(http.serve_connection(socket, service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        () = ends.stop.cancelled() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                ended = connection => ended,
                () = ends.cut.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}

/// Says why there is no room, as far as one write without waiting can.
fn turn_away(stream: TcpStream, answer: &[u8]) {
    let said = stream.into_std().and_then(|mut socket| {
        socket.write_all(answer)?;
        socket.shutdown(Shutdown::Write)?;
        // What is unread at the close would make it a reset.
        socket.read(&mut [0; 4096])
    });
    if let Err(error) = said
        && error.kind() != io::ErrorKind::WouldBlock
    {
        tracing::debug!(%error, "a connection ended before it was turned away");
    }
}
