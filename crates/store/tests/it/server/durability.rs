//! A server that stops keeping what it acknowledges: nothing is acknowledged on it, whether a
//! connection is new or was open when the setting changed.

use super::proxy::{Cut, Proxy};
use crate::harness::postgres::{Database, Server, url};
use crate::harness::world::*;
use domain::Reason;
use std::fs;
use std::time::Duration;
use store::{AuditReport, Fault, Store};

/// A reconnect, or what a setting of the whole server needs to be noticed, is over by then.
const SOON: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_millis(50);

/// Changes a setting of the database; only new connections get it.
fn set_database(database: &Database, change: &str) {
    database.sql(&format!("ALTER DATABASE {} {change}", database.name()));
}

fn end_connections(database: &Database) {
    database.sql(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'saldo'",
    );
}

async fn pay(store: &Store, text: &str) -> Result<(), Fault> {
    let answer = store.write(fund(Reason::Deposit, 2, 1, text)).await?;
    assert!(answer.is_ok(), "{answer:?}");
    Ok(())
}

/// Every payment is refused with what is wrong, and nothing of any is stored.
async fn nothing_is_acknowledged(store: &Store, journals: impl Fn() -> Vec<String>, name: &str) {
    let mut started = tokio::time::Instant::now();
    let (mut before, mut refusals) = (None, 0);
    while started.elapsed() < Duration::from_secs(2) {
        let text = format!("{name} {refusals}");
        match pay(store, &text).await {
            Err(Fault::Unavailable(_)) => {
                before.get_or_insert_with(&journals);
                refusals += 1;
            }
            // It was sent on the connection that was ended, and cannot be looked up here.
            Err(Fault::Uncertain(_)) if before.is_none() => started = tokio::time::Instant::now(),
            other => panic!("{name}: acknowledged, or failed otherwise: {other:?}"),
        }
        tokio::time::sleep(SHORT).await;
    }
    let health = store.ping();
    assert!(matches!(health, Err(Fault::Unavailable(_))), "{name}: healthy: {health:?}");
    assert!(refusals > 3, "{name}: {refusals}");
    assert_eq!(Some(journals()), before, "{name}: something was stored");
}

/// Waits until the store says that it can write, though nobody writes.
async fn healthy(store: &Store) {
    let started = tokio::time::Instant::now();
    while let Err(fault) = store.ping() {
        assert!(started.elapsed() < 2 * SOON, "it does not recover: {fault}");
        tokio::time::sleep(SHORT).await;
    }
}

async fn recovers(store: &Store, text: &str) {
    let started = tokio::time::Instant::now();
    while let Err(fault) = pay(store, text).await {
        assert!(started.elapsed() < 2 * SOON, "it does not recover: {fault}");
        tokio::time::sleep(SHORT).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconnect_to_a_server_that_is_not_durable_acknowledges_nothing() {
    let database = Database::new();
    let store = Store::connect(&database.url()).unwrap();
    open_accounts(&store, 1).await;
    for setting in ["off", "local", "remote_write"] {
        pay(&store, &format!("before {setting}")).await.unwrap();
        set_database(&database, &format!("SET synchronous_commit = {setting}"));
        end_connections(&database);
        let journals = || database.sql("SELECT count(*) FROM journals");
        nothing_is_acknowledged(&store, journals, setting).await;
        set_database(&database, "RESET synchronous_commit");
        healthy(&store).await;
        recovers(&store, &format!("after {setting}")).await;
    }
    assert_sound(&store);
}

/// A look-up on such a server proves nothing: what it finds could still be lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_not_looked_up_on_a_server_that_is_not_durable() {
    let database = Database::new();
    let proxy = Proxy::before(database.port());
    let store = Store::connect(&url(proxy.port, database.name())).unwrap();
    open_accounts(&store, 1).await;
    set_database(&database, "SET synchronous_commit = off");
    proxy.cut(Cut::AfterCommit);
    let answer = store.write(fund(Reason::Deposit, 2, 1, "lost")).await;
    assert!(matches!(answer, Err(Fault::Uncertain(_))), "{answer:?}");
}

/// `fsync` and `full_page_writes` change while connections are open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_to_flush_is_noticed_without_a_reconnect() {
    let server = Server::own();
    let store = Store::connect(&server.url("migrated")).unwrap();
    open_accounts(&store, 1).await;
    let set = |change: &str| {
        server.sql("postgres", &format!("ALTER SYSTEM {change}"));
        server.sql("postgres", "SELECT pg_reload_conf()");
    };
    for setting in ["fsync", "full_page_writes"] {
        pay(&store, &format!("before {setting}")).await.unwrap();
        set(&format!("SET {setting} = off"));
        tokio::time::sleep(SOON).await;
        let journals = || server.sql("migrated", "SELECT count(*) FROM journals");
        nothing_is_acknowledged(&store, journals, setting).await;
        set(&format!("RESET {setting}"));
        recovers(&store, &format!("after {setting}")).await;
    }
    assert_sound(&store);
}

/// A page of a table or an index that was damaged on the disk: the audit says so, or fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_page_is_found() {
    let server = Server::own();
    let store = Store::connect(&server.url("migrated")).unwrap();
    open_accounts(&store, 1).await;
    for n in 0..50 {
        pay(&store, &format!("in {n}")).await.unwrap();
    }
    assert_sound(&store);
    server.sql("migrated", "CREATE EXTENSION amcheck");
    assert_sound(&store);
    server.sql("postgres", "CHECKPOINT");
    for name in ["payments", "payments_pkey", "ledger_accounts"] {
        let file = server.sql("migrated", &format!("SELECT pg_relation_filepath('{name}')"));
        let file = server.data().join(&file[0]);
        let whole = fs::read(&file).unwrap();
        let mut damaged = whole.clone();
        // Behind the header of the first page of rows, which the server reads without a word.
        let from = if name == "payments_pkey" { 8_192 } else { 0 };
        damaged[from + 7_000..from + 8_000].fill(0xA5);
        fs::write(&file, damaged).unwrap();
        // The server forgets what it has in memory.
        server.kill();
        server.wait();
        let seen = audit(&store).await;
        assert!(seen.as_ref().map_or(true, |r| r.findings_count > 0), "{name}: {seen:?}");
        fs::write(&file, whole).unwrap();
        server.kill();
        server.wait();
        assert_eq!(audit(&store).await.unwrap().findings, Vec::<String>::new(), "{name}");
    }
}

/// The audit, once the server is there again.
async fn audit(store: &Store) -> Result<AuditReport, Fault> {
    let started = tokio::time::Instant::now();
    loop {
        match store.audit() {
            Err(Fault::Unavailable(_)) if started.elapsed() < 3 * SOON => {
                tokio::time::sleep(SHORT).await;
            }
            audited => return audited,
        }
    }
}
