//! The load: connections that send one recharge after the other, and what they saw.

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
/// A broken server would fail as fast as it can: a measurement ends after so many errors.
const ERRORS_MAX: u64 = 1_000;
/// An answer later than this counts as lost.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// One account's requests, built as far as they can be.
#[derive(Debug)]
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

/// A server, and the accounts that buy there in turn.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) address: String,
    pub(super) lanes: Arc<Vec<Lane>>,
}

/// How hard, how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) connections: u16,
    pub(super) duration: Duration,
    pub(super) threads: u16,
}

/// What one measurement saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    pub(super) successes: u64,
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
    pub(super) elapsed_us: u64,
    pub(super) p50_us: u32,
    pub(super) p99_us: u32,
}

impl Run {
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
pub(super) fn drive(target: &Target, load: Load) -> anyhow::Result<Run> {
    let threads = load.threads.min(load.connections);
    let running: Vec<_> = (0..threads)
        .map(|thread| {
            let share = (load.connections + threads - 1 - thread) / threads;
            let first = u64::from(thread) * 1_000_003;
            let (address, lanes) = (target.address.clone(), Arc::clone(&target.lanes));
            std::thread::spawn(move || one_thread(address, lanes, first, share, load.duration))
        })
        .collect();
    let mut seen = Seen::default();
    let mut elapsed_us = 0;
    for thread in running {
        let (part, took) = thread.join().map_err(|_| anyhow::anyhow!("a client thread died"))??;
        seen.add(part);
        elapsed_us = elapsed_us.max(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
    seen.latencies_us.sort_unstable();
    let at = |share: usize| {
        let rank = (seen.latencies_us.len() * share / 100).min(seen.latencies_us.len().max(1) - 1);
        seen.latencies_us.get(rank).copied().unwrap_or(0)
    };
    Ok(Run {
        successes: u64::try_from(seen.latencies_us.len()).unwrap_or(u64::MAX),
        errors: seen.errors,
        elapsed_us,
        p50_us: at(50),
        p99_us: at(99),
        first_error: seen.first_error,
    })
}

fn one_thread(
    address: String,
    lanes: Arc<Vec<Lane>>,
    first: u64,
    connections: u16,
    duration: Duration,
) -> anyhow::Result<(Seen, Duration)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a client thread")?;
    runtime.block_on(async {
        let turn = Arc::new(AtomicU64::new(first));
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(Connection::open(&address).await?);
        }
        let started = Instant::now();
        let until = started + duration;
        let tasks: Vec<_> = open
            .into_iter()
            .map(|connection| {
                let client = Client {
                    address: address.clone(),
                    connection,
                    lanes: Arc::clone(&lanes),
                    turn: Arc::clone(&turn),
                    seen: Seen::default(),
                };
                tokio::spawn(client.run(until))
            })
            .collect();
        let mut seen = Seen::default();
        for task in tasks {
            seen.add(task.await.context("a client died")?);
        }
        Ok((seen, started.elapsed()))
    })
}

struct Client {
    address: String,
    connection: Connection,
    lanes: Arc<Vec<Lane>>,
    turn: Arc<AtomicU64>,
    seen: Seen,
}

impl Client {
    async fn run(mut self, until: Instant) -> Seen {
        // A number that no run had before, since references are unique for ever.
        let run = RandomState::new().hash_one(0);
        let mut number = 0_u64;
        while Instant::now() < until && self.seen.errors < ERRORS_MAX {
            number += 1;
            let request = self.request(run, number);
            let sent = Instant::now();
            match tokio::time::timeout(ANSWER_WITHIN, self.connection.send(request)).await {
                Ok(Ok(answer)) if is_success(answer.status, &answer.body) => {
                    let took_us = u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX);
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

    fn request(&self, run: u64, number: u64) -> Request<Full<Bytes>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = u64::try_from(self.lanes.len()).unwrap_or(1);
        let lane = usize::try_from(turn % count).ok().and_then(|index| self.lanes.get(index));
        // 017 and five digits that vary, then the three that fix the outcome (CONTRACT section 3).
        let body = format!(
            r#"{{"number":"017{:05}101","amount":10,"operator":"gp","service_type":"prepaid","reference":"B{run:016x}-{number}"}}"#,
            turn % 100_000
        );
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(RECHARGE);
        *request.headers_mut() = lane.map(|lane| lane.headers.clone()).unwrap_or_default();
        request
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
