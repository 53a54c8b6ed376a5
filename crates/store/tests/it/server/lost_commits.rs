//! Connections and servers that fail: a commit whose reply is lost, a silent server, a killed one.

use super::proxy::{Cut, Proxy, in_pieces};
use crate::harness::postgres::{Database, Server, url};
use crate::harness::world::*;
use domain::{AccountId, Currency, Environment, PostingDenied, Reason, State};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Fault, Store};
use tokio::task::JoinSet;

/// The server is killed under load, several times: every acknowledged deposit is there, and work
/// continues.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing() {
    let server = Server::own();
    let store = Arc::new(Store::connect(&server.url("migrated")).unwrap());
    open_accounts(&store, 8).await;
    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    let (is_over, uncertain) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut payers = JoinSet::new();
    for merchant in 2..10_i64 {
        let (store, acknowledged) = (store.clone(), acknowledged.clone());
        let (is_over, uncertain) = (is_over.clone(), uncertain.clone());
        payers.spawn(async move {
            for n in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let text = format!("{merchant} {n}");
                match store.write(fund(Reason::Deposit, merchant, 1, &text)).await {
                    Ok(Ok(_)) => {
                        acknowledged.lock().unwrap().insert(text, merchant);
                    }
                    Err(Fault::Unavailable(_)) => {
                        tokio::time::sleep(Duration::from_millis(20)).await
                    }
                    Err(Fault::Uncertain(_)) => drop(uncertain.fetch_add(1, Ordering::Relaxed)),
                    other => panic!("{other:?}"),
                }
            }
        });
    }
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let before = acknowledged.lock().unwrap().len();
        server.kill();
        tokio::task::block_in_place(|| server.wait());
        let mut tries = 200;
        while acknowledged.lock().unwrap().len() == before {
            tries -= 1;
            assert!(tries > 0, "nothing is acknowledged any more");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = payers.join_next().await {
        ended.unwrap();
    }
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    for (text, merchant) in &acknowledged {
        let mut tries = 100;
        let again = loop {
            match store.write(fund(Reason::Deposit, *merchant, 1, text)).await {
                // The last server may have been killed after its last acknowledgement.
                Err(Fault::Unavailable(_)) if tries > 0 => tries -= 1,
                answer => break answer.unwrap(),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(matches!(again, Err(PostingDenied::Known(_))), "{text} was acknowledged");
    }
    let report = assert_sound(&store);
    let unknown = uncertain.load(Ordering::Relaxed) as u64;
    let counted = acknowledged.len() as u64;
    // What was reported as not stored is not stored either.
    assert!((counted..=counted + unknown).contains(&report.journals), "{counted} {report:?}");
}

/// The writer reads every reply, however it is divided: a server that has replied never counts as
/// silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_may_come_in_pieces() {
    let database = Database::new();
    let (port, connected) = in_pieces(database.port());
    let store = Store::connect(&url(port, database.name())).unwrap();
    open_accounts(&store, 1).await;
    let before = connected.load(Ordering::SeqCst);
    deposit(&store, 2, 10 * TOTAL, "in").await;
    for id in 1..=5 {
        assert!(store.write(open(purchase(2, id, State::Sent))).await.unwrap().is_ok());
    }
    assert_eq!(connected.load(Ordering::SeqCst), before, "it disconnected and connected again");
    assert_sound(&store);
}

/// A COMMIT whose reply is lost is looked up before anybody is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_to_commit_is_looked_up() {
    let database = Database::new();
    let proxy = Proxy::before(database.port());
    let store = Store::connect(&url(proxy.port, database.name())).unwrap();
    open_accounts(&store, 1).await;
    let mut booked = 0;
    for round in 0..12 {
        let cut = [Cut::BeforeCommit, Cut::AfterCommit][round % 2];
        proxy.cut(cut);
        let deposits =
            (0..5).map(|n| fund(Reason::Deposit, 2, 1, &format!("{round} {n}"))).collect();
        for answer in write_all(&store, deposits).await {
            booked += 1;
            // A batch that was not committed is run again.
            assert_eq!(answer.unwrap(), Ok(booked), "{cut:?}");
        }
        assert_eq!(proxy.cuts.load(Ordering::SeqCst), round + 1, "{cut:?}");
        // A Tx that was looked up and not found may still be on its way: it must not commit later,
        // so its writer's row must be gone. The rows of those that had committed may stay.
        if cut == Cut::BeforeCommit {
            let writers: usize = database.sql("SELECT count(*) FROM writers")[0].parse().unwrap();
            assert!(writers <= 1 + round / 2, "a lost connection may still write");
        }
    }
    assert_eq!(wallet(&store, 2), (booked, 0, 0));
    assert_eq!(assert_sound(&store).journals, booked as u64);
}

/// While the database cannot be reached, the commit is reported as uncertain, and soon. Later
/// changes fail at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_cannot_be_looked_up_is_uncertain() {
    let database = Database::new();
    let proxy = Proxy::before(database.port());
    let store = Store::connect(&url(proxy.port, database.name())).unwrap();
    open_accounts(&store, 1).await;
    proxy.cut(Cut::AfterCommitAndRefuse);
    let started = tokio::time::Instant::now();
    let answer = store.write(fund(Reason::Deposit, 2, 1, "in doubt")).await;
    assert!(matches!(answer, Err(Fault::Uncertain(_))), "{answer:?}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    let started = tokio::time::Instant::now();
    for n in 0..20 {
        let answer = store.write(fund(Reason::Deposit, 2, 1, &format!("{n}"))).await;
        assert!(matches!(answer, Err(Fault::Unavailable(_))), "{answer:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(matches!(store.ping(), Err(Fault::Unavailable(_))));
    proxy.refuses.store(false, Ordering::SeqCst);
    let mut tries = 0;
    while store.write(fund(Reason::Deposit, 2, 1, "after")).await.is_err() {
        tries += 1;
        assert!(tries < 100, "it does not recover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.ping().unwrap();
    let left = store.available(AccountId(2), Environment::Live, Currency::BDT).unwrap().unwrap();
    assert_eq!(left.minor(), 2, "the uncertain commit had succeeded");
    assert_sound(&store);
}

/// A server that is silent after COMMIT is given up; the commit is looked up over another
/// connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_on_a_silent_server_is_looked_up() {
    let database = Database::new();
    let proxy = Proxy::before(database.port());
    let store = Store::connect(&url(proxy.port, database.name())).unwrap();
    open_accounts(&store, 1).await;
    proxy.cut(Cut::Silence);
    let started = tokio::time::Instant::now();
    let answer = store.write(fund(Reason::Deposit, 2, 1, "in")).await;
    // The server still keeps the Tx open, and with it the lock, so the look-up may not succeed yet.
    assert!(matches!(answer, Err(Fault::Uncertain(_)) | Ok(Ok(_))), "{answer:?}");
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
    let mut tries = 0;
    while store.write(fund(Reason::Deposit, 2, 1, "after")).await.is_err() {
        tries += 1;
        assert!(tries < 200, "it does not recover");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_sound(&store);
}
