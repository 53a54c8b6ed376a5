//! The audit finds rows that were changed outside the store, and names them.

use crate::conformance::people::anna;
use crate::harness::postgres::Database;
use crate::harness::world::*;
use domain::{Event, Reason, State};
use expect_test::expect_file;
use std::fs;
use std::path::Path;
use store::{Setting, Store};

/// Ledger accounts by number, as `open_accounts` and the first entries create them: 1-3 the sandbox
/// wallet of account 2 (available, held, commission), 4-6 its live wallet, 7-9 and 10-12 the same
/// of account 3; then those of the house when they are first needed.
async fn sound_ledger(world: World) -> Storage {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await; // journal 1
    deposit(store, 3, 100 * TOTAL, "in").await; // 2
    live(store, purchase(2, 11, State::Sent), &[Event::Deliver]).await; // 3, 4
    live(store, purchase(2, 12, State::Sent), &[Event::Refuse]).await; // 5, 6
    live(store, purchase(2, 13, State::Sent), &[]).await; // 7
    live(store, purchase(2, 14, State::Sent), &[Event::Deliver, Event::Reverse]).await; // 8, 9, 10
    live(store, purchase(3, 15, State::Quoted), &[]).await;
    live(store, purchase(3, 16, State::Awaiting), &[Event::Reject]).await; // 11, 12
    store.write(fund(Reason::Withdraw, 2, 500, "out")).await.unwrap().unwrap(); // 13
    set(store, Setting::User(anna())).await;
    world.assert_sound();
    world.closed()
}

type Audited = Result<store::AuditReport, store::Fault>;

/// Changes a copy of the ledger, with all protection of the database disabled, and audits it.
fn tamper(ledger: &Storage, statements: &str) -> Audited {
    match ledger {
        Storage::Folder(folder) => tamper_with_file(folder.path(), statements),
        Storage::Database(database) => tamper_with_database(database, statements),
    }
}

