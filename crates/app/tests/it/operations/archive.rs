//! `saldo archive`: months move from the database of a selling server into auditable files.

use crate::postgres::Database;
use crate::support::{Folder, RECHARGE, STATUS, UNLIMITED, assert_exit, describe, note, recharge};
use domain::{Month, Timestamp};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Purchases that a fill stores, spread over the months.
const FILLED: u32 = 600;
const BUYERS: usize = 4;

/// The current month, from the modification time of a new file.
fn this_month() -> Month {
    let written = tempfile::tempfile().unwrap().metadata().unwrap().modified().unwrap();
    let micros = written.duration_since(UNIX_EPOCH).unwrap().as_micros();
    Month::of(Timestamp(i64::try_from(micros).unwrap()))
}

fn before(month: Month, months: usize) -> Month {
    (0..months).fold(month, |month, _| month.previous())
}

fn fill(folder: &Folder, from: Month, flags: &[&str]) {
    let (count, from) = (FILLED.to_string(), from.to_string());
    folder.saldo_ok(&[&["bench-fill", "--purchases", &count, "--from", &from], flags].concat());
}

/// Archives the months before `before`; gives their manifests.
fn archive(folder: &Folder, before: Month, flags: &[&str]) -> Vec<Value> {
    let (to, before) = (folder.path("archives"), before.to_string());
    let to = to.to_str().unwrap();
    folder.saldo_json(&[&["archive", "--before", &before, "--to", to, "--json"], flags].concat())
}

fn files(folder: &Folder) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder.path("archives"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "db"))
        .collect();
    files.sort();
    files
}

fn verify(folder: &Folder, files: &[PathBuf], flags: &[&str]) -> std::process::Output {
    let files = files.iter().map(|file| file.to_str().unwrap());
    let arguments: Vec<&str> = ["verify", "--archive"].into_iter().chain(files).collect();
    folder.saldo(&[&arguments[..], flags].concat())
}

/// Archives a filled installation and audits the files, then again with one byte flipped.
fn archived_and_audited(folder: &Folder, flags: &[&str]) {
    let this = this_month();
    let from = before(this, 4);
    fill(folder, from, flags);
    let complete = folder.saldo_json(&[&["verify", "--json"], flags].concat())[0].clone();
    assert_eq!(complete["purchases"], FILLED);
    let manifests = archive(folder, this.previous(), flags);
    let months: Vec<&Value> = manifests.iter().map(|m| &m["month"]).collect();
    assert_eq!(
        months,
        [&from.to_string(), &from.next().to_string(), &from.next().next().to_string()]
    );
    let left = folder.saldo_json(&[&["verify", "--json"], flags].concat())[0].clone();
    assert_eq!(left["archived_months"], 3);
    for what in ["purchases", "journals"] {
        let gone: i64 = manifests.iter().map(|m| m[what].as_i64().unwrap()).sum();
        assert_eq!(left[what].as_i64().unwrap() + gone, complete[what].as_i64().unwrap(), "{what}");
    }
    let files = files(folder);
    assert_exit(&verify(folder, &files, flags), 0, "");
    // A second run finds nothing to archive.
    assert_eq!(archive(folder, this.previous(), flags), Vec::<Value>::new());
    flip(&files[1]);
    let audited = verify(folder, &files, flags);
    assert_exit(&audited, 1, files[1].file_name().unwrap().to_str().unwrap());
    // If SQLite itself cannot read the file, that is reported before the checksum.
    let report = describe(&audited);
    assert!(report.contains("SHA-256 differs") || report.contains("cannot be read"), "{report}");
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
}

#[test]
fn months_of_a_folder_are_archived_and_audited() {
    archived_and_audited(&Folder::new(), &[]);
}

#[test]
fn months_of_a_database_are_archived_and_audited() {
    let database = Database::empty();
    archived_and_audited(&Folder::new(), &["--database-url", &database.url()]);
    let partitions = database.sql(
        "SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE c.relkind = 'r' AND i.inhparent = 'purchases'::regclass",
    );
    // The last month, this one, and the next.
    assert_eq!(partitions, ["3"]);
}

/// Months are archived while clients buy: no purchase is refused, and archived references stay
/// used.
async fn archives_while_it_sells(folder: &Folder, flags: &[&str]) {
    let url = flags;
    // Money for as many purchases as a fast machine makes.
    let flags = [url, &UNLIMITED, &["--balance", "999999"]].concat();
    folder.start_with(&flags).stop();
    let this = this_month();
    fill(folder, before(this, 5), url);
    let server = folder.start_with(&flags);
    let stop = Arc::new(AtomicBool::new(false));
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        let (mut client, stop) = (server.sandbox().await, stop.clone());
        buyers.spawn(async move {
            let (mut longest, mut bought) = (Duration::ZERO, 0);
            while !stop.load(Ordering::SeqCst) {
                let asked = Instant::now();
                let reference = format!("B-{buyer}-{bought}");
                let reply = client.post(RECHARGE, recharge("01712345101", 10, &reference)).await;
                assert_eq!(reply.json()["billing"]["status"], "success", "{reply:?}");
                longest = longest.max(asked.elapsed());
                bought += 1;
            }
            (longest, bought)
        });
    }
    let manifests = tokio::task::block_in_place(|| archive(folder, this.previous(), url));
    stop.store(true, Ordering::SeqCst);
    let results = buyers.join_all().await;
    let bought: i32 = results.iter().map(|(_, bought)| bought).sum();
    let longest = results.iter().map(|(longest, _)| *longest).max();
    note(&format!("{bought} bought beside the archive, the longest answer took {longest:?}"));
    assert!(bought > 0);
    assert_eq!(manifests.len(), 4);
    let gone: i64 = manifests.iter().map(|m| m["purchases"].as_i64().unwrap()).sum();
    assert!(gone > i64::from(FILLED) / 2, "{gone}");

    assert_exit(&folder.saldo(&[&["verify"], url].concat()), 0, "after 4 archived months");
    assert_exit(&verify(folder, &files(folder), url), 0, "");
    // The reference of an archived purchase stays used; its status is no longer known.
    let archived = rusqlite::Connection::open(&files(folder)[0]).unwrap();
    let reference: String = archived
        .query_row("SELECT reference FROM purchases LIMIT 1", [], |row| row.get(0))
        .unwrap();
    let mut client = server.sandbox().await;
    let again = client.post(RECHARGE, recharge("01712345101", 10, &reference)).await;
    again.assert_refused(422, "DUPLICATE_REFERENCE");
    let status = client.get(&format!("{STATUS}?reference={reference}")).await;
    assert_eq!(status.status(), 404, "{status:?}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_sells_while_it_is_archived() {
    let folder = Folder::new();
    archives_while_it_sells(&folder, &[]).await;
    folder.verify();
    // A backup has what is left in the database.
    let to = folder.path("backup");
    folder.saldo_json(&["backup", "--json", to.to_str().unwrap()]);
    let other = Folder::new();
    other.saldo_ok(&["restore", to.to_str().unwrap()]);
    assert_exit(&other.saldo(&["verify"]), 0, "after 4 archived months");
    assert_exit(&verify(&other, &files(&folder), &[]), 0, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_sells_while_it_is_archived() {
    let (folder, database) = (Folder::new(), Database::empty());
    archives_while_it_sells(&folder, &["--database-url", &database.url()]).await;
}
