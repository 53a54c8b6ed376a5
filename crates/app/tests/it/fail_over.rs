//! Promise P11 (rig R10): the primary of a synchronous pair is killed under load, again and again.
//!
//! The oracle is what the clients were told. A promoted primary has no standby, so it acknowledges
//! nothing until the killed one has come back as its standby: that is part of every figure here.

use crate::buyers::Buyers;
use crate::harness::{Dice, Folder, note};
use crate::kills::{compare, confirm, none_stays_in_doubt};
use crate::pair::Pair;
use std::time::Duration;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

const KILLS: usize = 20;
const KILLS_ALONE: usize = 5;
/// Longer than anybody waits for an answer.
const ALONE_FOR: Duration = Duration::from_secs(40);
/// From the moment that the pair is whole again. On a quiet machine the whole way from the promotion
/// takes less.
const ACKNOWLEDGES_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_a_fail_over() {
    let mut rng = Dice::new("fail-over");
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
        let whole = Instant::now();
        let first = buyers.first_after(promoted).await.at;
        let waited = first.saturating_duration_since(whole);
        assert!(waited < ACKNOWLEDGES_WITHIN, "round {round}: {waited:?} after the pair was whole");
        note(&format!(
            "kill {round}: promoted after {:?}, whole after {:?}, first acknowledgement {:?} after the promotion",
            promoted - killed,
            whole - killed,
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
        nothing_is_acknowledged_alone(&pair, primary, &buyers, &mut rng).await;
    }
    nobody_waits_too_long_alone(&pair, primary, &buyers).await;
    note(&format!("{} acknowledged, {} put off", buyers.count(), buyers.put_off()));
    let (server, mut told) = buyers.stop().await;
    none_stays_in_doubt(&folder, &server).await;
    confirm(&server, &mut told).await;
    let balance = server.sandbox().await.balance().await;
    let listed = folder.saldo_json(&["purchase", "list", "--limit", "9999999", "--json"]);
    server.stop();
    folder.verify();
    compare(&folder, &told, &listed, balance);
}

/// The standby is killed, then the primary too, which comes back without it.
async fn nothing_is_acknowledged_alone(
    pair: &Pair,
    primary: usize,
    buyers: &Buyers,
    rng: &mut Dice,
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

/// Without its standby the primary answers everything but a COMMIT. Whoever asks then waits behind one
/// that is waited for, the look-up of it, and a new connection, and is told 503 all the same.
async fn nobody_waits_too_long_alone(pair: &Pair, primary: usize, buyers: &Buyers) {
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
