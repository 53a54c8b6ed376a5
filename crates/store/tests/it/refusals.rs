//! What the database itself refuses, whoever asks; and what a lock or a flood does to the writer.

use crate::world::*;
use domain::purchase::lifecycle::{Event, State};
use expect_test::{Expect, expect};
use rusqlite::Connection;
use std::time::Duration;
use store::{Change, Done, Fault};

fn check(sql: &Connection, statement: &str, expected: Expect) {
    let error = sql.execute_batch(statement).expect_err(statement);
    let text = error.to_string();
    expected.assert_eq(text.split(" in ").next().unwrap());
}

/// Uniqueness, floors and history are refused by the database, beneath every rule above it.
#[tokio::test]
async fn the_database_refuses_what_the_rules_forbid() {
    let world = sqlite().await;
    deposit(&world.store, 2, 10 * TOTAL, "in").await;
    live(&world.store, purchase(2, 1, State::Sent), &[Event::Deliver]).await;
    let folder = world.closed();
    let sql = Connection::open(folder.path().join("saldo.db")).unwrap();
    sql.execute_batch("PRAGMA foreign_keys=ON").unwrap();
    let append_only = || expect!["journals are append-only"];
    check(&sql, "UPDATE journals SET note = 'x'", append_only());
    check(&sql, "DELETE FROM journals WHERE seq = 1", append_only());
    let append_only = || expect!["entries are append-only"];
    check(&sql, "UPDATE entries SET amount = 1", append_only());
    check(&sql, "DELETE FROM entries", append_only());
    check(&sql, "DELETE FROM claims", expect!["a used reference stays used"]);
    check(&sql, "UPDATE claims SET reference = 'other'", expect!["a used reference stays used"]);
    check(
        &sql,
        "INSERT INTO claims SELECT account_id, environment, space, reference, 9, NULL, 0 FROM claims LIMIT 1",
        expect![
            "UNIQUE constraint failed: claims.account_id, claims.environment, claims.space, claims.reference"
        ],
    );
    let floor = || expect!["CHECK constraint failed: ledger_accounts_floor"];
    check(&sql, "UPDATE ledger_accounts SET balance = -1 WHERE purpose = 'available'", floor());
    check(&sql, "UPDATE ledger_accounts SET balance = -1 WHERE purpose = 'held'", floor());
    check(
        &sql,
        "UPDATE ledger_accounts SET floor = NULL WHERE purpose = 'held'",
        expect!["CHECK constraint failed: ledger_accounts_wallets_have_a_floor"],
    );
    check(
        &sql,
        "INSERT INTO entries VALUES (1, 9, 1, 2, 0, 202604)",
        expect!["CHECK constraint failed: amount > 0"],
    );
    check(
        &sql,
        "INSERT INTO entries VALUES (1, 9, 1, 1, 5, 202604)",
        expect!["CHECK constraint failed: debit_id <> credit_id"],
    );
    check(
        &sql,
        "INSERT INTO entries VALUES (99, 1, 1, 2, 5, 202604)",
        expect!["FOREIGN KEY constraint failed"],
    );
    check(&sql, "DELETE FROM purchases", expect!["purchases are not deleted"]);
    check(
        &sql,
        "UPDATE purchases SET id = 9007199254740992",
        expect!["CHECK constraint failed: id > 0 AND id < 9007199254740992"],
    );
}

/// Another program (a shell, a backup) holds the lock: what waits is written when it lets go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_lock_only_delays() {
    let world = sqlite().await;
    let other = Connection::open(world.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let freed = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        other.execute_batch("ROLLBACK").unwrap();
    });
    assert_eq!(deposit(&world.store, 2, 5, "in").await, 5);
    freed.join().unwrap();
    world.assert_sound();
}

/// The lock is held for longer than the writer waits: all are refused after one wait, not after
/// one wait each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_lock_refuses_a_batch_at_once() {
    let world = sqlite().await;
    let other = Connection::open(world.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let papers = |from: i32| {
        (from..from + 8)
            .map(|n| fund(domain::ledger::journal::Reason::Deposit, 2, 5, &n.to_string()))
    };
    let started = tokio::time::Instant::now();
    let answers = write_all(&world.store, papers(0).collect()).await;
    assert!(answers.iter().all(|a| matches!(a, Err(Fault::Database(_)))), "{answers:?}");
    // One wait of 5 s, or two if the first was taken before the others had queued.
    assert!(started.elapsed() < Duration::from_secs(14), "{:?}", started.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    let answers = write_all(&world.store, papers(0).collect()).await;
    assert!(answers.iter().all(|a| matches!(a, Ok(Ok(Done::Posted { .. })))), "{answers:?}");
    assert_eq!(wallet(&world.store, 2), (40, 0, 0));
    world.assert_sound();
}

/// Whoever waits for an answer takes back what the writer has not begun with, and nothing of it is stored;
/// what it has begun with is waited for, however impatient its asker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_too_long_is_taken_back_and_what_was_begun_is_not() {
    let world = sqlite().await;
    let other = Connection::open(world.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let paper = |text: &str| fund(domain::ledger::journal::Reason::Deposit, 2, 5, text);
    let soon = Duration::from_millis(300);
    let (begun, taken_back, ()) = tokio::join!(
        world.store.write_within(paper("begun"), soon),
        async {
            // The writer has the first in hand by now.
            tokio::time::sleep(soon / 3).await;
            world.store.write_within(paper("late"), soon).await
        },
        async {
            tokio::time::sleep(soon * 3).await;
            other.execute_batch("ROLLBACK").unwrap();
        }
    );
    assert!(matches!(begun, Ok(Ok(Done::Posted { available_after: 5 }))), "{begun:?}");
    assert!(matches!(taken_back, Err(Fault::Busy)), "{taken_back:?}");
    assert_eq!(deposit(&world.store, 2, 5, "late").await, 10);
    world.assert_sound();
}

/// More than the queue holds is refused at once; what was taken is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_refused_not_swallowed() {
    let world = sqlite().await;
    let other = Connection::open(world.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let freed = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1_500));
        other.execute_batch("ROLLBACK").unwrap();
    });
    let flood = (0..18_000)
        .map(|_| Change::TakeOver { dead: Vec::new(), is_start: false, now: NOW })
        .collect();
    let answers = write_all(&world.store, flood).await;
    freed.join().unwrap();
    let done = answers.iter().filter(|a| matches!(a, Ok(Ok(Done::Written)))).count();
    let busy = answers.iter().filter(|a| matches!(a, Err(Fault::Busy))).count();
    assert_eq!(done + busy, 18_000);
    // The queue, and at most one batch that the writer had in hand.
    assert!((16_384..=16_384 + 512).contains(&done), "{done}");
    assert_eq!(deposit(&world.store, 2, 5, "in").await, 5);
}
