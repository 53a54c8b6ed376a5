//! `saldo archive`: months leave the books of a server that sells, into files that can be audited.

use crate::harness::{Folder, RECHARGE, STATUS, note, recharge, words};
use crate::postgres::Database;
use domain::{Month, Timestamp};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Purchases a fill stores: some in each month.
const FILLED: u32 = 600;
const BUYERS: usize = 4;

/// As a file that is written now says it.
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
    let filled =
        folder.saldo(&[&["bench-fill", "--purchases", &count, "--from", &from], flags].concat());
    assert!(filled.status.success(), "{}", words(&filled));
}

/// Archives everything up to and without `before`; the months' manifests.
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
    let asked: Vec<&str> = ["verify", "--archive"].into_iter().chain(files).collect();
    folder.saldo(&[&asked[..], flags].concat())
}

/// The books of a filled installation, archived, audited, and one byte of them flipped.
fn archived_and_audited(folder: &Folder, flags: &[&str]) {
    let this = this_month();
    let from = before(this, 4);
    fill(folder, from, flags);
    let whole = folder.saldo_json(&[&["verify", "--json"], flags].concat())[0].clone();
    assert_eq!(whole["purchases"], FILLED);
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
        assert_eq!(left[what].as_i64().unwrap() + gone, whole[what].as_i64().unwrap(), "{what}");
    }
    let files = files(folder);
    let audited = verify(folder, &files, flags);
    assert!(audited.status.success(), "{}", words(&audited));
    // Again: nothing is left to do.
    assert_eq!(archive(folder, this.previous(), flags), Vec::<Value>::new());
    flip(&files[1]);
    let audited = verify(folder, &files, flags);
    assert_eq!(audited.status.code(), Some(1), "{}", words(&audited));
    // A byte that SQLite itself stumbles over is told before the checksum.
    let (says, name) = (words(&audited), files[1].file_name().unwrap().to_str().unwrap());
    let is_told = says.contains("SHA-256 differs") || says.contains("cannot be read");
    assert!(is_told && says.contains(name), "{says}");
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
    let parts = database.sql(
        "SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE c.relkind = 'r' AND i.inhparent = 'purchases'::regclass",
    );
    // The month before this one, this one, and the next.
    assert_eq!(parts, ["3"]);
}

/// Months leave while clients buy: nobody is refused, and what is gone is answered for.
async fn archives_while_it_sells(folder: &Folder, flags: &[&str]) {
    let flags = [flags, &["--requests-per-minute", "100000000"]].concat();
    let url = &flags[..flags.len() - 2];
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
    let told = buyers.join_all().await;
    let bought: i32 = told.iter().map(|(_, bought)| bought).sum();
    let longest = told.iter().map(|(longest, _)| *longest).max();
    note(&format!("{bought} bought beside the archive, the longest answer took {longest:?}"));
    assert!(bought > 0);
    assert_eq!(manifests.len(), 4);
    let gone: i64 = manifests.iter().map(|m| m["purchases"].as_i64().unwrap()).sum();
    assert!(gone > i64::from(FILLED) / 2, "{gone}");

    let verified = folder.saldo(&[&["verify"], url].concat());
    assert!(verified.status.success(), "{}", words(&verified));
    assert!(words(&verified).contains("after 4 archived months"), "{}", words(&verified));
    let audited = verify(folder, &files(folder), url);
    assert!(audited.status.success(), "{}", words(&audited));
    // One of the archived: its reference is used up for ever, and no more is known of it.
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
    // A backup holds what is left, and restores to it.
    let to = folder.path("backup");
    folder.saldo_json(&["backup", "--json", to.to_str().unwrap()]);
    let other = Folder::new();
    let restored = other.saldo(&["restore", to.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", words(&restored));
    let verified = other.saldo(&["verify"]);
    assert!(words(&verified).contains("after 4 archived months"), "{}", words(&verified));
    let audited = verify(&other, &files(&folder), &[]);
    assert!(audited.status.success(), "{}", words(&audited));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_sells_while_it_is_archived() {
    let (folder, database) = (Folder::new(), Database::empty());
    archives_while_it_sells(&folder, &["--database-url", &database.url()]).await;
}
