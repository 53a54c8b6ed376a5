//! The load: connections that send one request after the other, as fast as they are answered or at
//! a fixed rate, and what they measured.
//!
//! Invariant: an answer other than the expected one is an error, never a success.

use crate::http_client::Connection;
use crate::servers::KeyPair;
use anyhow::Context as _;
use bytes::Bytes;
use domain::Clock;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where recharges are sent.
pub(crate) const RECHARGE: &str = "/api/billing/service-requests/recharge/normal";
const BALANCE: &str = "/api/billing/wallet/balance";
const STATUS: &str = "/api/billing/transactions/status/check?reference=READ";
/// A connection stops after this many errors: a broken server would fail as fast as it can.
const ERRORS_MAX: u64 = 1_000;
/// An answer later than this counts as lost.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two tries to connect.
const RECONNECT_DELAY: Duration = Duration::from_millis(10);
/// Threads begin this far apart in the list of clients, so that they do not use the same ones.
const THREAD_OFFSET: u64 = 1_000_003;

type HttpRequest = Request<Full<Bytes>>;

/// One account as a client: the headers of its requests.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    headers: HeaderMap,
}

impl Client {
    pub(crate) fn new(keys: &KeyPair) -> anyhow::Result<Client> {
        let mut headers = HeaderMap::new();
        headers.insert("x-open-key", HeaderValue::from_str(&keys.open_key)?);
        headers.insert("x-authorization", HeaderValue::from_str(&keys.secret_key)?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Client { headers })
    }
}

/// The kind of requests that a load consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// A recharge under a new reference.
    Recharge,
    /// The balance and the status of a purchase, in turn.
    Read,
}

/// A server, or several over which the connections are spread, and the clients that ask in turn.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) addresses: Vec<String>,
    pub(crate) clients: Vec<Client>,
    /// Where the recharges' webhooks go, in turn; without any, recharges ask for no webhook.
    pub(crate) webhook_urls: Vec<String>,
}

/// What is sent, how fast and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) kind: RequestKind,
    pub(crate) connections: u16,
    pub(crate) duration: Duration,
    pub(crate) threads: u16,
    /// A fixed rate, whether earlier requests are answered or not. `None`: a closed loop, each
    /// connection sends the next request when the last one was answered.
    pub(crate) per_second: Option<u64>,
}

/// The result of one run of a measurement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) successes: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) elapsed_us: u64,
    /// Not known of everything that is measured.
    pub(crate) p50_us: Option<u64>,
    pub(crate) p99_us: Option<u64>,
    /// Processor time for each success, in microseconds: of Saldo's servers, and of the database.
    pub(crate) cpu_us: [Option<u64>; 2],
}

impl Run {
    /// A run of successes with these latencies.
    pub(crate) fn of(mut latencies_us: Vec<u32>, elapsed: Duration) -> Run {
        latencies_us.sort_unstable();
        let percentile = |percent: usize| {
            let last = latencies_us.len().checked_sub(1)?;
            let index = (latencies_us.len() * percent / 100).min(last);
            latencies_us.get(index).map(|us| u64::from(*us))
        };
        Run {
            successes: u64::try_from(latencies_us.len()).unwrap_or(u64::MAX),
            elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            p50_us: percentile(50),
            p99_us: percentile(99),
            ..Run::default()
        }
    }

    /// Successes per second.
    pub(crate) fn per_second(&self) -> u64 {
        self.successes.saturating_mul(1_000_000) / self.elapsed_us.max(1)
    }
}

/// What one connection has counted so far, or several together.
#[derive(Debug, Default)]
struct Tally {
    latencies_us: Vec<u32>,
    errors: u64,
    first_error: Option<String>,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.latencies_us.extend(other.latencies_us);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    fn error(&mut self, message: String) {
        self.errors += 1;
        self.first_error.get_or_insert(message);
    }
}

