//! What keeps a store from being opened, and what is said about it: each says what to do.

use crate::postgres::Database;
use crate::world;
use domain::catalog::kind::Kind;
use domain::{AccountId, Currency, Environment, Purchase, PurchaseId, PurchaseKey, State};
use expect_test::{Expect, expect};
use std::fs;
use std::path::Path;
use store::{Change, Done, Fault, Setting, Store};

fn check(folder: &Path, expected: Expect) {
    let error = Store::open(folder).err().expect("it opened");
    // The folder's name changes from run to run.
    let root = folder.ancestors().find(|a| a.parent() == Some(&std::env::temp_dir())).unwrap();
    let text = error.to_string().replace(&root.display().to_string(), "DIR");
    // SQLite quotes the whole statement that failed; its first line says which.
    let (start, end) = (text.lines().next().unwrap(), text.rsplit("; ").next().unwrap());
    match text.lines().count() {
        1 => expected.assert_eq(&text),
        _ => expected.assert_eq(&format!("{start} … {end}")),
    }
}

#[tokio::test]
async fn a_folder_in_use() {
    let world = world::sqlite().await;
    check(
        world.path(),
        expect![
            "DIR is in use by another Saldo process; stop that one, or give this one another --data-dir"
        ],
    );
    // The one that has it is not disturbed, and once it ends the folder is free.
    world.assert_sound();
    world.reopened().assert_sound();
}

#[test]
fn a_file_instead_of_a_folder() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("data");
    fs::write(&file, "x").unwrap();
    check(
        &file,
        expect![
            "DIR/data cannot be used as a data folder (Not a directory (os error 20)); give a folder that this user may write to with --data-dir"
        ],
    );
    check(
        &file.join("below"),
        expect![
            "DIR/data/below cannot be used as a data folder (Not a directory (os error 20)); give a folder that this user may write to with --data-dir"
        ],
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "x");
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_made_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("deep/er");
    drop(Store::open(&folder).unwrap());
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn data_of_a_newer_version() {
    let folder = world::sqlite().await.closed();
    let sql = rusqlite::Connection::open(folder.path().join("saldo.db")).unwrap();
    sql.execute_batch("PRAGMA user_version=99").unwrap();
    drop(sql);
    check(
        folder.path(),
        expect![
            "DIR/saldo.db was written by a newer Saldo (schema 99, this one knows 10); start that version, or a newer one"
        ],
    );
}

/// A folder as the first version left it: what it holds stays, addresses become comparable, and the
/// new tables are there.
#[tokio::test]
async fn data_of_the_first_version() {
    let folder = tempfile::tempdir().unwrap();
    let sql = rusqlite::Connection::open(folder.path().join("saldo.db")).unwrap();
    let first = include_str!("../../src/migrations/0001_start.sql")
        .replace("BIGINT", "INTEGER")
        .replace("BYTEA", "BLOB")
        .replace("{{table}}", "STRICT")
        .replace("{{clustered}}", "STRICT, WITHOUT ROWID");
    sql.execute_batch(&first).unwrap();
    sql.execute_batch(include_str!("../../src/migrations/0001_start.sqlite.sql")).unwrap();
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

#[test]
fn no_database_at_all() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("saldo.db"), "no database, but long enough to look at".repeat(99))
        .unwrap();
    check(
        folder.path(),
        expect![
            "DIR/saldo.db cannot be opened as a database (the database failed: file is not a database); restore a backup, or give another --data-dir"
        ],
    );
}

#[test]
fn somebody_elses_database() {
    let folder = tempfile::tempdir().unwrap();
    let sql = rusqlite::Connection::open(folder.path().join("saldo.db")).unwrap();
    sql.execute_batch("CREATE TABLE accounts (name TEXT)").unwrap();
    drop(sql);
    check(
        folder.path(),
        expect![
            "DIR/saldo.db cannot be opened as a database (the database failed: table accounts already exists in  … restore a backup, or give another --data-dir"
        ],
    );
}

/// Bytes in the middle are gone: whoever reads them is told, and never given something else.
#[tokio::test]
async fn a_database_with_a_hole() {
    let world = world::sqlite().await;
    for n in 0..200 {
        world::deposit(&world.store, 2, 100, &format!("in {n}")).await;
    }
    let folder = world.closed();
    let path = folder.path().join("saldo.db");
    let mut bytes = fs::read(&path).unwrap();
    let pages = bytes.len() / 4096;
    for page in (pages / 3..pages).step_by(2) {
        bytes[page * 4096..(page + 1) * 4096].fill(0xA5);
    }
    fs::write(&path, bytes).unwrap();
    match Store::open(folder.path()) {
        Err(error) => assert!(error.to_string().contains("restore a backup"), "{error}"),
        Ok(store) => {
            let audit = store.audit();
            let is_told = match &audit {
                Ok(report) => report.findings_count > 0,
                Err(Fault::Disk(_) | Fault::Corrupt(_) | Fault::Database(_)) => true,
                Err(
                    Fault::DiskFull(_)
                    | Fault::Unavailable(_)
                    | Fault::Fenced
                    | Fault::Uncertain(_)
                    | Fault::Closed
                    | Fault::Busy,
                ) => false,
            };
            assert!(is_told, "{audit:?}");
        }
    }
}

/// What the first version wrote goes on: nothing is lost, the books still add up, and what that
/// version did not know can be bought.
#[tokio::test]
async fn a_demo_of_the_first_version() {
    let folder = tempfile::tempdir().unwrap();
    let sql = rusqlite::Connection::open(folder.path().join("saldo.db")).unwrap();
    sql.execute_batch(include_str!("version1.sql")).unwrap();
    drop(sql);
    let store = Store::open(folder.path()).unwrap();
    goes_on(&store).await;
    // Foreign keys are in force again.
    let orphan = Setting::Wallet(AccountId(99), Environment::Live, Currency::USD);
    assert!(store.write(Change::Set(vec![orphan])).await.is_err());
}

/// The same rows in a database as the first version would have made it: they move into months.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_of_the_first_version_on_postgresql() {
    let database = Database::empty();
    let first = include_str!("../../src/migrations/0001_start.sql")
        .replace("{{table}}", "")
        .replace("{{clustered}}", "");
    database.sql(&first);
    database.sql(include_str!("../../src/migrations/0001_start.postgres.sql"));
    database.sql(
        "CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version VALUES (1)",
    );
    let rows = include_str!("version1.sql").lines().filter(|line| line.starts_with("INSERT INTO"));
    let rows: String = rows.map(|row| row.replace("X'", "'\\x") + "\n").collect();
    // As a replica: in any order.
    database.sql(&format!("SET session_replication_role = replica; {rows}"));
    let store = Store::connect(&database.url()).unwrap();
    let parts = "SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind = 'r'";
    expect![[r#"
        [
            "attempts_202611 entries_202611 events_202611 evidence_202611 journals_202611 purchases_202611 slips_202611",
        ]
    "#]]
    .assert_debug_eq(&database.sql(parts));
    goes_on(&store).await;
}

async fn goes_on(store: &Store) {
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
        attempts: 0,
        upstream: None,
        version: 1,
        delivered_at: None,
        decider: None,
        ..first.clone()
    };
    let opened = store.write(world::open(bill.clone())).await.unwrap();
    assert_eq!(opened, Ok(Done::Opened { available_after: 0 }));
    assert_eq!(store.purchase(&bill.key).unwrap().unwrap().product, bill.product);
    assert_eq!(store.audit().unwrap().findings_count, 0);
}
