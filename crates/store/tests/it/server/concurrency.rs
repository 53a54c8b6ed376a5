//! Several writers on one database: the lock, stale caches, batches in flight.

use crate::harness::postgres::{Database, ask};
use crate::harness::world::*;
use domain::{PostingDenied, Reason, State};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use store::{Fault, Store};
use tokio::task::JoinSet;

/// Two nodes write at once: one hash chain, no reference used twice, no balance below zero.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_one_wallet() {
    let database = Database::new();
    let nodes = [0, 1].map(|_| Arc::new(Store::connect(&database.url()).unwrap()));
    open_accounts(&nodes[0], 1).await;
    deposit(&nodes[0], 2, 50 * TOTAL, "in").await;
    let mut buyers = JoinSet::new();
    for id in 1..=100_i64 {
        for node in &nodes {
            let node = node.clone();
            // Each reference is requested on both nodes.
            buyers.spawn(async move { node.write(open(purchase(2, id, State::Sent))).await });
        }
    }
    let answers: Vec<_> = buyers.join_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 50);
    assert_eq!(wallet(&nodes[1], 2), (0, 50 * TOTAL, 0));
    assert_eq!(assert_sound(&nodes[0]).journals, 51);
}

/// A Tx as of another node, which holds the writers' lock for a second; it has the lock when this
/// returns.
async fn other_writer(database: &Database, statement: &str) -> JoinHandle<Vec<String>> {
    let statements = format!(
        "BEGIN; SELECT pg_advisory_xact_lock(1651470187); {statement}; SELECT pg_sleep(1); COMMIT"
    );
    let url = database.url();
    let other = std::thread::spawn(move || ask(&url, &statements).unwrap());
    tokio::time::sleep(Duration::from_millis(300)).await;
    other
}

/// A commit in flight fails, and so does the one behind it. Both batches are run again in their
/// order, and each client gets the answer to its own change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_behind_a_failed_commit_are_run_again() {
    let storage = postgresql().await.closed();
    let store = Arc::new(Store::connect(&storage.database().url()).unwrap());
    deposit(&store, 2, 100, "first").await;
    deposit(&store, 2, 100, "so that batches are optimistic").await;
    // Long enough for more than one batch to be sent.
    let other = other_writer(storage.database(), "UPDATE last_commit SET token = 'another'").await;
    let mut payers = JoinSet::new();
    for n in 0..60 {
        let store = store.clone();
        // Every third deposit repeats the reference of the one before.
        let text = format!("in {}", if n % 3 == 2 { n - 1 } else { n });
        payers.spawn(async move { store.write(fund(Reason::Deposit, 2, 1, &text)).await });
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (mut booked, mut known) = (0, 0);
    while let Some(answer) = payers.join_next().await {
        match answer.unwrap() {
            Ok(Ok(_)) => booked += 1,
            Ok(Err(PostingDenied::Known(_))) => known += 1,
            other => panic!("{other:?}"),
        }
    }
    other.join().unwrap();
    assert_eq!((booked, known), (40, 20));
    assert_sound(&store);
    let balance = "SELECT balance FROM ledger_accounts WHERE id = 4";
    assert_eq!(storage.database().sql(balance), ["240"]);
}

/// Changes that arrive while the writer waits for the lock join the batch that waits: one commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_arrive_during_the_wait_share_one_batch() {
    let storage = postgresql().await.closed();
    let store = Arc::new(Store::connect(&storage.database().url()).unwrap());
    let other = other_writer(storage.database(), "SELECT 1").await;
    let mut payers = JoinSet::new();
    for n in 0..40 {
        let store = store.clone();
        let text = format!("in {n}");
        payers.spawn(async move { store.write(fund(Reason::Deposit, 2, 1, &text)).await });
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while let Some(answer) = payers.join_next().await {
        assert!(matches!(answer.unwrap(), Ok(Ok(_))));
    }
    other.join().unwrap();
    assert_eq!(storage.database().sql("SELECT batch FROM writers"), ["1"]);
    assert_sound(&store);
}

/// A balance that was changed by hand while a batch was open is not overwritten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balance_is_written_by_compare_and_swap() {
    let world = postgresql().await;
    deposit(&world.store, 2, 100, "in").await;
    let storage = world.closed();
    let store = Store::connect(&storage.database().url()).unwrap();
    // Changes the wallet's row and keeps it locked until the batch waits for it.
    let refused = std::thread::scope(|scope| {
        let by_hand = scope.spawn(|| {
            storage.database().sql(
                "BEGIN; UPDATE ledger_accounts SET balance = balance + 1 WHERE id = 4;
                 SELECT pg_sleep(1); COMMIT",
            )
        });
        std::thread::sleep(Duration::from_millis(400));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let refused = std::thread::spawn(move || {
            runtime.block_on(store.write(fund(Reason::Deposit, 2, 5, "more")))
        });
        by_hand.join().unwrap();
        refused.join().unwrap()
    });
    assert!(matches!(refused, Err(Fault::Corrupt(_))), "{refused:?}");
    assert_eq!(storage.database().sql("SELECT balance FROM ledger_accounts WHERE id = 4"), ["101"]);
}
