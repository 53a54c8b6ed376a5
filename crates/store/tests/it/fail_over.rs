//! Two servers that both say that they take writes: the one that was replaced is not worked with.

use crate::pair::Pair;
use crate::world::*;
use domain::ledger::journal::Reason;
use std::time::Duration;
use store::{Done, Fault, Store};
use tokio::time::Instant;

/// Books one unit, as soon as there is a server to do it.
async fn booked(store: &Store, paper: &str) -> i64 {
    let began = Instant::now();
    loop {
        match store.write(fund(Reason::Deposit, 2, 1, paper)).await {
            Ok(Ok(Done::Posted { available_after })) => return available_after,
            Err(Fault::Unavailable(why)) if began.elapsed() < Duration::from_secs(30) => {
                drop(why);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other => panic!("{paper}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_primary_is_not_worked_with() {
    let pair = Pair::new();
    let node = Store::connect(&pair.url()).unwrap();
    people(&node, 1).await;
    assert_eq!(booked(&node, "before").await, 1);
    let journals = |nth| pair.sql(nth, "SELECT count(*) FROM journals").unwrap();
    // Neither waits for a standby, so that each would acknowledge what it is asked.
    let alone = |nth| {
        pair.sql(nth, "ALTER SYSTEM SET synchronous_standby_names = ''").unwrap();
        pair.sql(nth, "SELECT pg_reload_conf()").unwrap();
    };
    pair.kill(0);
    pair.promote(1);
    alone(1);
    assert_eq!(booked(&node, "on the successor").await, 2);
    // It comes back as what it was, and stands first in the address.
    pair.start(0);
    alone(0);
    assert_eq!(booked(&node, "on the successor again").await, 3);
    let fresh = Store::connect(&pair.url()).unwrap();
    assert_eq!(booked(&fresh, "by a node that has seen neither").await, 4);
    assert_eq!((journals(0), journals(1)), (vec!["1".to_owned()], vec!["4".to_owned()]));

    pair.kill(1);
    for node in [&node, &fresh] {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(3) {
            let refused = node.write(fund(Reason::Deposit, 2, 1, "on the former")).await;
            // Nobody can tell of what was on its way when the primary went, while there is none to ask.
            let is_refused = matches!(refused, Err(Fault::Unavailable(_) | Fault::Uncertain(_)));
            assert!(is_refused, "{refused:?}");
            let refused = node.purchase(&key(2, 1));
            let Err(Fault::Unavailable(why)) = &refused else { panic!("{refused:?}") };
            assert!(why.contains("former primary") || why.contains("connection"), "{why}");
        }
    }
    assert_eq!(journals(0), ["1"]);
    pair.start(1);
    assert_eq!(booked(&node, "and again").await, 5);
    assert_eq!(booked(&fresh, "and again, elsewhere").await, 6);
    assert_sound(&node);
}