/// Loads a target, with threads that each run their share of the connections.
pub(crate) fn run(clock: &Arc<dyn Clock>, target: &Arc<Target>, load: Load) -> anyhow::Result<Run> {
    let threads = load.threads.min(load.connections);
    let running: Vec<_> = (0..threads)
        .map(|thread| {
            let connections = (load.connections + threads - 1 - thread) / threads;
            let per_second = load.per_second.map(|rate| rate / u64::from(threads));
            let shared = Shared {
                clock: clock.clone(),
                target: target.clone(),
                load: Load { connections, per_second, ..load },
                first_client: u64::from(thread) * THREAD_OFFSET,
                requests: AtomicU64::new(0),
            };
            std::thread::spawn(move || run_thread(shared))
        })
        .collect();
    let mut tally = Tally::default();
    let mut elapsed = Duration::ZERO;
    for thread in running {
        let (part, took) = thread.join().map_err(|_| anyhow::anyhow!("a client thread died"))??;
        tally.add(part);
        elapsed = elapsed.max(took);
    }
    let Tally { latencies_us, errors, first_error } = tally;
    Ok(Run { errors, first_error, ..Run::of(latencies_us, elapsed) })
}

/// Buys what the reads ask for: one purchase for each account.
pub(crate) fn prepare_reads(target: &Arc<Target>) -> anyhow::Result<()> {
    single_threaded_runtime()?.block_on(async {
        let address = target.addresses.first().context("no server to read from")?;
        let mut connection = Connection::open(address).await?;
        for client in &target.clients {
            let answer = connection.send(recharge(client, 0, "READ", None)).await?;
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            // An earlier call may have prepared the same server.
            let is_there = is_success(answer.status, &answer.body) || body.contains("DUPLICATE");
            anyhow::ensure!(is_there, "{}: {body}", answer.status);
        }
        Ok(())
    })
}

fn single_threaded_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("starting a client thread")
}

/// What the connections of a thread share.
struct Shared {
    clock: Arc<dyn Clock>,
    target: Arc<Target>,
    load: Load,
    /// The index of the client that sends the first request.
    first_client: u64,
    /// Requests so far.
    requests: AtomicU64,
}

fn run_thread(shared: Shared) -> anyhow::Result<(Tally, Duration)> {
    single_threaded_runtime()?.block_on(async {
        let Shared { clock, target, load, .. } = &shared;
        let clock = clock.clone();
        let mut open = Vec::new();
        for address in target.addresses.iter().cycle().take(usize::from(load.connections)) {
            open.push((address.clone(), Connection::open(address).await?));
        }
        let started = clock.monotonic();
        let shared = Arc::new(shared);
        let tasks: Vec<_> = open
            .into_iter()
            .map(|(address, connection)| {
                let (shared, tally) = (shared.clone(), Tally::default());
                tokio::spawn(Sender { address, connection, shared, started, tally }.run())
            })
            .collect();
        let mut tally = Tally::default();
        for task in tasks {
            tally.add(task.await.context("a client died")?);
        }
        Ok((tally, clock.monotonic() - started))
    })
}

/// One connection, which sends one request at a time on behalf of the clients in turn.
struct Sender {
    address: String,
    connection: Connection,
    shared: Arc<Shared>,
    /// By the monotonic clock, as all times here.
    started: Duration,
    tally: Tally,
}

impl Sender {
    async fn run(mut self) -> Tally {
        // A number that no run had before, since references are unique for ever.
        let run = RandomState::new().hash_one(0);
        let shared = self.shared.clone();
        let until = self.started + shared.load.duration;
        while self.tally.errors < ERRORS_MAX {
            let number = shared.requests.fetch_add(1, Ordering::Relaxed);
            let began = self.wait_for(number).await;
            if began >= until {
                break;
            }
            let request = self.request(run, number);
            match tokio::time::timeout(ANSWER_TIMEOUT, self.connection.send(request)).await {
                Ok(Ok(answer)) if self.is_expected(answer.status, &answer.body) => {
                    let took = shared.clock.monotonic().saturating_sub(began);
                    let took_us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
                    self.tally.latencies_us.push(took_us);
                }
                Ok(Ok(answer)) => {
                    let body = String::from_utf8_lossy(&answer.body);
                    let after = answer.headers.get(header::RETRY_AFTER);
                    self.tally.error(format!("{}, retry after {after:?}: {body}", answer.status));
                }
                Ok(Err(lost)) => self.reconnect(lost.to_string()).await,
                Err(_) => self.reconnect("no answer within 30 s".to_owned()).await,
            }
        }
        self.tally
    }

