//! Two servers that both take writes: the one that was replaced is not used.

use crate::harness::pair::Pair;
use crate::harness::world::*;
use domain::Reason;
use std::time::Duration;
use store::{Fault, Store};
use tokio::time::Instant;

/// Deposits one minor unit, as soon as a server is available; returns the balance.
async fn deposited(store: &Store, text: &str) -> i64 {
    let began = Instant::now();
    loop {
        match store.write(fund(Reason::Deposit, 2, 1, text)).await {
            Ok(Ok(available_after)) => return available_after,
            Err(Fault::Unavailable(_)) if began.elapsed() < Duration::from_secs(30) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_primary_is_not_used() {
    let pair = Pair::new();
    let node = Store::connect(&pair.url()).unwrap();
    open_accounts(&node, 1).await;
    assert_eq!(deposited(&node, "before").await, 1);
    let journals = |nth| pair.sql(nth, "SELECT count(*) FROM journals").unwrap();
    // Neither waits for a standby, so each would acknowledge a commit.
    let alone = |nth| {
        pair.sql(nth, "ALTER SYSTEM SET synchronous_standby_names = ''").unwrap();
        pair.sql(nth, "SELECT pg_reload_conf()").unwrap();
    };
    pair.kill(0);
    pair.promote(1);
    alone(1);
    assert_eq!(deposited(&node, "on the successor").await, 2);
    // The former primary comes back as a primary, and is the first host of the address.
    pair.start(0);
    alone(0);
    assert_eq!(deposited(&node, "on the successor again").await, 3);
    let fresh = Store::connect(&pair.url()).unwrap();
    assert_eq!(deposited(&fresh, "by a node that has seen neither").await, 4);
    assert_eq!((journals(0), journals(1)), (vec!["1".to_owned()], vec!["4".to_owned()]));

    pair.kill(1);
    for node in [&node, &fresh] {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(3) {
            let refused = node.write(fund(Reason::Deposit, 2, 1, "on the former")).await;
            // A commit that was in flight when the primary was killed stays uncertain while no host
            // can be asked.
            let is_refused = matches!(refused, Err(Fault::Unavailable(_) | Fault::Uncertain(_)));
            assert!(is_refused, "{refused:?}");
            let refused = node.purchase(&key(2, 1));
            let Err(Fault::Unavailable(reason)) = &refused else { panic!("{refused:?}") };
            assert!(reason.contains("former primary") || reason.contains("connection"), "{reason}");
        }
    }
    assert_eq!(journals(0), ["1"]);
    pair.start(1);
    assert_eq!(deposited(&node, "and again").await, 5);
    assert_eq!(deposited(&fresh, "and again, elsewhere").await, 6);
    assert_sound(&node);
}
