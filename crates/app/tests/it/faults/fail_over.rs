//! Promise P11 (rig R10): the primary of a synchronous pair is killed under load, again and again.
//!
//! The oracle is what the clients were answered. A promoted primary has no standby, so it
//! acknowledges nothing until the killed server is back as its standby. Every figure here includes
//! that wait.

use super::buyers::Buyers;
use super::oracle::check_all;
use crate::pair::Pair;
use crate::support::{Folder, Rng, note};
use std::time::Duration;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

const KILLS: usize = 20;
const KILLS_ALONE: usize = 5;
/// Longer than any answer may take.
const ALONE_FOR: Duration = Duration::from_secs(40);
/// Measured from the moment that the pair is complete again. On a quiet machine even the time since
/// the promotion is shorter.
const ACKNOWLEDGES_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_a_fail_over() {
    let mut rng = Rng::new("fail-over");
    let pair = block_in_place(Pair::new);
    let folder = Folder::at(&pair.url());
    let buyers = block_in_place(|| Buyers::start(&folder, &mut rng));
    let mut primary = 0;
    let mut took = Vec::new();
    for round in 0..KILLS {
        sleep(Duration::from_millis(300 + rng.next() % 500)).await;
        let killed = Instant::now();
        block_in_place(|| pair.kill(primary));
        primary = 1 - primary;
        block_in_place(|| pair.promote(primary));
        let promoted = Instant::now();
        block_in_place(|| pair.rejoin(1 - primary));
        let complete = Instant::now();
        let first = buyers.first_after(promoted).await.at;
        let waited = first.saturating_duration_since(complete);
        assert!(waited < ACKNOWLEDGES_WITHIN, "round {round}: {waited:?} after the rejoin");
        note(&format!(
            "kill {round}: promoted after {:?}, complete after {:?}, \
             first acknowledgement {:?} after the promotion",
            promoted - killed,
            complete - killed,
            first - promoted,
        ));
        took.push(first - promoted);
        block_in_place(|| pair.wait_for_standby(primary));
    }
    took.sort();
    note(&format!(
        "from the promotion to the first acknowledgement: {:?} least, {:?} median, {:?} most",
        took[0],
        took[KILLS / 2],
        took[KILLS - 1]
    ));
    for _ in 0..KILLS_ALONE {
        a_lone_primary_acknowledges_nothing(&pair, primary, &buyers, &mut rng).await;
    }
    a_lone_primary_answers_in_time(&pair, primary, &buyers).await;
    let (acknowledged, unavailable) = (buyers.count(), buyers.unavailable());
    note(&format!("{acknowledged} acknowledged, {unavailable} answered with 503"));
    let (server, statuses) = buyers.stop().await;
    check_all(&folder, server, statuses).await;
}

/// The standby is killed, then the primary, and the primary starts again alone.
async fn a_lone_primary_acknowledges_nothing(
    pair: &Pair,
    primary: usize,
    buyers: &Buyers,
    rng: &mut Rng,
) {
    buyers.first_after(Instant::now()).await;
    block_in_place(|| pair.kill(1 - primary));
    let alone = Instant::now();
    sleep(Duration::from_millis(200 + rng.next() % 500)).await;
    block_in_place(|| pair.kill(primary));
    block_in_place(|| pair.start(primary));
    sleep(Duration::from_millis(1500)).await;
    let first = buyers.first_since(alone);
    assert!(first.is_none(), "acknowledged on one disk: {first:?}, alone since {alone:?}");
    block_in_place(|| pair.start(1 - primary));
    let together = Instant::now();
    let first = buyers.first_after(together).await.at;
    note(&format!("alone for {:?}, sold {:?} after", together - alone, first - together));
    block_in_place(|| pair.wait_for_standby(primary));
}

/// Without its standby the primary answers everything but a COMMIT. A request then waits for the
/// COMMIT before it, the query for that COMMIT's result and a new connection; it is answered with
/// 503 in time all the same.
async fn a_lone_primary_answers_in_time(pair: &Pair, primary: usize, buyers: &Buyers) {
    buyers.first_after(Instant::now()).await;
    buyers.longest();
    block_in_place(|| pair.kill(1 - primary));
    let alone = Instant::now();
    sleep(ALONE_FOR).await;
    let first = buyers.first_since(alone);
    assert!(first.is_none(), "acknowledged on one disk: {first:?}, alone since {alone:?}");
    block_in_place(|| pair.start(1 - primary));
    buyers.first_after(Instant::now()).await;
    let longest = buyers.longest();
    note(&format!("alone for {:?}, the longest answer took {longest:?}", alone.elapsed()));
    block_in_place(|| pair.wait_for_standby(primary));
}
