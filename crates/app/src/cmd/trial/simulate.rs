//! `saldo simulate`: serves a simulated upstream with its real wire format.
//!
//! Not here: what it answers (`connectors::upstream::simulator::wire`). A request or a reply that
//! is lost ends its connection without an answer.

use crate::clock::MachineClock;
use crate::cmd::serve::runtime;
use crate::output::Output;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use connectors::upstream::simulator::SimulatorSettings;
use connectors::upstream::simulator::wire::{
    Losses, ServiceSettings, SimulatedCall, SimulatedReply, SimulatedService, open_service,
};
use domain::{Exchange, Listener, StatusUpdate};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Much more than any request to an upstream has.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// A failed accept (too many open files, as a rule) is not tried again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(clap::Args, Debug)]
pub(crate) struct SimulateArgs {
    /// Which service: irecharge, reloadly, …
    kind: String,
    /// Listen here; port 0: any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
    /// The kind's own file, if it has one.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Record here who was credited; without it, in memory only.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Decides what is random.
    #[arg(long, value_name = "N", default_value_t = connectors::upstream::simulator::SEED)]
    seed: u64,
    /// Of a hundred replies, so many are not sent, although the order counts.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = percent())]
    lose_replies: u64,
    /// Of a hundred requests, so many are not read.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = percent())]
    lose_requests: u64,
    /// Answer so much later.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    delay: u64,
    /// Refuse the same number again for so long, where the service does so.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    repeat_window: u64,
    /// What the account has at the start.
    #[arg(long, value_name = "AMOUNT", default_value_t = 1_000_000)]
    float: i64,
}

/// A simulated service calls nobody.
struct NoListener;

impl Listener for NoListener {
    fn on_exchange(&self, _exchange: Exchange) {}

    fn on_update(&self, _update: StatusUpdate) {}
}

/// What all connections share.
struct Shared {
    service: Box<dyn SimulatedService>,
    losses: Losses,
    delay: Duration,
    requests: AtomicU64,
}

/// Of a hundred.
fn percent() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(0..=100)
}

pub(crate) fn run(args: &SimulateArgs) -> Result<ExitCode> {
    runtime()?.block_on(async {
        let shared = Arc::new(open(args)?);
        let listener = TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("{} cannot be listened on", args.listen))?;
        let mut output = Output::default();
        output.line(format!("{} at http://{}", args.kind, listener.local_addr()?));
        output.print(0);
        tokio::select! {
            () = accept(listener, shared) => {}
            stopped = tokio::signal::ctrl_c() => stopped?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn open(args: &SimulateArgs) -> Result<Shared> {
    let file = args.file.as_ref().map(|path| {
        std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
    });
    let mut simulator = SimulatorSettings::new(Arc::new(MachineClock::new()), Arc::new(NoListener));
    simulator.seed = args.seed;
    simulator.truth_file.clone_from(&args.truth);
    let settings = ServiceSettings {
        simulator,
        repeat_window: Duration::from_secs(args.repeat_window),
        float_units: args.float,
        file: file.transpose()?.unwrap_or_default(),
    };
    let losses = Losses {
        seed: args.seed,
        requests_percent: args.lose_requests,
        replies_percent: args.lose_replies,
    };
    Ok(Shared {
        service: open_service(&args.kind, settings)?,
        losses,
        delay: Duration::from_millis(args.delay),
        requests: AtomicU64::new(0),
    })
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, shared.clone()));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(request, shared.clone()));
    // An error is a reply that was lost on purpose, or a client that went away.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// An error closes the connection without an answer.
async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> io::Result<Response<Full<Bytes>>> {
    let call = read(request).await?;
    let number = shared.requests.fetch_add(1, Ordering::SeqCst);
    let (is_request_lost, is_reply_lost) = match shared.service.may_be_lost(&call) {
        true => shared.losses.of(number),
        false => (false, false),
    };
    if is_request_lost {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let reply = shared.service.answer(&call);
    tokio::time::sleep(shared.delay).await;
    let SimulatedReply::Answer { status, body } = reply else {
        return Err(io::ErrorKind::ConnectionReset.into());
    };
    if is_reply_lost {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let builder = Response::builder().status(status).header("content-type", "application/json");
    builder.body(Full::new(Bytes::from(body))).map_err(io::Error::other)
}

async fn read(request: Request<Incoming>) -> io::Result<SimulatedCall> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(io::Error::other)?;
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    Ok(SimulatedCall {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.iter().filter_map(text).collect(),
        body: body.to_bytes().to_vec(),
    })
}
