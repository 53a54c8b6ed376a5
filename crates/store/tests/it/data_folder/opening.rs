//! What prevents a data folder from being opened, and each message, which says what to do.

use crate::harness::world;
use expect_test::{Expect, expect};
use std::fs;
use std::path::Path;
use store::{Fault, Store};

fn check(folder: &Path, expected: Expect) {
    let error = Store::open(folder).err().expect("it opened");
    // The folder's name differs in every run.
    let root = folder.ancestors().find(|a| a.parent() == Some(&std::env::temp_dir())).unwrap();
    let text = error.to_string().replace(&root.display().to_string(), "DIR");
    // SQLite quotes the whole statement that failed; its first line is enough.
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
            "DIR is in use by another Saldo process; \
             stop that one, or give this one another --data-dir"
        ],
    );
    // The process that holds the folder is not disturbed; once it ends, the folder is free.
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
            "DIR/data cannot be used as a data folder (Not a directory (os error 20)); \
             give a folder that this user may write to with --data-dir"
        ],
    );
    check(
        &file.join("below"),
        expect![
            "DIR/data/below cannot be used as a data folder (Not a directory (os error 20)); \
             give a folder that this user may write to with --data-dir"
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

/// A new database never gets a name beside which a log of another one is left.
#[tokio::test]
async fn a_log_that_is_left_over() {
    for end in ["-wal", "-shm", "-journal"] {
        let root = tempfile::tempdir().unwrap();
        let left_over = root.path().join(format!("saldo.db{end}"));
        fs::write(&left_over, "of another one").unwrap();
        let error = Store::open(root.path()).err().expect("it opened").to_string();
        let holds = if end == "-shm" { "is the index of a log" } else { "has its last commits" };
        let said = format!("saldo.db{end} is left from another database, and {holds}");
        assert!(error.contains(&said), "{error}");
        assert_eq!(fs::read_to_string(&left_over).unwrap(), "of another one");
        let world = world::sqlite().await;
        assert!(world.store.copy_to(&root.path().join("saldo.db"), &|| true).is_err());
        assert!(!root.path().join("saldo.db").exists());
        fs::write(&left_over, "").unwrap();
        let error = Store::open(root.path()).err().expect("it opened").to_string();
        assert!(error.contains("and is empty") || end == "-shm", "{error}");
        fs::remove_file(&left_over).unwrap();
        drop(Store::open(root.path()).unwrap());
    }
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
            "DIR/saldo.db was written by a newer Saldo (schema 99, this one knows 35); \
             start that version, or a newer one"
        ],
    );
}

#[test]
fn no_database_at_all() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("saldo.db"), "no database, but long enough to look at".repeat(99))
        .unwrap();
    check(
        folder.path(),
        expect![
            "DIR/saldo.db cannot be opened as a database (the database failed: \
             file is not a database); restore a backup, or give another --data-dir"
        ],
    );
}

#[test]
fn a_foreign_database() {
    let folder = tempfile::tempdir().unwrap();
    let sql = rusqlite::Connection::open(folder.path().join("saldo.db")).unwrap();
    sql.execute_batch("CREATE TABLE accounts (name TEXT)").unwrap();
    drop(sql);
    check(
        folder.path(),
        expect![
            "DIR/saldo.db cannot be opened as a database (the database failed: \
             table accounts already exists in  … restore a backup, or give another --data-dir"
        ],
    );
}

/// Pages in the middle are damaged: reading them is an error, and never returns wrong data.
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
            let is_found = match &audit {
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
            assert!(is_found, "{audit:?}");
        }
    }
}
