//! Copies of a store in use: complete and consistent, and damage to them is found.

use crate::harness::world::*;
use domain::{Event, State};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use store::{AuditReport, Fault, Store, audit_file};
use tokio::task::JoinSet;

fn sound(file: &Path) -> (store::LedgerEnd, AuditReport) {
    let (ending, report) = audit_file(file).unwrap();
    assert_eq!((report.findings_count, &report.findings), (0, &Vec::new()));
    (ending, report)
}

/// Enough pages for several steps of a copy.
fn make_large(folder: &Path) {
    let sql = rusqlite::Connection::open(folder.join("saldo.db")).unwrap();
    sql.execute_batch(
        "CREATE TABLE ballast (bytes BLOB);
         WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000)
         INSERT INTO ballast SELECT randomblob(3900) FROM c;",
    )
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_under_load_is_one_consistent_state() {
    let world = sqlite().await;
    make_large(world.path());
    deposit(&world.store, 2, 100_000 * TOTAL, "in").await;
    let world = Arc::new(world);
    let (stop, bought) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let mut writers = JoinSet::new();
    for writer in 0..8_i64 {
        let (world, stop, bought) = (world.clone(), stop.clone(), bought.clone());
        writers.spawn(async move {
            for n in 0.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let event = [Event::Deliver, Event::Refuse, Event::Doubt][n as usize % 3];
                let bought_now = purchase(2, 1 + writer * 1_000_000 + n, State::Sent);
                live(&world.store, bought_now, &[event]).await;
                bought.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let root = tempfile::tempdir().unwrap();
    let mut last = 0;
    for n in 0..5 {
        let file = root.path().join(format!("{n}.db"));
        while bought.load(Ordering::SeqCst) <= last {
            tokio::task::yield_now().await;
        }
        let before = bought.load(Ordering::SeqCst);
        let (seen, to) = (world.clone(), file.clone());
        let copying = tokio::task::spawn_blocking(move || seen.store.copy_to(&to, &|| true));
        let bytes = copying.await.unwrap().unwrap();
        let after = bought.load(Ordering::SeqCst) + 8;
        assert_eq!(fs::metadata(&file).unwrap().len(), bytes);
        let (ending, report) = sound(&file);
        assert_eq!(i64::try_from(report.journals).unwrap(), ending.last_journal);
        let there = i64::try_from(report.purchases).unwrap();
        // All that was acknowledged before, and nothing that was begun after.
        assert!((before..=after).contains(&there), "{there} of {before} to {after}");
        assert!(there > last, "nothing was written meanwhile");
        last = there;
        assert!(!root.path().join(format!("{n}.db-wal")).exists());
    }
    stop.store(true, Ordering::SeqCst);
    writers.join_all().await;
    world.assert_sound();
    // A copy can be opened as a store.
    let folder = tempfile::tempdir().unwrap();
    fs::copy(root.path().join("4.db"), folder.path().join("saldo.db")).unwrap();
    let report = assert_sound(&Store::open(folder.path()).unwrap());
    assert_eq!(i64::try_from(report.purchases).unwrap(), last);
}

#[cfg(unix)]
#[tokio::test]
async fn a_copy_is_private_and_overwrites_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let world = sqlite().await;
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("copy.db");
    world.store.copy_to(&file, &|| true).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&file).unwrap();
    deposit(&world.store, 2, TOTAL, "in").await;
    assert!(world.store.copy_to(&file, &|| true).is_err());
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn a_copy_that_is_cut_off_is_no_database_that_balances() {
    let world = sqlite().await;
    make_large(world.path());
    deposit(&world.store, 2, 100 * TOTAL, "in").await;
    let root = tempfile::tempdir().unwrap();
    for steps in 0..4 {
        let file = root.path().join(format!("{steps}.db"));
        let left = AtomicI64::new(steps);
        let is_wanted = || left.fetch_sub(1, Ordering::SeqCst) > 0;
        let cut = world.store.copy_to(&file, &is_wanted);
        assert!(matches!(cut, Err(Fault::Closed)), "{cut:?}");
        let seen = audit_file(&file);
        assert!(seen.as_ref().map_or(true, |(_, report)| report.findings_count > 0), "{seen:?}");
    }
    // The store itself is not affected.
    world.store.copy_to(&root.path().join("whole.db"), &|| true).unwrap();
    sound(&root.path().join("whole.db"));
    world.assert_sound();
}

/// Bytes are changed in one page after the other: the audit finds each of them.
#[tokio::test]
async fn damage_to_a_copy_is_found() {
    let world = sqlite().await;
    for n in 0..200 {
        deposit(&world.store, 2, 100, &format!("in {n}")).await;
    }
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("copy.db");
    world.store.copy_to(&file, &|| true).unwrap();
    let whole = fs::read(&file).unwrap();
    for page in 0..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096..page * 4096 + 100].fill(0xA5);
        fs::write(&file, bytes).unwrap();
        let seen = audit_file(&file);
        assert!(
            seen.as_ref().map_or(true, |(_, report)| report.findings_count > 0),
            "page {page}: {seen:?}"
        );
    }
    fs::write(&file, whole).unwrap();
    sound(&file);
}
