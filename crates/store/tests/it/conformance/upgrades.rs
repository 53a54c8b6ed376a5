//! Data of older versions is upgraded when it is opened: nothing is lost, and work continues.

use crate::harness::postgres::Database;
use crate::harness::world::{self, TOTAL, assert_sound, deposit, open_accounts};
use domain::{
    AccountId, Currency, Environment, Event, Kind, Purchase, PurchaseId, PurchaseKey, State,
};
use expect_test::expect;
use std::path::Path;
use std::{fs, iter};
use store::{SetAll, Setting, Store, TakeStep};

/// Creates the schema of a version in an empty database, as that version did.
fn create_schema(database: &Database, version: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/migrations");
    let mut files: Vec<String> = fs::read_dir(folder.clone())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".sqlite.sql"))
        .filter(|name| name[..4].parse::<usize>().unwrap() <= version)
        .collect();
    // Of one version, the statements for both databases come before those of PostgreSQL.
    files.sort_by_key(|name| (name[..4].to_owned(), name.ends_with(".postgres.sql")));
    let texts = files.iter().map(|name| fs::read_to_string(folder.join(name)).unwrap());
    for text in texts.chain(iter::once(format!(
        "CREATE TABLE schema_version (version BIGINT NOT NULL);
         INSERT INTO schema_version VALUES ({version})"
    ))) {
        database.sql(&text.replace("{{table}}", "").replace("{{clustered}}", ""));
    }
}

/// The rows of the first version stay, addresses become comparable, and the new tables are there.
#[tokio::test]
async fn data_of_the_first_version() {
    let folder = tempfile::tempdir().unwrap();
    let sql = rusqlite::Connection::open(folder.path().join("saldo.db")).unwrap();
    let first = include_str!("../../../src/migrations/0001_start.sql")
        .replace("BIGINT", "INTEGER")
        .replace("BYTEA", "BLOB")
        .replace("{{table}}", "STRICT")
        .replace("{{clustered}}", "STRICT, WITHOUT ROWID");
    sql.execute_batch(&first).unwrap();
    sql.execute_batch(include_str!("../../../src/migrations/0001_start.sqlite.sql")).unwrap();
    sql.execute_batch(
        "INSERT INTO accounts VALUES (1, 'house', 'House', 1, NULL, 0, NULL, 5);
         INSERT INTO users VALUES (7, 1, ' Rahim@Example.ORG', 'admin', '$argon2id$', 5);
         PRAGMA user_version=1;",
    )
    .unwrap();
    drop(sql);
    for _ in 0..2 {
        let store = Store::open(folder.path()).unwrap();
        let holder = store.user_of("rahim@example.org").unwrap().unwrap();
        assert_eq!((holder.user.id.0, holder.user.is_active), (7, true));
        assert_eq!((holder.user.mobile, holder.user.name), (None, None));
        assert_eq!(holder.account.name, "House");
        assert!(store.devices_of(holder.account.id).unwrap().is_empty());
        assert_eq!(store.audit().unwrap().findings_count, 0);
    }
}

/// Nothing that the first version wrote is lost, the ledger still balances, and products that it
/// did not know can be bought.
#[tokio::test]
async fn a_demo_of_the_first_version() {
    let folder = tempfile::tempdir().unwrap();
    let sql = rusqlite::Connection::open(folder.path().join("saldo.db")).unwrap();
    sql.execute_batch(include_str!("version1.sql")).unwrap();
    drop(sql);
    let store = Store::open(folder.path()).unwrap();
    continues(&store).await;
    // Foreign keys are in force again.
    let orphan = Setting::Wallet(AccountId(99), Environment::Live, Currency::USD);
    assert!(store.commit(SetAll(vec![orphan])).await.is_err());
}

/// The same rows in a PostgreSQL database with the schema of the first version: they move into the
/// partitions of their months.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_of_the_first_version_on_postgresql() {
    let database = Database::empty();
    create_schema(&database, 1);
    let rows = include_str!("version1.sql").lines().filter(|line| line.starts_with("INSERT INTO"));
    let rows: String = rows.map(|row| row.replace("X'", "'\\x") + "\n").collect();
    // Without triggers and foreign keys, so that the order of the rows does not matter.
    database.sql(&format!("SET session_replication_role = replica; {rows}"));
    let store = Store::connect(&database.url()).unwrap();
    let partitions = "SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind = 'r'";
    expect![
        "attempts_202611 entries_202611 events_202611 evidence_202611 journals_202611 \
         purchases_202611 slips_202611"
    ]
    .assert_eq(&database.sql(partitions).concat());
    continues(&store).await;
}

