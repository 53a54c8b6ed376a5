//! The server: the APIs and pages behind the edge, the workers, the control socket, and a shutdown
//! that completes the requests in progress.

use crate::config::{Config, Forwarded};
use crate::control::Control;
use crate::maintenance::RollbackGuard;
use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use engine::Engine;
use http::{StatusCode, header};
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A server that listens but does not answer yet.
pub(crate) struct Server {
    engine: Engine,
    listener: TcpListener,
    base_url: String,
    control: Control,
    signals: Signals,
}

/// The signals that stop the server. They are caught before a client can know the server's address.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Server {
    /// Listens for clients, commands and signals.
    pub(crate) fn bind(engine: Engine, config: &Config) -> anyhow::Result<Server> {
        let listener = listen(config.listen).with_context(|| {
            format!("{} cannot be listened on; give another address with --listen", config.listen)
        })?;
        let base_url = match config.base_url.as_str() {
            "" => format!("http://{}", listener.local_addr()?),
            url => url.trim_end_matches('/').to_owned(),
        };
        let control = Control::open(&config.data_dir)?;
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        Ok(Server { engine, listener, base_url, control, signals })
    }

    /// The address under which clients reach the server.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Serves until SIGTERM or SIGINT (exit code 0), or until the store fails (exit code 3).
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let stop = CancellationToken::new();
        let commands = tokio::spawn(self.control.serve(self.engine.clone(), stop.clone()));
        // Before the workers can send anything.
        let guard = RollbackGuard::begin(&self.engine, &config.data_dir).await?;
        let guarding = tokio::spawn(guard.run(stop.clone()));
        let workers = self.engine.start_workers().await?;
        let settings = api::Settings {
            base_url: self.base_url.clone(),
            trusted_proxies: config.trusted_proxies()?,
            forwarded_header: match config.forwarded_header {
                Forwarded::XForwardedFor => api::ForwardedHeader::XForwardedFor,
                Forwarded::Forwarded => api::ForwardedHeader::Forwarded,
            },
            webhooks_to_loopback: config.webhooks_to_loopback,
        };
        let router = Router::new()
            .merge(api::router(self.engine.clone(), settings))
            .merge(web::router(self.engine.clone(), self.base_url.clone()))
            .merge(health(self.engine.clone()))
            .fallback(not_found);
        let drain = Duration::from_secs(config.drain_s);
        let exit = tokio::spawn(wait_for_end(self.engine.clone(), stop.clone(), self.signals));
        tracing::info!(url = self.base_url, "listening");
        edge::serve(self.listener, router, limits(config)?, stop.clone(), drain).await?;
        // The edge may have ended by itself: then stop everything else too.
        stop.cancel();
        workers.stop(drain).await;
        // Both end with the token; a panic of one changes nothing here.
        let _ = (commands.await, guarding.await);
        let exit = exit.await.unwrap_or(ExitCode::from(3));
        tracing::info!("stopped");
        Ok(exit)
    }
}

async fn not_found() -> (StatusCode, &'static str) {
    (
        StatusCode::NOT_FOUND,
        "Nothing is served here. The APIs are under /api/billing and /api/wallet/v1, \
         their reference at /docs.\n",
    )
}

/// Connections that may wait to be accepted: enough for a burst of clients.
const BACKLOG: u32 = 1024;

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// This machine and trusted proxies have no limit per address, because they speak for many clients.
fn limits(config: &Config) -> anyhow::Result<edge::Limits> {
    let mut uncounted = config.trusted_proxies()?;
    uncounted.extend([
        IpNet::from(Ipv4Net::new(Ipv4Addr::LOCALHOST, 8)?),
        IpNet::from(IpAddr::from(Ipv6Addr::LOCALHOST)),
    ]);
    Ok(edge::Limits {
        connections: config.connections,
        connections_per_address: config.connections_per_address,
        uncounted,
        subscriber: domain::account::subscriber,
        ..edge::Limits::default()
    })
}

/// Waits until a signal, a failure of the store or `stop` ends the server; then cancels `stop`.
async fn wait_for_end(engine: Engine, stop: CancellationToken, mut signals: Signals) -> ExitCode {
    let failed = tokio::select! {
        _ = signals.terminate.recv() => None,
        _ = signals.interrupt.recv() => None,
        fault = engine.failed() => Some(fault),
        () = stop.cancelled() => None,
    };
    stop.cancel();
    let Some(fault) = failed else { return ExitCode::SUCCESS };
    tracing::error!(
        %fault,
        "the server ends: start it again once the disk is well, then run `saldo verify`"
    );
    ExitCode::from(3)
}

/// The `Retry-After` of a failed health check, in seconds.
const RETRY_AFTER_S: &str = "1";

/// `GET /healthz`: 200 if the store answers and can write, otherwise 503.
fn health(engine: Engine) -> Router {
    Router::new().route("/healthz", get(is_healthy)).with_state(engine)
}

async fn is_healthy(State(engine): State<Engine>) -> Response {
    match engine.ping() {
        Ok(()) => "ok\n".into_response(),
        Err(fault) => {
            tracing::error!(target: "counted", status = 503_u16, code = %fault, "not healthy");
            let retry_after = [(header::RETRY_AFTER, RETRY_AFTER_S)];
            let text = "the store does not answer\n";
            (StatusCode::SERVICE_UNAVAILABLE, retry_after, text).into_response()
        }
    }
}
