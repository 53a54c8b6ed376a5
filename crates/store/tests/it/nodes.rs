//! Several nodes on one database: leases, the fence in each commit, take-over, news.

use crate::conformance::claim;
use crate::postgres::Database;
use crate::world::*;
use domain::PurchaseId;
use domain::purchase::PurchaseKey;
use domain::purchase::lifecycle::State;
use domain::{AccountId, Environment};
use std::time::Duration;
use store::{Change, DeadRun, Done, Fault, HaltChange, Setting, Store};

/// Two nodes, with merchant 2 and some money.
async fn two() -> (Database, Store, Store) {
    let database = Database::new();
    let [one, other] = [0, 1].map(|_| Store::connect(&database.url()).unwrap());
    people(&one, 1).await;
    deposit(&one, 2, 100 * TOTAL, "in").await;
    (database, one, other)
}

fn run_of(database: &Database, node: &Store) -> i64 {
    let of = format!("SELECT run FROM nodes WHERE number = {}", node.node());
    database.sql(&of)[0].parse().unwrap()
}

/// Ends a node's lease past it and takes it over, before it renews it.
async fn take_over(database: &Database, by: &Store, dead: &Store) -> i64 {
    let run = run_of(database, dead);
    let is_there = format!("SELECT count(*) FROM nodes WHERE run = {run}");
    while database.sql(&is_there) != ["0"] {
        database.sql(&format!("UPDATE nodes SET lease_until = 5 WHERE run = {run}"));
        let dead = vec![DeadRun { run, lease_until: 5 }];
        by.write(Change::TakeOver { dead, is_start: false, now: NOW }).await.unwrap().unwrap();
    }
    run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_left_is_due_and_what_lives_is_left_alone() {
    let (database, one, other) = two().await;
    one.write(open(purchase(2, 1, State::Sent))).await.unwrap().unwrap();
    other.write(open(purchase(2, 2, State::Sent))).await.unwrap().unwrap();
    one.write(open(purchase(2, 3, State::Awaiting))).await.unwrap().unwrap();
    assert_eq!(claim(&other, Duration::ZERO, 10).await, []);
    // Whoever has renewed its lease since it was seen lives.
    let dead = vec![DeadRun { run: run_of(&database, &one), lease_until: 5 }];
    other.write(Change::TakeOver { dead, is_start: false, now: NOW }).await.unwrap().unwrap();
    assert_eq!(claim(&other, Duration::ZERO, 10).await, []);

    take_over(&database, &other, &one).await;
    let due: Vec<_> =
        claim(&other, Duration::ZERO, 10).await.iter().map(|job| job.key.id).collect();
    assert_eq!(due, [PurchaseId(1)], "neither the other node's own nor what expires in its time");
}

/// What it wrote before it had workers is its own to do, and nobody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_workers_start_has_in_hand_what_it_wrote_before() {
    let (_database, one, other) = two().await;
    one.write(open(purchase(2, 1, State::Sent))).await.unwrap().unwrap();
    other.write(open(purchase(2, 2, State::Sent))).await.unwrap().unwrap();
    one.write(open(purchase(2, 3, State::Awaiting))).await.unwrap().unwrap();
    for (is_start, due) in [(false, vec![]), (true, vec![PurchaseId(1)])] {
        let take_over = Change::TakeOver { dead: Vec::new(), is_start, now: NOW };
        one.write(take_over).await.unwrap().unwrap();
        let stored_reference = claim(&one, Duration::ZERO, 10).await;
        assert_eq!(stored_reference.iter().map(|job| job.key.id).collect::<Vec<_>>(), due);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_taken_for_dead_cannot_write_before_it_has_joined_anew() {
    let (database, one, other) = two().await;
    let run = take_over(&database, &other, &one).await;
    let refused = one.write(open(purchase(2, 1, State::Sent))).await;
    assert!(matches!(refused, Err(Fault::Fenced)), "{refused:?}");
    let key =
        PurchaseKey { id: PurchaseId(1), account: AccountId(2), environment: Environment::Live };
    assert_eq!(other.purchase(&key).unwrap(), None);
    let opened = one.write(open(purchase(2, 1, State::Sent))).await.unwrap();
    assert!(matches!(opened, Ok(Done::Opened { .. })), "{opened:?}");
    let now = run_of(&database, &one);
    assert!(now > run, "{now} after {run}");
    assert_ne!(one.node(), other.node());
    assert_eq!(assert_sound(&one).journals, 2);
}

/// A node that does nothing just then learns it from its lease, and is a new one within seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_idle_joins_anew_by_itself() {
    let (database, one, other) = two().await;
    let run = take_over(&database, &other, &one).await;
    let is_new = format!("SELECT count(*) FROM nodes WHERE run > {run}");
    for _ in 0..200 {
        if database.sql(&is_new) == ["1"] {
            assert!(one.holds_lease());
            let refused = one.write(open(purchase(2, 1, State::Sent))).await;
            assert!(matches!(refused, Err(Fault::Fenced)), "asked of the old run: {refused:?}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not join anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_reach_the_other_node_within_a_second() {
    let (_database, one, other) = two().await;
    let mut news = other.news().unwrap();
    let before = news.borrow_and_update().clone();
    let within = Duration::from_secs(1);
    let begin = HaltChange::Begin { why: "restored".to_owned(), at: NOW };
    one.write(Change::Halt(begin)).await.unwrap().unwrap();
    let heard = tokio::time::timeout(within, news.wait_for(|news| news.halt > before.halt));
    heard.await.unwrap().unwrap();
    set(&one, Setting::Category(fixtures::category())).await;
    let heard = tokio::time::timeout(within, news.wait_for(|news| news.catalog > before.catalog));
    heard.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_have_numbers_of_their_own_and_thirty_two_are_enough() {
    let database = Database::new();
    let nodes: Vec<Store> = (0..32).map(|_| Store::connect(&database.url()).unwrap()).collect();
    let mut numbers: Vec<u8> = nodes.iter().map(Store::node).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..32).collect::<Vec<u8>>());
    let refused = Store::connect(&database.url()).err().unwrap().to_string();
    assert!(refused.contains("32 nodes work with it already"), "{refused}");
    drop(nodes);
    assert_eq!(database.sql("SELECT count(*) FROM nodes"), ["0"], "an orderly end leaves none");
}