/// The table `pen` of version 10 becomes `last_commit`: its row and its constraints stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_commit_of_version_10_is_kept_on_postgresql() {
    let database = Database::empty();
    create_schema(&database, 10);
    database.sql("UPDATE pen SET token = 'former', batch = 7");
    drop(Store::connect(&database.url()).unwrap());
    assert_eq!(database.sql("SELECT version FROM schema_version"), ["15"]);
    assert_eq!(database.sql("SELECT (to_regclass('pen') IS NULL)::text"), ["true"]);
    let row = "SELECT id || ' ' || token || ' ' || batch FROM last_commit";
    assert_eq!(database.sql(row), ["1 former 7"]);
    let second = database.try_sql("INSERT INTO last_commit VALUES (2, '', 0)");
    expect![[
        r#"new row for relation "last_commit" violates check constraint "last_commit_id_check""#
    ]]
    .assert_eq(&second.unwrap_err());

    let store = Store::connect(&database.url()).unwrap();
    open_accounts(&store, 1).await;
    for n in 1..=3 {
        assert_eq!(deposit(&store, 2, TOTAL, &format!("in {n}")).await, n * TOTAL);
    }
    let of_this_writer = "SELECT count(*) FROM last_commit JOIN writers USING (token, batch)";
    assert_eq!(database.sql(of_this_writer), ["1"]);
    assert_sound(&store);
}

/// Rows from before there were digests are as sound as before, get theirs with the next step, and
/// new ones have one.
#[tokio::test]
async fn a_folder_of_version_10_gets_digests() {
    let world = world::sqlite().await;
    deposit(&world.store, 2, 9 * TOTAL, "in").await;
    for id in 1..=3 {
        world::live(&world.store, world::purchase(2, id, State::Sent), &[]).await;
    }
    let folder = world.closed();
    let file = folder.path().join("saldo.db");
    let sql = rusqlite::Connection::open(&file).unwrap();
    sql.execute_batch(
        "ALTER TABLE purchases DROP COLUMN row_digest; ALTER TABLE claims DROP COLUMN row_digest;
         ALTER TABLE attempts DROP COLUMN row_digest;
         ALTER TABLE attempts DROP COLUMN outcome_digest; ALTER TABLE pushes DROP COLUMN run;
         DROP TABLE acts; DROP TABLE clock_jumps; DROP TABLE clock_notes;
         PRAGMA user_version=10;",
    )
    .unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_sound(&store);
    let version = sql.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    assert_eq!(version.unwrap(), 15);
    let run = sql.query_row("SELECT count(run) FROM pushes", [], |row| row.get::<_, i64>(0));
    assert_eq!(run.unwrap(), 0);
    let old = store.purchase(&world::key(2, 1)).unwrap().unwrap();
    let step = world::step(&old, Event::Deliver).unwrap();
    store.write(TakeStep(step)).await.unwrap().unwrap();
    world::live(&store, world::purchase(2, 4, State::Sent), &[Event::Deliver]).await;
    assert_sound(&store);
    drop(store);
    let with_digest = "SELECT group_concat(id) FROM purchases WHERE length(row_digest) = 16";
    assert_eq!(sql.query_row(with_digest, [], |row| row.get::<_, String>(0)).unwrap(), "1,4");
}

async fn continues(store: &Store) {
    let report = store.audit().unwrap();
    assert_eq!((report.findings_count, &report.findings), (0, &Vec::new()));
    assert_eq!((report.purchases, report.open), (5, 3));
    let purchases = store.latest_purchases(None, 10).unwrap();
    assert!(purchases.iter().all(|p| p.product.is_none() && p.operator == "GP"));
    let before = store.catalog().unwrap();
    assert_eq!((before.operators.len(), before.products.len()), (10, 0));
    let first = purchases.last().unwrap();
    let bill = Purchase {
        key: PurchaseKey { id: PurchaseId(first.key.id.0 + 1), ..first.key },
        reference: "NEW".to_owned(),
        kind: Kind::Bill,
        product: Some("power".to_owned()),
        state: State::Quoted,
        ..first.clone()
    };
    let opened = store.write(world::open(bill.clone())).await.unwrap();
    assert_eq!(opened, Ok(0));
    assert_eq!(store.purchase(&bill.key).unwrap().unwrap().product, bill.product);
    assert_eq!(store.audit().unwrap().findings_count, 0);
}
