//! The load: connections that send one request after the other, as fast as they are answered or at
//! a pace, and what they saw.
//!
//! Invariant: an answer that is not the one that was wanted is an error, never a success.

use crate::cmd::bench::servers::Keys;
use crate::http_client::{Connection, Lost};
use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// The route that is driven.
pub(super) const RECHARGE: &str = "/api/billing/service-requests/recharge/normal";
const BALANCE: &str = "/api/billing/wallet/balance";
const STATUS: &str = "/api/billing/transactions/status/check?reference=READ";
/// A broken server would fail as fast as it can: a measurement ends after so many errors.
const ERRORS_MAX: u64 = 1_000;
/// An answer later than this counts as lost.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// One account's requests, built as far as they can be.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    headers: HeaderMap,
}

impl Lane {
    pub(super) fn new(keys: &Keys) -> anyhow::Result<Lane> {
        let mut headers = HeaderMap::new();
        headers.insert("x-open-key", HeaderValue::from_str(&keys.open_key)?);
        headers.insert("x-authorization", HeaderValue::from_str(&keys.secret_key)?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Lane { headers })
    }
}

/// What is asked, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A recharge of a new reference.
    Recharges,
    /// The balance and the status of a purchase, in turn.
    Reads,
}

/// A server, or several over which the connections are spread, and the accounts that ask in turn.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) addresses: Vec<String>,
    pub(super) lanes: Vec<Lane>,
    /// Where what becomes of the recharges is told, in turn; nowhere, if there are none.
    pub(super) webhook_urls: Vec<String>,
}

/// How hard, how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) what: What,
    pub(super) connections: u16,
    pub(super) duration: Duration,
    pub(super) threads: u16,
    /// So many a second, whether the earlier ones are answered or not; none: as fast as answers come.
    pub(super) pace: Option<u64>,
}

/// What one measurement saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    pub(super) successes: u64,
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
    pub(super) elapsed_us: u64,
    /// Not known of everything that is measured.
    pub(super) p50_us: Option<u64>,
    pub(super) p99_us: Option<u64>,
    /// Processor time that the servers took for each success, in microseconds: Saldo's, and the
    /// database's.
    pub(super) cpu_us: [Option<u64>; 2],
}

impl Run {
    /// Of successes that each took so long.
    pub(super) fn of(mut latencies_us: Vec<u32>, elapsed: Duration) -> Run {
        latencies_us.sort_unstable();
        let at = |share: usize| {
            let last = latencies_us.len().checked_sub(1)?;
            latencies_us.get((latencies_us.len() * share / 100).min(last)).map(|us| u64::from(*us))
        };
        Run {
            successes: u64::try_from(latencies_us.len()).unwrap_or(u64::MAX),
            elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            p50_us: at(50),
            p99_us: at(99),
            ..Run::default()
        }
    }

    /// Successes a second.
    pub(super) fn per_second(&self) -> u64 {
        self.successes.saturating_mul(1_000_000) / self.elapsed_us.max(1)
    }
}

/// What is seen on the way.
#[derive(Debug, Default)]
struct Seen {
    latencies_us: Vec<u32>,
    errors: u64,
    first_error: Option<String>,
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.latencies_us.extend(other.latencies_us);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    fn error(&mut self, words: String) {
        self.errors += 1;
        self.first_error.get_or_insert(words);
    }
}

/// Drives a target with threads that each run their share of the connections.
pub(super) fn drive(target: &Arc<Target>, load: Load) -> anyhow::Result<Run> {
    let threads = load.threads.min(load.connections);
    let running: Vec<_> = (0..threads)
        .map(|thread| {
            let share = (load.connections + threads - 1 - thread) / threads;
            let first = u64::from(thread) * 1_000_003;
            let pace = load.pace.map(|pace| pace / u64::from(threads));
            let (target, load) = (Arc::clone(target), Load { connections: share, pace, ..load });
            std::thread::spawn(move || one_thread(target, first, load))
        })
        .collect();
    let mut seen = Seen::default();
    let mut elapsed = Duration::ZERO;
    for thread in running {
        let (part, took) = thread.join().map_err(|_| anyhow::anyhow!("a client thread died"))??;
        seen.add(part);
        elapsed = elapsed.max(took);
    }
    let Seen { latencies_us, errors, first_error } = seen;
    Ok(Run { errors, first_error, ..Run::of(latencies_us, elapsed) })
}

/// Buys what reads look at: one purchase for each account.
pub(super) fn prepare_reads(target: &Arc<Target>) -> anyhow::Result<()> {
    let runtime = one_threaded()?;
    runtime.block_on(async {
        let address = target.addresses.first().context("no server to read from")?;
        let mut connection = Connection::open(address).await?;
        for lane in &target.lanes {
            let answer = connection.send(recharge(lane, 0, "READ", None)).await?;
            let said = String::from_utf8_lossy(&answer.body).into_owned();
            // The same server may have been prepared before.
            let is_there = is_success(answer.status, &answer.body) || said.contains("DUPLICATE");
            anyhow::ensure!(is_there, "{}: {said}", answer.status);
        }
        Ok(())
    })
}

fn one_threaded() -> anyhow::Result<tokio::runtime::Runtime> {
    let made = tokio::runtime::Builder::new_current_thread().enable_all().build();
    made.context("starting a client thread")
}

