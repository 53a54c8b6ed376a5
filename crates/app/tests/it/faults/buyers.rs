//! Clients that buy during faults of the database, and remember the answers.
//!
//! Each sends a reference until it is answered, as the documentation tells clients to. Invariant:
//! an answer comes in time, and if it is a 5xx it is 503 with `Retry-After`.

use super::oracle::{ENDINGS, RICH, Statuses};
use crate::support::{Client, Folder, RECHARGE, Reply, Rng, Server, UNLIMITED, recharge};
use http::Method;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

const CLIENTS: usize = 8;
/// RELIABILITY.md P22: an answer comes within 30 s; the rest is for a busy machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(40);
/// Between tries of a reference that was answered with 503.
const PAUSE: Duration = Duration::from_millis(50);

/// A demo with a well-funded wallet, and its buyers.
pub struct Buyers {
    pub server: Server,
    shared: Arc<Shared>,
    clients: JoinSet<Statuses>,
}

struct Shared {
    address: String,
    is_over: AtomicBool,
    acknowledged: Mutex<Vec<Acknowledged>>,
    unavailable: AtomicUsize,
    longest: Mutex<Duration>,
}

/// When a purchase was asked for, and when it was acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    pub asked: Instant,
    pub at: Instant,
}

impl Buyers {
    pub fn start(folder: &Folder, rng: &mut Rng) -> Buyers {
        let server = folder.start_with(&[UNLIMITED, RICH].concat());
        let shared = Arc::new(Shared {
            address: server.address.clone(),
            is_over: AtomicBool::new(false),
            acknowledged: Mutex::default(),
            unavailable: AtomicUsize::new(0),
            longest: Mutex::default(),
        });
        let mut clients = JoinSet::new();
        for task in 0..CLIENTS {
            let keys = server.credentials.merchant.sandbox.clone();
            let (shared, rng) = (shared.clone(), rng.fork());
            clients.spawn(async move {
                let client = Client::open(&shared.address, &keys).await;
                shared.buy(client, task, rng).await
            });
        }
        Buyers { server, shared, clients }
    }

    /// Purchases acknowledged so far.
    pub fn count(&self) -> usize {
        self.shared.acknowledged.lock().unwrap().len()
    }

    /// The first acknowledged purchase that was asked for after this moment.
    pub fn first_since(&self, moment: Instant) -> Option<Acknowledged> {
        let acknowledged = self.shared.acknowledged.lock().unwrap();
        let later = acknowledged.iter().filter(|one| one.asked > moment);
        later.min_by_key(|one| one.at).copied()
    }

    /// Waits for [`Buyers::first_since`].
    pub async fn first_after(&self, moment: Instant) -> Acknowledged {
        loop {
            if let Some(first) = self.first_since(moment) {
                return first;
            }
            let log = || self.server.log();
            assert!(moment.elapsed() < 2 * ANSWERED_WITHIN, "nothing is sold any more: {}", log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The longest time to an answer since the last call of this function.
    pub fn longest(&self) -> Duration {
        std::mem::take(&mut self.shared.longest.lock().unwrap())
    }

    /// How many answers were 503.
    pub fn unavailable(&self) -> usize {
        self.shared.unavailable.load(Ordering::Relaxed)
    }

    /// Ends the buying; gives the last status that each client received.
    pub async fn stop(self) -> (Server, Statuses) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let statuses = self.clients.join_all().await;
        (self.server, statuses.into_iter().flatten().collect())
    }
}

impl Shared {
    async fn buy(&self, mut client: Client, task: usize, mut rng: Rng) -> Statuses {
        let mut statuses = Statuses::new();
        for n in 0.. {
            let reference = format!("B-{task}-{n}");
            let number = format!("0171{:04}{}", rng.below(10_000), rng.pick(&ENDINGS));
            loop {
                if self.is_over.load(Ordering::Relaxed) {
                    return statuses;
                }
                let asked = Instant::now();
                let body = recharge(&number, 10, &reference);
                let sent = client.try_send(Method::POST, RECHARGE, body);
                let reply = tokio::time::timeout(ANSWERED_WITHIN, sent).await;
                let reply = reply.unwrap_or_else(|_| panic!("{reference}: no answer")).unwrap();
                let at = Instant::now();
                self.record_duration(at - asked);
                if let Some(status) = acknowledged(&reply, &reference) {
                    statuses.insert(reference, status);
                    self.acknowledged.lock().unwrap().push(Acknowledged { asked, at });
                    break;
                }
                self.unavailable.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        }
        unreachable!("the loop has no end of its own")
    }

    fn record_duration(&self, duration: Duration) {
        let mut longest = self.longest.lock().unwrap();
        *longest = duration.max(*longest);
    }
}

/// The purchase's status in the answer; `None` for a 503.
fn acknowledged(reply: &Reply, reference: &str) -> Option<String> {
    let body = reply.json();
    match reply.status() {
        503 => return None,
        200 => {}
        // An earlier try that was answered with 503 had been stored after all.
        422 => reply.assert_refused(422, "DUPLICATE_REFERENCE"),
        other => panic!("{reference}: {other} {body}"),
    }
    assert_eq!(body["billing"]["reference"], reference, "{body}");
    Some(body["billing"]["status"].as_str().unwrap().to_owned())
}
