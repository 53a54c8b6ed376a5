//! How fast the writer is, on each database: measured by hand, never judged by a clock.
//!
//! `cargo test --release -p store --test it -- --ignored --nocapture speed`

use crate::postgres::{Database, pgbench};
use crate::world::*;
use domain::lifecycle::{Event, State};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use store::{Change, Done, Store};
use tokio::task::JoinSet;

const ROUNDS: usize = 3;
const MERCHANTS: i64 = 1_000;

fn seconds() -> Duration {
    let seconds = std::env::var("SALDO_SPEED_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}

/// Purchases opened and delivered by so many at once, in writes a second: two a purchase.
async fn writes_per_second(
    store: &Arc<Store>,
    tasks: i64,
    merchants: i64,
    first_id: &AtomicI64,
) -> u64 {
    let (is_over, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut buyers = JoinSet::new();
    for task in 0..tasks {
        let (store, is_over, written) = (store.clone(), is_over.clone(), written.clone());
        let mut id = first_id.fetch_add(10_000_000, Ordering::Relaxed);
        buyers.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                id += 1;
                let merchant = 2 + (id * 7 + task) % merchants;
                let sent = purchase(merchant, id, State::Sent);
                let delivered = step(&sent, Event::Deliver).unwrap();
                let opened = store.write(open(sent)).await.unwrap();
                assert!(matches!(opened, Ok(Done::Opened { .. })), "{opened:?}");
                assert_eq!(store.write(Change::Step(delivered)).await.unwrap(), Ok(Done::Written));
                written.fetch_add(2, Ordering::Relaxed);
            }
        });
    }
    tokio::time::sleep(seconds()).await;
    let counted = written.load(Ordering::Relaxed);
    is_over.store(true, Ordering::Relaxed);
    buyers.join_all().await;
    counted / seconds().as_secs()
}

async fn funded(store: Store) -> Arc<Store> {
    people(&store, MERCHANTS).await;
    for merchant in 2..2 + MERCHANTS {
        deposit(&store, merchant, 1_000_000_000_000, "in").await;
    }
    Arc::new(store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "a measurement is printed")]
async fn speed() {
    let (folder, database) = (tempfile::tempdir().unwrap(), Database::new());
    let stores = [
        ("SQLite", funded(Store::open(folder.path()).unwrap()).await),
        ("PostgreSQL", funded(Store::connect(&database.url()).unwrap()).await),
    ];
    let next_id = AtomicI64::new(1);
    for round in 1..=ROUNDS {
        for (name, store) in &stores {
            for (load, tasks, merchants) in
                [("spread", 64, MERCHANTS), ("hot", 64, 1), ("spread, 256 tasks", 256, MERCHANTS)]
            {
                let found = writes_per_second(store, tasks, merchants, &next_id).await;
                eprintln!("{round} {name}, {load}: {found} writes/s, {} purchases/s", found / 2);
            }
        }
        let bench = Database::empty();
        for scale in [50, 1] {
            let bench = || pgbench(&bench, scale, seconds().as_secs());
            let found = tokio::task::block_in_place(bench);
            eprintln!("{round} pgbench TPC-B-like, 64 clients, scale {scale}: {found}");
        }
    }
    for (_, store) in &stores {
        assert_sound(store);
    }
}
