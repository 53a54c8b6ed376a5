//! What the database itself refuses, below all rules of the code above it.

use crate::harness::postgres::Database;
use crate::harness::world::*;
use domain::{Event, State};
use expect_test::{Expect, expect};

fn check(database: &Database, statement: &str, expected: Expect) {
    expected.assert_eq(&database.try_sql(statement).expect_err(statement));
}

/// The database protects uniqueness, floors and history, whatever the code above it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_refuses_what_the_rules_forbid() {
    let world = postgresql().await;
    deposit(&world.store, 2, 10 * TOTAL, "in").await;
    live(&world.store, purchase(2, 1, State::Sent), &[Event::Deliver]).await;
    let storage = world.closed();
    let sql = storage.database();
    let append_only = || expect!["journals are append-only"];
    check(sql, "UPDATE journals SET note = 'x'", append_only());
    check(sql, "DELETE FROM journals WHERE seq = 1", append_only());
    check(sql, "TRUNCATE journals, entries", append_only());
    let append_only = || expect!["entries are append-only"];
    check(sql, "UPDATE entries SET amount = 1", append_only());
    check(sql, "DELETE FROM entries", append_only());
    check(sql, "TRUNCATE entries", append_only());
    check(sql, "DELETE FROM claims", expect!["a used reference stays used"]);
    check(sql, "UPDATE claims SET reference = 'other'", expect!["a used reference stays used"]);
    check(
        sql,
        "INSERT INTO claims SELECT account_id, environment, space, reference, 9, NULL, 0
         FROM claims LIMIT 1",
        expect!["duplicate key value violates unique constraint \"claims_once\""],
    );
    let floor = || {
        expect![
            "new row for relation \"ledger_accounts\" violates check constraint \
             \"ledger_accounts_floor\""
        ]
    };
    check(sql, "UPDATE ledger_accounts SET balance = -1 WHERE purpose = 'available'", floor());
    check(sql, "UPDATE ledger_accounts SET balance = -1 WHERE purpose = 'held'", floor());
    check(
        sql,
        "UPDATE ledger_accounts SET floor = NULL WHERE purpose = 'held'",
        expect![
            "new row for relation \"ledger_accounts\" violates check constraint \
             \"ledger_accounts_wallets_have_a_floor\""
        ],
    );
    check(
        sql,
        "INSERT INTO entries VALUES (1, 9, 1, 2, 0, 202604)",
        expect![
            "new row for relation \"entries_202604\" violates check constraint \
             \"entries_amount_check\""
        ],
    );
    check(
        sql,
        "INSERT INTO entries VALUES (99, 1, 1, 2, 5, 202604)",
        expect!["an entry belongs to no journal"],
    );
    check(
        sql,
        "INSERT INTO entries VALUES (1, 9, 1, 999, 5, 202604)",
        expect!["an entry moves money of no ledger account"],
    );
    check(
        sql,
        "INSERT INTO events VALUES (1, 3, 'live', 9, 'failed', 0, NULL)",
        expect!["a row of events belongs to no purchase"],
    );
    check(
        sql,
        "INSERT INTO claims VALUES (99, 'live', 'desk', 'x', NULL, NULL, 0)",
        expect!["a row of claims belongs to no account"],
    );
    check(sql, "DELETE FROM purchases", expect!["purchases are not deleted"]);
    check(sql, "DELETE FROM ledger_accounts", expect!["ledger accounts are not deleted"]);
    check(sql, "UPDATE purchases SET id = 9007199254740992", expect!["purchases are not deleted"]);
}

/// A statement that arrives outside the Tx that it was sent in does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_without_its_batch_is_refused() {
    let storage = postgresql().await.closed();
    let sql = storage.database();
    check(sql, "SELECT in_batch(7)", expect!["a statement came without its Tx"]);
    let within = "BEGIN; SELECT set_config('saldo.batch', '7', true); SELECT in_batch(7); COMMIT";
    assert_eq!(sql.sql(within), ["7", "7"]);
    let after = format!("{within}; SELECT in_batch(7)");
    check(sql, &after, expect!["a statement came without its Tx"]);
    // As each statement of the writer asks.
    let asks = "SELECT CASE WHEN current_setting('saldo.batch', true) = 7::int8::text THEN 7
        ELSE in_batch(7) END";
    check(sql, asks, expect!["a statement came without its Tx"]);
    let within = format!("BEGIN; SELECT set_config('saldo.batch', '7', true); {asks}; COMMIT");
    assert_eq!(sql.sql(&within), ["7", "7"]);
    check(sql, &format!("{within}; {asks}"), expect!["a statement came without its Tx"]);
    let counted = "SELECT refuse_count('purchases', 2, 3)";
    check(sql, counted, expect!["a statement changed 2 rows of purchases instead of 3"]);
}

/// Somebody has deleted the one row of `last_commit`: the next commit makes it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_row_of_the_last_commit_is_made_again() {
    let world = postgresql().await;
    assert_eq!(deposit(&world.store, 2, TOTAL, "in 1").await, TOTAL);
    world.execute("DELETE FROM last_commit");
    for n in 2..=4 {
        assert_eq!(deposit(&world.store, 2, TOTAL, &format!("in {n}")).await, n * TOTAL);
    }
    assert_eq!(world.count("last_commit"), 1);
    world.assert_sound();
}
