//! Promise P4 on a small scale: an upstream loses every fifth reply, and had delivered half of
//! those orders.

use crate::world::*;
use domain::{AttemptRef, EnquiryOutcome, Environment, Purchase, Reason, State};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

const PURCHASES: u64 = 2_000;

#[derive(Default)]
struct UpstreamLedger {
    received: HashMap<AttemptRef, u32>,
    credited: HashSet<AttemptRef>,
}

fn draw(attempt: AttemptRef) -> u64 {
    let mixed = attempt.purchase.0.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) % 10
}

/// Of ten orders one is lost, of one the reply is lost, one is refused.
fn unreliable(upstream: &ScriptedUpstream) -> Arc<Mutex<UpstreamLedger>> {
    let ledger = Arc::new(Mutex::new(UpstreamLedger::default()));
    let written = ledger.clone();
    upstream.on_submit(move |order| {
        let mut ledger = written.lock().unwrap();
        let draw = draw(order.attempt);
        *ledger.received.entry(order.attempt).or_default() += 1;
        if draw != 0 && draw != 2 {
            ledger.credited.insert(order.attempt);
        }
        Reply::With(match draw {
            0 | 1 => unknown(),
            2 => refused(),
            _ => delivered(),
        })
    });
    let read = ledger.clone();
    upstream.on_enquire(move |order| {
        Reply::With(match read.lock().unwrap().credited.contains(&order.attempt) {
            true => delivered(),
            false => EnquiryOutcome::NotFound,
        })
    });
    ledger
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_replies_are_never_refunded_nor_sent_again() {
    let world = Arc::new(world().await);
    let (account, environment) = (world.merchant, Environment::Live);
    let note = Note { reference: "more", note: "soak" };
    world.engine.fund(Reason::Deposit, account, environment, bdt(10_000_000), note).await.unwrap();
    let ledger = unreliable(&world.a);
    let is_credited = |purchase: &Purchase| {
        ledger.lock().unwrap().credited.contains(&purchase.latest_attempt().unwrap())
    };
    let mut buyers = JoinSet::new();
    for buyer in 0..40 {
        let world = world.clone();
        buyers.spawn(async move {
            for n in 0..PURCHASES / 40 {
                world.buy(&format!("R{buyer}-{n}"), TO_A).await;
            }
        });
    }
    while let Some(buyer) = buyers.join_next().await {
        buyer.unwrap();
    }
    let doubts = world.engine.latest_purchases(Some(State::InDoubt), 10_000).unwrap();
    assert!((300..500).contains(&doubts.len()), "{}", doubts.len());
    // Before the grace has passed, "not found" refunds nothing.
    world.enquire(&world.a, doubts.len()).await;
    let lost: Vec<_> = doubts.iter().filter(|p| !is_credited(p)).map(|p| p.key.id).collect();
    assert!(lost.iter().all(|id| world.state(*id) == State::InDoubt));
    // After it, it must be said twice.
    for wait in [GRACE, Duration::from_secs(1)] {
        world.clock.advance(wait);
        world.enquire(&world.a, lost.len()).await;
    }
    let mut delivered = 0;
    for purchase in world.engine.latest_purchases(None, 10_000).unwrap() {
        let expected = if is_credited(&purchase) { State::Delivered } else { State::Failed };
        assert_eq!((purchase.key.id, purchase.state), (purchase.key.id, expected));
        delivered += i64::from(expected == State::Delivered);
    }
    assert!(ledger.lock().unwrap().received.values().all(|n| *n == 1));
    let left = START + 10_000_000 - delivered * TOTAL;
    assert_eq!(world.wallet(), (left, 0, delivered * COMMISSION));
    assert_eq!(world.house_balance("float", "a"), delivered * AMOUNT);
    assert_eq!(world.engine.open_cases().unwrap(), []);
    let report = world.assert_sound().await;
    assert_eq!((report.purchases, report.open), (PURCHASES, 0));
}
