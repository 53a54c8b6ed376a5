//! Serving: the APIs and pages behind the edge, the workers, the control socket; and an end that cuts no
//! answer off.

use crate::config::Config;
use crate::control::Control;
use crate::rollback_guard::RollbackGuard;
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

/// What ends a server. Caught before anybody can know that it is there.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Server {
    /// Listens where the configuration says, for clients, commands and signals.
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

    /// How the server is reached.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Serves until SIGTERM or SIGINT (exit 0), or until the disk fails (exit 3).
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let stop = CancellationToken::new();
        let commands = tokio::spawn(self.control.serve(self.engine.clone(), stop.clone()));
        // Before anything is sent.
        let watch = RollbackGuard::begin(&self.engine, &config.data_dir).await?;
        let watching = tokio::spawn(watch.run(stop.clone()));
        let workers = self.engine.start_workers().await?;
        let settings = api::Settings {
            base_url: self.base_url.clone(),
            trusted_proxies: config.trusted_proxies()?,
            webhooks_to_loopback: config.webhooks_to_loopback,
        };
        let router = Router::new()
            .merge(api::router(self.engine.clone(), settings))
            .merge(web::router(self.engine.clone(), self.base_url.clone()))
            .merge(health(self.engine.clone()))
            .fallback(nothing_here);
        let drain = Duration::from_secs(config.drain_s);
        let ending = tokio::spawn(end(self.engine.clone(), stop.clone(), self.signals));
        tracing::info!(url = self.base_url, "listening");
        edge::serve(self.listener, router, limits(config)?, stop.clone(), drain).await?;
        // Whatever ended the serving, everything else ends too.
        stop.cancel();
        workers.stop(drain).await;
        // They end with the token; if one panicked, there is nothing left to end.
        let _ = (commands.await, watching.await);
        let exit = ending.await.unwrap_or(ExitCode::from(3));
        tracing::info!("stopped");
        Ok(exit)
    }
}

/// A path that nothing is served at.
async fn nothing_here() -> (StatusCode, &'static str) {
    (
        StatusCode::NOT_FOUND,
        "Nothing is served here. The APIs are under /api/billing and /api/wallet/v1, their reference at /docs.\n",
    )
}

/// Connections that may wait to be accepted: a burst of clients, not one packet's worth.
const BACKLOG: u32 = 1024;

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// This machine and the trusted proxies speak for many: they have no bound of their own.
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

/// Waits for whatever ends the server, then lets it end.
async fn end(engine: Engine, stop: CancellationToken, mut signals: Signals) -> ExitCode {
    let asked = async {
        tokio::select! {
            _ = signals.terminate.recv() => {}
            _ = signals.interrupt.recv() => {}
        }
    };
    let exit = tokio::select! {
        () = asked => ExitCode::SUCCESS,
        fault = engine.failed() => {
            tracing::error!(%fault, "the server ends: start it again once the disk is well, then run `saldo verify`");
            ExitCode::from(3)
        }
        () = stop.cancelled() => ExitCode::SUCCESS,
    };
    stop.cancel();
    exit
}

/// When a monitor that was told "not healthy" may look again, in seconds.
const LOOK_AGAIN_AFTER_S: &str = "1";

/// `GET /healthz`: 200 when the store answers.
fn health(engine: Engine) -> Router {
    Router::new().route("/healthz", get(is_healthy)).with_state(engine)
}

async fn is_healthy(State(engine): State<Engine>) -> Response {
    match engine.ping() {
        Ok(()) => "ok\n".into_response(),
        Err(fault) => {
            tracing::error!(%fault, "not healthy");
            let later = [(header::RETRY_AFTER, LOOK_AGAIN_AFTER_S)];
            let says = "the store does not answer\n";
            (StatusCode::SERVICE_UNAVAILABLE, later, says).into_response()
        }
    }
}
