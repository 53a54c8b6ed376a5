//! Promise P14 (rig R11): the database connection is cut at two hundred points, goes silent, is
//! refused, and is slow.
//!
//! A proxy between Saldo and PostgreSQL cuts after any byte in either direction, and before, inside
//! or after the answer to a COMMIT. The oracle is what the clients were answered.

use super::buyers::Buyers;
use super::database_proxy::{Cut, DatabaseProxy};
use super::oracle::check_all;
use crate::postgres::{Database, url};
use crate::support::{Client, Folder, Rng, note};
use http::Method;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{Instant, sleep, timeout};

const POINTS: usize = 200;
/// P14's bounds, and what a busy machine adds.
const RED_WITHIN: Duration = Duration::from_secs(2 + 2);
const GREEN_WITHIN: Duration = Duration::from_secs(5 + 5);
/// How long the buyers may take to reach the byte at which a connection is cut.
const CUT_WITHIN: Duration = Duration::from_secs(30);
/// Delay of a packet in milliseconds, and whether packets are sent one at a time: a database on
/// another continent, or a network with no bandwidth left.
const DELAYS: [(u64, bool); 3] = [(50, false), (50, true), (200, true)];
/// RELIABILITY.md P22.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
const SLOW_FOR: Duration = Duration::from_secs(20);

/// A demo with buyers whose database connections go through a proxy.
struct ProxiedDemo {
    buyers: Buyers,
    proxy: DatabaseProxy,
    folder: Folder,
    /// Stops when the test ends.
    _database: Database,
}

impl ProxiedDemo {
    async fn start(rng: &mut Rng) -> ProxiedDemo {
        let database = Database::new();
        let proxy = DatabaseProxy::to(database.port()).await;
        let folder = Folder::at(&url(proxy.port(), database.name()));
        let buyers = block_in_place(|| Buyers::start(&folder, rng));
        ProxiedDemo { buyers, proxy, folder, _database: database }
    }

