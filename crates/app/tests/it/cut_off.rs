//! Promise P14 (rig R11): the database is cut off at two hundred points, falls silent, lets nobody in, and
//! is slow.
//!
//! A proxy between Saldo and PostgreSQL cuts: after any byte in either direction, and at the answer to
//! COMMIT, whole or in the middle. The oracle is what the clients were told.

use crate::buyers::Buyers;
use crate::harness::{Client, Dice, Folder, note};
use crate::kills::{compare, confirm, none_stays_in_doubt};
use crate::postgres::{Database, url};
use crate::wire::{Cut, Wire};
use http::Method;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{Instant, sleep, timeout};

const POINTS: usize = 200;
/// P14's bars, and what a busy machine adds.
const RED_WITHIN: Duration = Duration::from_secs(2 + 2);
const GREEN_WITHIN: Duration = Duration::from_secs(5 + 5);
/// For the buyers to run into a cut.
const CUT_WITHIN: Duration = Duration::from_secs(30);
/// Milliseconds that a packet takes, and whether the next one waits for it: the database is a continent
/// away, or its network has no room.
const SLOW: [(u64, bool); 3] = [(50, false), (50, true), (200, true)];
/// RELIABILITY.md P22.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
const SLOW_FOR: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_cut_off_makes_nobody_lie() {
    let mut rng = Dice::new("cut-off");
    let database = Database::new();
    let wire = Wire::to(database.port()).await;
    let folder = Folder::at(&url(wire.port(), database.name()));
    let buyers = block_in_place(|| Buyers::start(&folder, &mut rng));
    let mut longest = Duration::ZERO;
    for point in 0..POINTS {
        sleep(Duration::from_millis(rng.next() % 150)).await;
        let cut = match point % 5 {
            0 | 1 => Cut::CommitAnswer { after: rng.below(13) },
            2 => Cut::FromClient { after: rng.below(20_000) },
            3 => Cut::FromServer { after: rng.below(20_000) },
            _ => Cut::CommitAnswer { after: 0 },
        };
        // Now and then nobody gets through for a while afterwards.
        let dark = (point % 5 == 4).then(|| Duration::from_millis(rng.next() % 1500));
        let before = wire.cuts();
        wire.cut(cut, dark.is_some());
        let armed = Instant::now();
        while wire.cuts() == before {
            let log = || buyers.server.log();
            assert!(armed.elapsed() < CUT_WITHIN, "nobody ran into {cut:?} ({point}): {}", log());
            sleep(Duration::from_millis(5)).await;
        }
        if let Some(dark) = dark {
            sleep(dark).await;
            wire.let_through();
        }
        longest = longest.max(buyers.longest());
    }
    note(&format!("{POINTS} cuts: the longest answer took {longest:?}"));
    let resumed = buyers.first_after(Instant::now()).await;
    note(&format!("sold again {:?} after the last", resumed.at - resumed.asked));
    falls_silent(&wire, &buyers).await;

    all_is_as_told(&folder, buyers).await;
}

/// What was acknowledged is there, once, and nothing is in doubt.
async fn all_is_as_told(folder: &Folder, buyers: Buyers) {
    note(&format!("{} acknowledged, {} put off", buyers.count(), buyers.put_off()));
    let (server, mut told) = buyers.stop().await;
    none_stays_in_doubt(folder, &server).await;
    confirm(&server, &mut told).await;
    let balance = server.sandbox().await.balance().await;
    let listed = folder.saldo_json(&["purchase", "list", "--limit", "9999999", "--json"]);
    server.stop();
    folder.verify();
    compare(folder, &told, &listed, balance);
}

/// Each packet takes long. What is sold is sold, the rest is put off with 503 before anything is stored,
/// and nobody waits longer than he is told to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_database_is_sold_with_or_refused() {
    let mut rng = Dice::new("slow");
    let database = Database::new();
    let wire = Wire::to(database.port()).await;
    let folder = Folder::at(&url(wire.port(), database.name()));
    let buyers = block_in_place(|| Buyers::start(&folder, &mut rng));
    buyers.first_after(Instant::now()).await;
    for (late_ms, is_narrow) in SLOW {
        buyers.longest();
        let (sold, put_off) = (buyers.count(), buyers.put_off());
        wire.delay(Duration::from_millis(late_ms), is_narrow);
        sleep(SLOW_FOR / 2).await;
        // Half way all connections have to be made anew.
        wire.go_dark();
        sleep(Duration::from_millis(100)).await;
        wire.let_through();
        sleep(SLOW_FOR / 2).await;
        let (sold, put_off) = (buyers.count() - sold, buyers.put_off() - put_off);
        let longest = buyers.longest();
        note(&format!(
            "{late_ms} ms a packet, narrow {is_narrow}: {sold} sold, {put_off} put off, the longest answer took {longest:?}"
        ));
        assert!(longest < ANSWERED_WITHIN && (sold > 0 || is_narrow), "{longest:?}, {sold} sold");
        wire.delay(Duration::ZERO, false);
        let resumed = buyers.first_after(Instant::now()).await;
        note(&format!("sold again {:?} after it", resumed.at - resumed.asked));
    }
    all_is_as_told(&folder, buyers).await;
}

/// Nothing comes through any more, or nobody is let in: health says so, and says when it is over.
async fn falls_silent(wire: &Wire, buyers: &Buyers) {
    for is_silent in [true, false] {
        let health = Health::watch(&buyers.server.address);
        sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        if is_silent {
            wire.fall_silent()
        } else {
            wire.go_dark()
        };
        sleep(RED_WITHIN + Duration::from_secs(2)).await;
        let ended = Instant::now();
        wire.let_through();
        buyers.first_after(ended).await;
        sleep(Duration::from_millis(500)).await;
        let seen = health.seen().await;
        let red = seen.iter().find(|(at, is_green)| *at > begun && !is_green).unwrap().0;
        let late = seen.iter().find(|(at, is_green)| *at > red && *at < ended && *is_green);
        assert!(late.is_none(), "green in the middle of it");
        let green = seen.iter().rev().take_while(|(_, is_green)| *is_green).last().unwrap().0;
        let (red, green) = (red - begun, green.saturating_duration_since(ended));
        note(&format!(
            "silent: {is_silent}; red after {red:?}, green {green:?} after the end; the longest answer took {:?}",
            buyers.longest()
        ));
        assert!(red < RED_WITHIN && green < GREEN_WITHIN, "red {red:?}, green {green:?}");
    }
}

/// Looks at `/healthz` all the time.
struct Health {
    is_over: Arc<AtomicBool>,
    looking: JoinHandle<Vec<(Instant, bool)>>,
}

impl Health {
    fn watch(address: &str) -> Health {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, address) = (is_over.clone(), address.to_owned());
        let looking = tokio::spawn(async move {
            let mut seen = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let mut client = Client::stranger(&address).await;
                let answer = client.try_send(Method::GET, "/healthz", "");
                // A monitor does not wait for ever: no answer is no health.
                let status = timeout(Duration::from_secs(10), answer).await;
                let is_green = status.is_ok_and(|reply| reply.unwrap().status() == 200);
                seen.push((Instant::now(), is_green));
                sleep(Duration::from_millis(50)).await;
            }
            seen
        });
        Health { is_over, looking }
    }

    /// What it was at which moment.
    async fn seen(self) -> Vec<(Instant, bool)> {
        self.is_over.store(true, Ordering::Relaxed);
        self.looking.await.unwrap()
    }
}