    /// Waits until this request is due; returns when it began. A request that was due before a
    /// connection was free began when it was due. One that waited for the timer begins now: the
    /// timer's resolution of a millisecond is no latency of the server.
    async fn wait_for(&self, number: u64) -> Duration {
        let Shared { clock, load, .. } = &*self.shared;
        let now = clock.monotonic();
        let Some(per_second) = load.per_second else { return now };
        let due = self.started + Duration::from_micros(number * 1_000_000 / per_second.max(1));
        if due <= now {
            return due;
        }
        tokio::time::sleep(due - now).await;
        clock.monotonic()
    }

    fn request(&self, run: u64, number: u64) -> HttpRequest {
        let Shared { target, load, first_client, .. } = &*self.shared;
        let count = u64::try_from(target.clients.len()).unwrap_or(1).max(1);
        let index = usize::try_from((first_client + number) % count).ok();
        let Some(client) = index.and_then(|index| target.clients.get(index)) else {
            return Request::default();
        };
        match load.kind {
            RequestKind::Recharge => {
                let urls = &target.webhook_urls;
                let url = usize::try_from(number).ok().and_then(|n| n.checked_rem(urls.len()));
                let url = url.and_then(|n| urls.get(n)).map(String::as_str);
                recharge(client, number, &format!("B{run:016x}-{number}"), url)
            }
            RequestKind::Read => {
                let path = if number.is_multiple_of(2) { BALANCE } else { STATUS };
                let mut request = Request::new(Full::default());
                *request.uri_mut() = Uri::from_static(path);
                *request.headers_mut() = client.headers.clone();
                request
            }
        }
    }

    fn is_expected(&self, status: StatusCode, body: &[u8]) -> bool {
        match self.shared.load.kind {
            RequestKind::Recharge => is_success(status, body),
            RequestKind::Read => status == StatusCode::OK,
        }
    }

    async fn reconnect(&mut self, message: String) {
        self.tally.error(message);
        match Connection::open(&self.address).await {
            Ok(connection) => self.connection = connection,
            Err(_) => tokio::time::sleep(RECONNECT_DELAY).await,
        }
    }
}

fn recharge(client: &Client, number: u64, reference: &str, webhook: Option<&str>) -> HttpRequest {
    let webhook = webhook.map_or_else(String::new, |url| format!(r#","webhook_url":"{url}""#));
    // 017 and five digits that vary, then the three that fix the outcome (CONTRACT section 3).
    let recipient = format!("017{:05}101", number % 100_000);
    let body = format!(
        "{{\"number\":\"{recipient}\",\"amount\":10,\"operator\":\"gp\",\
         \"service_type\":\"prepaid\",\"reference\":\"{reference}\"{webhook}}}"
    );
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(RECHARGE);
    *request.headers_mut() = client.headers.clone();
    request
}

/// Looks for the purchase's status in the answer without parsing it, so that the client costs
/// little: the servers write compact JSON. Any other body is parsed.
fn is_success(status: StatusCode, body: &[u8]) -> bool {
    const SUCCESS: &[u8] = br#""status":"success""#;
    if status != StatusCode::OK {
        return false;
    }
    body.windows(SUCCESS.len()).any(|part| part == SUCCESS)
        || serde_json::from_slice::<serde_json::Value>(body)
            .is_ok_and(|body| body["billing"]["status"] == "success")
}