fn tamper_with_file(ledger: &Path, statements: &str) -> Audited {
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("saldo.db");
    fs::copy(ledger.join("saldo.db"), &path).unwrap();
    let sql = rusqlite::Connection::open(&path).unwrap();
    sql.execute_batch("PRAGMA foreign_keys=OFF; PRAGMA ignore_check_constraints=ON;").unwrap();
    let triggers: Vec<String> = sql
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for trigger in triggers {
        sql.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    let before = sql.total_changes();
    sql.execute_batch(&statements.replace("NOUGHT", "zeroblob(32)")).unwrap();
    assert!(sql.total_changes() > before, "changed nothing: {statements}");
    drop(sql);
    Store::open(copy.path()).unwrap().audit()
}

fn tamper_with_database(ledger: &Database, statements: &str) -> Audited {
    let copy = ledger.copy();
    let checks = copy.sql(
        "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
         FROM pg_constraint WHERE contype = 'c' AND coninhcount = 0
             AND connamespace = 'public'::regnamespace",
    );
    let nought = "decode(repeat('00', 32), 'hex')";
    // A replica runs neither triggers nor foreign keys.
    copy.sql(&format!(
        "SET session_replication_role = replica; {}; {}",
        checks.join("; "),
        statements.replace("NOUGHT", nought)
    ));
    Store::connect(&copy.url()).unwrap().audit()
}

const TAMPERINGS: [(&str, &str); 55] = [
    ("an entry's amount", "UPDATE entries SET amount = amount + 1 WHERE journal_seq = 1"),
    (
        "an entry's sides swapped",
        "UPDATE entries SET debit_id = credit_id, credit_id = debit_id WHERE journal_seq = 1",
    ),
    ("an entry's debit", "UPDATE entries SET debit_id = 10 WHERE journal_seq = 3"),
    ("an entry to nowhere", "UPDATE entries SET credit_id = 999 WHERE journal_seq = 3"),
    ("an entry below zero", "UPDATE entries SET amount = -amount WHERE journal_seq = 3"),
    ("an entry deleted", "DELETE FROM entries WHERE journal_seq = 4 AND line = 2"),
    ("an entry added", "INSERT INTO entries VALUES (13, 2, 4, 10, 5, 202604)"),
    ("an entry's line", "UPDATE entries SET line = 7 WHERE journal_seq = 1"),
    (
        "an entry moved to another journal",
        "UPDATE entries SET journal_seq = 1, line = 2 WHERE journal_seq = 2",
    ),
    ("a journal's note", "UPDATE journals SET note = 'paper other' WHERE seq = 1"),
    ("a journal's note emptied", "UPDATE journals SET note = '' WHERE seq = 3"),
    ("a journal's moment", "UPDATE journals SET at = at + 1 WHERE seq = 2"),
    ("a journal's hash", "UPDATE journals SET hash = NOUGHT WHERE seq = 5"),
    ("a journal's reason", "UPDATE journals SET reason = 'release' WHERE seq = 4"),
    ("a journal's account", "UPDATE journals SET account_id = 3 WHERE seq = 1"),
    ("a journal's purchase", "UPDATE journals SET purchase_id = 12 WHERE seq = 3"),
    (
        "a journal deleted in the middle",
        "DELETE FROM entries WHERE journal_seq = 6; DELETE FROM journals WHERE seq = 6",
    ),
    ("a journal deleted, its entries left", "DELETE FROM journals WHERE seq = 6"),
    (
        "the first journal deleted",
        "DELETE FROM entries WHERE journal_seq = 1; DELETE FROM journals WHERE seq = 1",
    ),
    (
        "the last journal deleted",
        "DELETE FROM entries WHERE journal_seq = 13; DELETE FROM journals WHERE seq = 13",
    ),
    (
        "the last journal deleted, balances mended",
        "DELETE FROM entries WHERE journal_seq = 13; DELETE FROM journals WHERE seq = 13; \
         UPDATE ledger_accounts SET balance = balance + 500 WHERE id = 4; \
         UPDATE ledger_accounts SET balance = balance - 500 WHERE purpose = 'funding'",
    ),
    (
        "a journal added",
        "INSERT INTO journals VALUES (14, 2, 'live', NULL, 'deposit', NULL, 0, NOUGHT, NULL, \
         202604); INSERT INTO entries VALUES (14, 1, 13, 4, 500, 202604)",
    ),
    (
        "a journal filed under another month",
        "UPDATE journals SET month = 202605 WHERE seq = 6; \
         UPDATE entries SET month = 202605 WHERE journal_seq = 6",
    ),
    (
        "an entry filed under another month",
        "UPDATE entries SET month = 202605 WHERE journal_seq = 6",
    ),
    ("a balance", "UPDATE ledger_accounts SET balance = balance + 100 WHERE id = 4"),
    (
        "money between two wallets",
        "UPDATE ledger_accounts SET balance = balance - 100 WHERE id = 4; \
         UPDATE ledger_accounts SET balance = balance + 100 WHERE id = 10",
    ),
    ("a wallet below zero", "UPDATE ledger_accounts SET balance = -1 WHERE id = 1"),
    ("a wallet's floor", "UPDATE ledger_accounts SET floor = -100000 WHERE id = 4"),
    (
        "two wallets' owners swapped",
        "UPDATE ledger_accounts SET account_id = 99 WHERE id = 4; \
         UPDATE ledger_accounts SET account_id = 2 WHERE id = 10; \
         UPDATE ledger_accounts SET account_id = 3 WHERE id = 4",
    ),
    (
        "held and available swapped",
        "UPDATE ledger_accounts SET purpose = 'x' WHERE id = 4; \
         UPDATE ledger_accounts SET purpose = 'available' WHERE id = 5; \
         UPDATE ledger_accounts SET purpose = 'held' WHERE id = 4",
    ),
    ("a ledger account deleted", "DELETE FROM ledger_accounts WHERE id = 4"),
    ("a purchase delivered", "UPDATE purchases SET state = 'delivered' WHERE id = 13"),
    ("a purchase failed", "UPDATE purchases SET state = 'failed' WHERE id = 11"),
    ("a purchase's amount", "UPDATE purchases SET amount = amount - 1 WHERE id = 12"),
    (
        "a purchase's fee for its amount",
        "UPDATE purchases SET amount = amount - 1, fee = fee + 1 WHERE id = 11",
    ),
    ("a purchase's commission", "UPDATE purchases SET commission = 9 WHERE id = 11"),
    ("a purchase's account", "UPDATE purchases SET account_id = 3 WHERE id = 12"),
    ("a purchase's version", "UPDATE purchases SET version = 9 WHERE id = 12"),
    ("a purchase deleted", "DELETE FROM purchases WHERE id = 12"),
    (
        "an open purchase deleted with its job",
        "DELETE FROM purchases WHERE id = 15; DELETE FROM jobs WHERE purchase_id = 15",
    ),
    ("a claim deleted", "DELETE FROM claims WHERE reference = 'R12'"),
    (
        "a reference of no account",
        "INSERT INTO claims (account_id, environment, space, reference, at) VALUES \
         (99, 'live', 'desk', 'x', 0)",
    ),
    ("a payment deleted", "DELETE FROM payments WHERE account_id = 3"),
    ("a payment's account", "UPDATE payments SET account_id = 2 WHERE account_id = 3"),
    ("a payment's reference", "UPDATE payments SET reference = 'OTHER' WHERE account_id = 3"),
    (
        "two payments' journals swapped",
        "UPDATE payments SET journal_seq = 99 WHERE journal_seq = 1; \
      UPDATE payments SET journal_seq = 1 WHERE journal_seq = 2; \
      UPDATE payments SET journal_seq = 2 WHERE journal_seq = 99",
    ),
    ("a job deleted", "DELETE FROM jobs WHERE purchase_id = 13"),
    ("a job that sends again", "UPDATE jobs SET job = 'submit' WHERE purchase_id = 13"),
    (
        "the first of two events deleted",
        "DELETE FROM events WHERE purchase_id = 14 AND state = 'delivered'",
    ),
    ("an event deleted", "DELETE FROM events WHERE purchase_id = 12"),
    ("an attempt deleted", "DELETE FROM attempts WHERE purchase_id = 13"),
    (
        "an attempt of no purchase",
        "INSERT INTO attempts (purchase_id, account_id, environment, number, upstream, \
         started_at) VALUES (99, 2, 'live', 1, 'a', 0)",
    ),
    (
        "a job of no purchase",
        "INSERT INTO jobs (purchase_id, account_id, environment, job, due_at, tries, epoch) \
         VALUES (99, 2, 'live', 'query', 0, 0, 0)",
    ),
    (
        "an event of no purchase",
        "INSERT INTO events (purchase_id, account_id, environment, sequence, state, at) VALUES \
         (99, 2, 'live', 3, 'failed', 0)",
    ),
    ("a login that nobody has used", "UPDATE users SET account_id = 3"),
];

#[tokio::test]
async fn every_tampering_is_found_and_named() {
    let table = found_in(&sound_ledger(sqlite().await).await);
    expect_file!["./data/tampering.txt"].assert_eq(&table);
}

/// The audit reports the same for both databases.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tampering_on_postgresql_is_found_and_named() {
    let table = found_in(&sound_ledger(postgresql().await).await);
    expect_file!["./data/tampering.txt"].assert_eq(&table);
}

fn found_in(ledger: &Storage) -> String {
    let mut table = String::new();
    let mut missed = Vec::new();
    for (name, statements) in TAMPERINGS {
        table += &format!("{name}\n");
        match tamper(ledger, statements) {
            Ok(report) => {
                if report.findings_count == 0 {
                    missed.push(name);
                }
                // What a database says itself differs; what the audit says does not.
                let is_ours = |finding: &&String| !finding.starts_with("the database's own check");
                for finding in report.findings.iter().filter(is_ours) {
                    table += &format!("    {finding}\n");
                }
            }
            Err(fault) => table += &format!("    {fault}\n"),
        }
    }
    assert_eq!(missed, Vec::<&str>::new(), "{table}");
    table
}