    /// What was acknowledged is there, once, and nothing is in doubt.
    async fn check(self) {
        let (acknowledged, unavailable) = (self.buyers.count(), self.buyers.unavailable());
        note(&format!("{acknowledged} acknowledged, {unavailable} answered with 503"));
        let (server, statuses) = self.buyers.stop().await;
        check_all(&self.folder, server, statuses).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_database_connection_loses_nothing_acknowledged() {
    let mut rng = Rng::new("cut-off");
    let demo = ProxiedDemo::start(&mut rng).await;
    let (proxy, buyers) = (&demo.proxy, &demo.buyers);
    // A server that is cut off while it starts says so and ends.
    buyers.first_after(Instant::now()).await;
    let mut longest = Duration::ZERO;
    for point in 0..POINTS {
        sleep(Duration::from_millis(rng.next() % 150)).await;
        let cut = match point % 5 {
            0 | 1 => Cut::CommitAnswer { after: rng.below(13) },
            2 => Cut::FromClient { after: rng.below(20_000) },
            3 => Cut::FromServer { after: rng.below(20_000) },
            _ => Cut::CommitAnswer { after: 0 },
        };
        // After every fifth cut new connections are refused for a while.
        let refused_for = (point % 5 == 4).then(|| Duration::from_millis(rng.next() % 1500));
        let before = proxy.cuts();
        proxy.cut(cut, refused_for.is_some());
        let armed = Instant::now();
        while proxy.cuts() == before {
            let log = || buyers.server.log();
            assert!(armed.elapsed() < CUT_WITHIN, "{cut:?} was not reached ({point}): {}", log());
            sleep(Duration::from_millis(5)).await;
        }
        if let Some(refused_for) = refused_for {
            sleep(refused_for).await;
            proxy.forward();
        }
        longest = longest.max(buyers.longest());
    }
    note(&format!("{POINTS} cuts: the longest answer took {longest:?}"));
    let resumed = buyers.first_after(Instant::now()).await;
    note(&format!("sold again {:?} after the last", resumed.at - resumed.asked));
    health_follows_an_outage(proxy, buyers).await;

    demo.check().await;
}

/// Each packet takes long. A request is either sold, or answered with 503 before anything is
/// stored, and no answer takes longer than documented.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_slow_database_a_request_is_sold_or_refused() {
    let mut rng = Rng::new("slow");
    let demo = ProxiedDemo::start(&mut rng).await;
    let (proxy, buyers) = (&demo.proxy, &demo.buyers);
    buyers.first_after(Instant::now()).await;
    for (delay_ms, is_narrow) in DELAYS {
        buyers.longest();
        let (sold, unavailable) = (buyers.count(), buyers.unavailable());
        proxy.delay(Duration::from_millis(delay_ms), is_narrow);
        sleep(SLOW_FOR / 2).await;
        // Half way all connections have to be opened anew.
        proxy.refuse();
        sleep(Duration::from_millis(100)).await;
        proxy.forward();
        sleep(SLOW_FOR / 2).await;
        let (sold, unavailable) = (buyers.count() - sold, buyers.unavailable() - unavailable);
        let longest = buyers.longest();
        note(&format!(
            "{delay_ms} ms a packet, narrow {is_narrow}: {sold} sold, \
             {unavailable} answered with 503, the longest answer took {longest:?}"
        ));
        assert!(longest < ANSWERED_WITHIN && (sold > 0 || is_narrow), "{longest:?}, {sold} sold");
        proxy.delay(Duration::ZERO, false);
        let resumed = buyers.first_after(Instant::now()).await;
        note(&format!("sold again {:?} after it", resumed.at - resumed.asked));
    }
    demo.check().await;
}

/// The proxy holds everything back, or refuses connections: `/healthz` turns red in time, stays red
/// meanwhile, and turns green in time.
async fn health_follows_an_outage(proxy: &DatabaseProxy, buyers: &Buyers) {
    for is_silent in [true, false] {
        let health = HealthMonitor::start(&buyers.server.address);
        sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        if is_silent {
            proxy.hold_back()
        } else {
            proxy.refuse()
        };
        sleep(RED_WITHIN + Duration::from_secs(2)).await;
        let ended = Instant::now();
        proxy.forward();
        buyers.first_after(ended).await;
        sleep(Duration::from_millis(500)).await;
        let samples = health.stop().await;
        let red = samples.iter().find(|(at, is_green)| *at > begun && !is_green).unwrap().0;
        let wrong = samples.iter().find(|(at, is_green)| *at > red && *at < ended && *is_green);
        assert!(wrong.is_none(), "green during the outage");
        let green = samples.iter().rev().take_while(|(_, is_green)| *is_green).last().unwrap().0;
        let (red, green) = (red - begun, green.saturating_duration_since(ended));
        note(&format!(
            "silent: {is_silent}; red after {red:?}, green {green:?} after the end; \
             the longest answer took {:?}",
            buyers.longest()
        ));
        assert!(red < RED_WITHIN && green < GREEN_WITHIN, "red {red:?}, green {green:?}");
    }
}

/// Polls `/healthz`.
struct HealthMonitor {
    is_over: Arc<AtomicBool>,
    polling: JoinHandle<Vec<(Instant, bool)>>,
}

impl HealthMonitor {
    fn start(address: &str) -> HealthMonitor {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, address) = (is_over.clone(), address.to_owned());
        let polling = tokio::spawn(async move {
            let mut samples = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let mut client = Client::anonymous(&address).await;
                let answer = client.try_send(Method::GET, "/healthz", "");
                // A monitor has a timeout: no answer counts as red.
                let status = timeout(Duration::from_secs(10), answer).await;
                let is_green = status.is_ok_and(|reply| reply.unwrap().status() == 200);
                samples.push((Instant::now(), is_green));
                sleep(Duration::from_millis(50)).await;
            }
            samples
        });
        HealthMonitor { is_over, polling }
    }

    /// Each moment, and whether `/healthz` was green then.
    async fn stop(self) -> Vec<(Instant, bool)> {
        self.is_over.store(true, Ordering::Relaxed);
        self.polling.await.unwrap()
    }
}
