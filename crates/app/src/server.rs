//! The server: the APIs and pages behind the edge, the workers, the control socket, and a shutdown
//! that completes the requests in progress.

use crate::config::{Config, Forwarded, SignUpRule};
use crate::control::Control;
use crate::maintenance::RollbackGuard;
use crate::metrics;
use crate::outbound::mail;
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
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A server that listens but does not answer yet.
pub(crate) struct Server {
    engine: Engine,
    listener: TcpListener,
    /// Where metrics are read, if anywhere.
    metrics: Option<TcpListener>,
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
        let metrics = config.metrics_listen()?.map(|address| {
            listen(address).with_context(|| {
                format!("metrics_listen: {address} cannot be listened on; give another address")
            })
        });
        let metrics = metrics.transpose()?;
        let base_url = match config.base_url.as_str() {
            "" => format!("http://{}", reachable(listener.local_addr()?)),
            url => url.trim_end_matches('/').to_owned(),
        };
        let control = Control::open(&config.data_dir)?;
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        Ok(Server { engine, listener, metrics, base_url, control, signals })
    }

    /// The address under which clients reach the server.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Serves until SIGTERM or SIGINT (exit code 0), or until the store fails (exit code 3).
    pub(crate) async fn run(self, config: &Config, pages: Pages) -> anyhow::Result<ExitCode> {
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
            wallet_origins: config.wallet_origins.clone(),
            server_errors: edge::errors(&limits(config)?).into_iter().map(documented).collect(),
        };
        let api = api::router(self.engine.clone(), settings.clone());
        let refusal_headers = api::irecharge::limit_headers(self.engine.clone(), settings.clone());
        let router = Router::new()
            .merge(api.clone())
            .merge(web_pages(self.engine.clone(), settings, api, pages, config, stop.clone()))
            .merge(health(self.engine.clone()))
            .fallback(not_found);
        let service = edge::Service { router, refusal_headers: Some(Arc::new(refusal_headers)) };
        let drain = Duration::from_secs(config.drain_s);
        let exit = tokio::spawn(wait_for_end(self.engine.clone(), stop.clone(), self.signals));
        tracing::info!(url = self.base_url, "listening");
        let metrics = self.metrics.map(|listener| {
            let router = metrics::router(self.engine.clone());
            let served =
                edge::serve(listener, router, edge::Limits::default(), stop.clone(), drain);
            tokio::spawn(served)
        });
        edge::serve(self.listener, service, limits(config)?, stop.clone(), drain).await?;
        // The edge may have ended by itself: then stop everything else too.
        stop.cancel();
        workers.stop(drain).await;
        // Both end with the token; a panic of one changes nothing here.
        let _ = (commands.await, guarding.await);
        if let Some(metrics) = metrics {
            let _ = metrics.await;
        }
        let exit = exit.await.unwrap_or(ExitCode::from(3));
        tracing::info!("stopped");
        Ok(exit)
    }
}

/// Whose pages they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    /// Of an installation: staff have a second factor.
    Real,
    /// Of a demo: everybody may read its mails.
    Demo,
}

/// The pages for people.
fn web_pages(
    engine: Engine,
    settings: api::Settings,
    api: Router,
    pages: Pages,
    config: &Config,
    stop: CancellationToken,
) -> Router {
    let base_url = settings.base_url.clone();
    let documents = [api::irecharge::document(&settings), api::rechargely::document(&settings)];
    let documents = documents.map(|document| web::ApiDocument {
        openapi: document.openapi,
        errors: document.errors.into_iter().map(listed).collect(),
    });
    let data_dir = config.data_dir.clone();
    let has_mails = pages == Pages::Demo && config.smtp_url.0.is_empty();
    let settings = web::Settings {
        base_url,
        is_stopping: Box::new(move || stop.is_cancelled()),
        client_address: Box::new(move |parts: &_| api::client_address(parts, &settings)),
        sign_up: match config.sign_up {
            SignUpRule::Open => web::SignUp::Open,
            SignUpRule::Invitation => web::SignUp::ByInvitation,
            SignUpRule::Approval => web::SignUp::ByApproval,
        },
        staff_need_factor: pages == Pages::Real,
        mails: has_mails.then(|| -> Box<dyn Fn() -> _ + Send + Sync> {
            Box::new(move || mail::latest(&data_dir))
        }),
        documents,
        api,
    };
    web::router(engine, settings).0
}

fn listed(error: api::DocumentedError) -> web::ListedError {
    let api::DocumentedError { status, code, message, advice } = error;
    web::ListedError { status, code, message, advice }
}

fn documented(error: edge::EdgeError) -> api::DocumentedError {
    let edge::EdgeError { status, code, message, advice } = error;
    api::DocumentedError { status, code, message: message.to_owned(), advice }
}

async fn not_found() -> (StatusCode, &'static str) {
    (
        StatusCode::NOT_FOUND,
        "Nothing is served here. The APIs are under /api/billing and /api/wallet/v1, \
         their reference at /docs.\n",
    )
}

/// The address by which this machine reaches a listener on `address`: `0.0.0.0` is no address that
/// a client can open.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
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

/// `GET /healthz`: 200 if the store answers and could write the last time, otherwise 503.
fn health(engine: Engine) -> Router {
    Router::new().route("/healthz", get(is_healthy)).with_state(engine)
}

async fn is_healthy(State(engine): State<Engine>) -> Response {
    match engine.ping() {
        Ok(()) => "ok\n".into_response(),
        Err(fault) => {
            tracing::error!(target: "counted", status = 503_u16, code = %fault, "not healthy");
            let retry_after = [(header::RETRY_AFTER, RETRY_AFTER_S)];
            let text = "the store does not answer, or cannot write\n";
            (StatusCode::SERVICE_UNAVAILABLE, retry_after, text).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_is_sent_to_an_unspecified_address() {
        for (listens, reached) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.7:80", "10.0.0.7:80"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), reached);
        }
    }
}