fn one_thread(target: Arc<Target>, first: u64, load: Load) -> anyhow::Result<(Seen, Duration)> {
    one_threaded()?.block_on(async {
        let mut open = Vec::new();
        for address in target.addresses.iter().cycle().take(usize::from(load.connections)) {
            open.push((address.clone(), Connection::open(address).await?));
        }
        let started = Instant::now();
        let shared = Arc::new(Shared { target, load, started, turn: AtomicU64::new(0), first });
        let tasks: Vec<_> = open
            .into_iter()
            .map(|(address, connection)| {
                let shared = Arc::clone(&shared);
                let client = Client { address, connection, shared, seen: Seen::default() };
                tokio::spawn(client.run())
            })
            .collect();
        let mut seen = Seen::default();
        for task in tasks {
            seen.add(task.await.context("a client died")?);
        }
        Ok((seen, started.elapsed()))
    })
}

/// What the clients of a thread share.
struct Shared {
    target: Arc<Target>,
    load: Load,
    started: Instant,
    /// Requests so far.
    turn: AtomicU64,
    /// Which lane is first.
    first: u64,
}

struct Client {
    address: String,
    connection: Connection,
    shared: Arc<Shared>,
    seen: Seen,
}

impl Client {
    async fn run(mut self) -> Seen {
        // A number that no run had before, since references are unique for ever.
        let run = RandomState::new().hash_one(0);
        let shared = Arc::clone(&self.shared);
        let until = shared.started + shared.load.duration;
        while self.seen.errors < ERRORS_MAX {
            let turn = shared.turn.fetch_add(1, Ordering::Relaxed);
            let due = self.wait_for(turn).await;
            if due >= until {
                break;
            }
            let request = self.request(run, turn);
            match tokio::time::timeout(ANSWER_WITHIN, self.connection.send(request)).await {
                Ok(Ok(answer)) if self.is_wanted(answer.status, &answer.body) => {
                    let took_us = u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX);
                    self.seen.latencies_us.push(took_us);
                }
                Ok(Ok(answer)) => {
                    let body = String::from_utf8_lossy(&answer.body);
                    let after = answer.headers.get(header::RETRY_AFTER);
                    self.seen.error(format!("{}, retry after {after:?}: {body}", answer.status));
                }
                Ok(Err(lost)) => self.reconnect(lost.to_string()).await,
                Err(_) => self.reconnect("no answer within 30 s".to_owned()).await,
            }
        }
        self.seen
    }

    /// When this request begins: now, or when its pace says. One that finds no client free has begun
    /// all the same; a timer's tick, of a millisecond, is nobody's waiting.
    async fn wait_for(&self, turn: u64) -> Instant {
        let Some(pace) = self.shared.load.pace else { return Instant::now() };
        let due = self.shared.started + Duration::from_micros(turn * 1_000_000 / pace.max(1));
        if due <= Instant::now() {
            return due;
        }
        tokio::time::sleep_until(due).await;
        Instant::now()
    }

    fn request(&self, run: u64, turn: u64) -> Request<Full<Bytes>> {
        let Shared { target, load, first, .. } = &*self.shared;
        let count = u64::try_from(target.lanes.len()).unwrap_or(1).max(1);
        let lane = usize::try_from((first + turn) % count).ok();
        let Some(lane) = lane.and_then(|index| target.lanes.get(index)) else {
            return Request::default();
        };
        match load.what {
            What::Recharges => {
                let urls = &target.webhook_urls;
                let told = usize::try_from(turn)
                    .ok()
                    .and_then(|turn| urls.get(turn.checked_rem(urls.len())?).map(String::as_str));
                recharge(lane, turn, &format!("B{run:016x}-{turn}"), told)
            }
            What::Reads => {
                let path = if turn.is_multiple_of(2) { BALANCE } else { STATUS };
                let mut request = Request::new(Full::default());
                *request.uri_mut() = Uri::from_static(path);
                *request.headers_mut() = lane.headers.clone();
                request
            }
        }
    }

    fn is_wanted(&self, status: StatusCode, body: &[u8]) -> bool {
        match self.shared.load.what {
            What::Recharges => is_success(status, body),
            What::Reads => status == StatusCode::OK,
        }
    }

    async fn reconnect(&mut self, words: String) {
        self.seen.error(words);
        match Connection::open(&self.address).await {
            Ok(connection) => self.connection = connection,
            Err(Lost::NotConnected(_) | Lost::Unanswered(_) | Lost::CutOff(_)) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

fn recharge(
    lane: &Lane,
    turn: u64,
    reference: &str,
    webhook_url: Option<&str>,
) -> Request<Full<Bytes>> {
    let told = webhook_url.map_or_else(String::new, |url| format!(r#","webhook_url":"{url}""#));
    // 017 and five digits that vary, then the three that fix the outcome (CONTRACT section 3).
    let body = format!(
        r#"{{"number":"017{:05}101","amount":10,"operator":"gp","service_type":"prepaid","reference":"{reference}"{told}}}"#,
        turn % 100_000
    );
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(RECHARGE);
    *request.headers_mut() = lane.headers.clone();
    request
}

/// The part of the answer that is read, so that the client costs little: its status, and the
/// purchase's. The servers write compact JSON; anything else is parsed properly.
fn is_success(status: StatusCode, body: &[u8]) -> bool {
    const SAID: &[u8] = br#""status":"success""#;
    if status != StatusCode::OK {
        return false;
    }
    body.windows(SAID.len()).any(|part| part == SAID)
        || serde_json::from_slice::<serde_json::Value>(body)
            .is_ok_and(|body| body["billing"]["status"] == "success")
}
