//! What SQLite itself refuses, below all rules of the code above it; the writer while another
//! program holds the lock, and with a full queue.

use crate::harness::world::*;
use domain::{Event, Reason, State};
use expect_test::{Expect, expect};
use rusqlite::Connection;
use std::time::Duration;
use store::{Fault, TakeOver};

fn check(sql: &Connection, statement: &str, expected: Expect) {
    let error = sql.execute_batch(statement).expect_err(statement);
    let text = error.to_string();
    expected.assert_eq(text.split(" in ").next().unwrap());
}

/// The writer keeps balances from commit to commit. One that another program has changed is not
/// written over: that commit fails, and the next one reads again.
#[tokio::test]
async fn a_balance_that_is_not_as_it_was_left_fails_the_commit() {
    let world = sqlite().await;
    deposit(&world.store, 2, 10 * TOTAL, "in").await;
    let before = wallet(&world.store, 2);
    let add = |minor: i64| {
        world.execute(&format!(
            "UPDATE ledger_accounts SET balance = balance + {minor}
             WHERE account_id = 2 AND environment = 'live' AND purpose = 'available'"
        ));
    };
    add(5);
    let lost = world.store.write(fund(Reason::Deposit, 2, TOTAL, "lost")).await;
    assert!(matches!(lost, Err(Fault::Corrupt(_))), "{lost:?}");
    assert_eq!(wallet(&world.store, 2).0, before.0 + 5);
    add(-5);
    deposit(&world.store, 2, TOTAL, "next").await;
    assert_eq!(wallet(&world.store, 2).0, before.0 + TOTAL);
    world.assert_sound();
}

/// The database protects uniqueness, floors and history, whatever the code above it does.
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
        "INSERT INTO claims SELECT account_id, environment, space, reference, 9, NULL, 0, x'00'
         FROM claims LIMIT 1",
        expect![
            "UNIQUE constraint failed: claims.account_id, claims.environment, claims.space, \
             claims.reference"
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

/// Another program (a shell, a backup) holds the lock: changes are written when it releases the
/// lock.
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

/// The lock is held for longer than the writer waits: all changes are refused after one wait, not
/// each after its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_lock_refuses_a_batch_at_once() {
    let world = sqlite().await;
    let other = Connection::open(world.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let deposits =
        |from: i32| (from..from + 8).map(|n| fund(Reason::Deposit, 2, 5, &n.to_string()));
    let started = tokio::time::Instant::now();
    let answers = write_all(&world.store, deposits(0).collect()).await;
    assert!(answers.iter().all(|a| matches!(a, Err(Fault::Database(_)))), "{answers:?}");
    // One wait of 5 s, or two if the first was taken before the others had queued.
    assert!(started.elapsed() < Duration::from_secs(14), "{:?}", started.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    let answers = write_all(&world.store, deposits(0).collect()).await;
    assert!(answers.iter().all(|a| matches!(a, Ok(Ok(_)))), "{answers:?}");
    assert_eq!(wallet(&world.store, 2), (40, 0, 0));
    world.assert_sound();
}

/// After its timeout a change is withdrawn and nothing of it is stored, unless the writer has begun
/// with it: then its result is awaited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_waits_too_long_is_withdrawn_unless_it_has_begun() {
    let world = sqlite().await;
    let other = Connection::open(world.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let deposit_of_five = |text: &str| fund(Reason::Deposit, 2, 5, text);
    let soon = Duration::from_millis(300);
    let (begun, withdrawn, ()) = tokio::join!(
        world.store.write_within(deposit_of_five("begun"), soon),
        async {
            // By now the writer has begun with the first.
            tokio::time::sleep(soon / 3).await;
            world.store.write_within(deposit_of_five("late"), soon).await
        },
        async {
            tokio::time::sleep(soon * 3).await;
            other.execute_batch("ROLLBACK").unwrap();
        }
    );
    assert!(matches!(begun, Ok(Ok(5))), "{begun:?}");
    assert!(matches!(withdrawn, Err(Fault::Busy)), "{withdrawn:?}");
    assert_eq!(deposit(&world.store, 2, 5, "late").await, 10);
    world.assert_sound();
}

/// Changes beyond the limit of the queue are refused at once; those in the queue are written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_changes() {
    let world = sqlite().await;
    let other = Connection::open(world.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let freed = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1_500));
        other.execute_batch("ROLLBACK").unwrap();
    });
    let changes = vec![TakeOver { dead: Vec::new(), is_start: false, now: NOW }; 18_000];
    let answers = write_all(&world.store, changes).await;
    freed.join().unwrap();
    let done = answers.iter().filter(|a| matches!(a, Ok(Ok(())))).count();
    let busy = answers.iter().filter(|a| matches!(a, Err(Fault::Busy))).count();
    assert_eq!(done + busy, 18_000);
    // The queue, and at most one batch that the writer had already taken from it.
    assert!((16_384..=16_384 + 512).contains(&done), "{done}");
    assert_eq!(deposit(&world.store, 2, 5, "in").await, 5);
}
