//! Several nodes on one database: leases, fencing, take-over, changes that reach the other nodes.

use crate::conformance::jobs::lease;
use crate::conformance::pushes;
use crate::harness::postgres::Database;
use crate::harness::world::*;
use domain::{AccountId, Environment, PurchaseId, PurchaseKey, Sequence, State};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use store::{BeginHalt, DeadRun, Fault, Setting, Store, TakeNumbers, TakeOver};
use tokio::task::JoinSet;

/// Two nodes of a database with a merchant that has money.
async fn two() -> (Database, Store, Store) {
    let database = Database::new();
    let [one, other] = [0, 1].map(|_| Store::connect(&database.url()).unwrap());
    open_accounts(&one, 1).await;
    deposit(&one, 2, 100 * TOTAL, "in").await;
    (database, one, other)
}

fn run_of(database: &Database, node: &Store) -> i64 {
    let query = format!("SELECT run FROM nodes WHERE number = {}", node.node());
    database.sql(&query)[0].parse().unwrap()
}

/// Ends a node's lease in the database and takes the node over, before it renews the lease.
async fn take_over(database: &Database, by: &Store, dead: &Store) -> i64 {
    let run = run_of(database, dead);
    let is_there = format!("SELECT count(*) FROM nodes WHERE run = {run}");
    while database.sql(&is_there) != ["0"] {
        database.sql(&format!("UPDATE nodes SET lease_until = 5 WHERE run = {run}"));
        let dead = vec![DeadRun { run, lease_until: 5 }];
        by.commit(TakeOver { dead, is_start: false, now: NOW }).await.unwrap();
    }
    run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_dead_node_become_due_and_those_of_a_live_one_do_not() {
    let (database, one, other) = two().await;
    one.write(open(purchase(2, 1, State::Sent))).await.unwrap().unwrap();
    other.write(open(purchase(2, 2, State::Sent))).await.unwrap().unwrap();
    one.write(open(purchase(2, 3, State::Awaiting))).await.unwrap().unwrap();
    assert_eq!(lease(&other, Duration::ZERO, 10).await, []);
    // A node that has renewed its lease since is not dead.
    let dead = vec![DeadRun { run: run_of(&database, &one), lease_until: 5 }];
    other.commit(TakeOver { dead, is_start: false, now: NOW }).await.unwrap();
    assert_eq!(lease(&other, Duration::ZERO, 10).await, []);

    take_over(&database, &other, &one).await;
    let due: Vec<_> =
        lease(&other, Duration::ZERO, 10).await.iter().map(|job| job.key.id).collect();
    assert_eq!(due, [PurchaseId(1)], "not the other node's own jobs, nor those with a later time");
}

/// Numbers are of the house, whichever node takes them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_give_no_number_twice() {
    let (_database, one, other) = two().await;
    let (one, other) = (Arc::new(one), Arc::new(other));
    let mut taking = JoinSet::new();
    for (node, count) in [(&one, 3), (&other, 7)] {
        for of in [Sequence::Purchase, Sequence::Session].repeat(20) {
            let node = node.clone();
            taking.spawn(async move {
                let taken = node.commit(TakeNumbers { of, count, at: NOW }).await.unwrap();
                (taken.first..taken.first + i64::from(count)).map(move |n| (of.code(), n))
            });
        }
    }
    let given: Vec<_> = taking.join_all().await.into_iter().flatten().collect();
    let different: BTreeSet<_> = given.iter().copied().collect();
    assert_eq!((given.len(), different.len()), (400, 400));
    assert_eq!(different.last(), Some(&("session", 200)));
}

/// What its lease says does not matter: the node is dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_of_a_dead_node_is_taken_over() {
    let (database, one, other) = two().await;
    pushes::pushed(&one).await;
    assert_eq!(pushes::lease(&one, 0).await.len(), 1);
    other.commit(TakeOver { dead: Vec::new(), is_start: false, now: NOW }).await.unwrap();
    assert_eq!(pushes::lease(&other, 0).await, [], "the node lives");
    take_over(&database, &other, &one).await;
    assert_eq!(pushes::lease(&other, 0).await.len(), 1);
}

/// Only what the node's own run wrote becomes due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_wrote_before_its_workers_started_becomes_due() {
    let (_database, one, other) = two().await;
    one.write(open(purchase(2, 1, State::Sent))).await.unwrap().unwrap();
    other.write(open(purchase(2, 2, State::Sent))).await.unwrap().unwrap();
    one.write(open(purchase(2, 3, State::Awaiting))).await.unwrap().unwrap();
    for (is_start, due) in [(false, vec![]), (true, vec![PurchaseId(1)])] {
        one.commit(TakeOver { dead: Vec::new(), is_start, now: NOW }).await.unwrap();
        let leased = lease(&one, Duration::ZERO, 10).await;
        assert_eq!(leased.iter().map(|job| job.key.id).collect::<Vec<_>>(), due);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_declared_dead_cannot_write_before_it_has_rejoined() {
    let (database, one, other) = two().await;
    let run = take_over(&database, &other, &one).await;
    let refused = one.write(open(purchase(2, 1, State::Sent))).await;
    assert!(matches!(refused, Err(Fault::Fenced)), "{refused:?}");
    let key =
        PurchaseKey { id: PurchaseId(1), account: AccountId(2), environment: Environment::Live };
    assert_eq!(other.purchase(&key).unwrap(), None);
    one.write(open(purchase(2, 1, State::Sent))).await.unwrap().unwrap();
    let now = run_of(&database, &one);
    assert!(now > run, "{now} after {run}");
    assert_ne!(one.node(), other.node());
    assert_eq!(assert_sound(&one).journals, 2);
}

/// An idle node learns from the renewal of its lease that it was taken over, and has a new run
/// within seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_node_rejoins_by_itself() {
    let (database, one, other) = two().await;
    let run = take_over(&database, &other, &one).await;
    let is_new = format!("SELECT count(*) FROM nodes WHERE run > {run}");
    for _ in 0..200 {
        if database.sql(&is_new) == ["1"] {
            assert!(one.holds_lease());
            let refused = one.write(open(purchase(2, 1, State::Sent))).await;
            assert!(
                matches!(refused, Err(Fault::Fenced)),
                "requested under the old run: {refused:?}"
            );
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not rejoin");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_reach_the_other_node_within_a_second() {
    let (_database, one, other) = two().await;
    let mut news = other.catalog_changes().unwrap();
    let before = news.borrow_and_update().clone();
    let within = Duration::from_secs(1);
    one.commit(BeginHalt { why: "restored".to_owned(), at: NOW }).await.unwrap();
    let received = tokio::time::timeout(within, news.wait_for(|news| news.halt > before.halt));
    received.await.unwrap().unwrap();
    set(&one, Setting::Category(fixtures::category())).await;
    let received =
        tokio::time::timeout(within, news.wait_for(|news| news.catalog > before.catalog));
    received.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_has_its_own_number_and_there_are_at_most_thirty_two() {
    let database = Database::new();
    let nodes: Vec<Store> = (0..32).map(|_| Store::connect(&database.url()).unwrap()).collect();
    let mut numbers: Vec<u8> = nodes.iter().map(Store::node).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..32).collect::<Vec<u8>>());
    let refused = Store::connect(&database.url()).err().unwrap().to_string();
    assert!(refused.contains("32 nodes work with it already"), "{refused}");
    drop(nodes);
    assert_eq!(database.sql("SELECT count(*) FROM nodes"), ["0"], "an orderly end leaves no run");
}
