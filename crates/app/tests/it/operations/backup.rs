//! Backups: taken under load, restored elsewhere, halted there until `saldo resume`; and what is
//! refused as a backup.

use super::command_line::assert_one_sentence;
use crate::support::{
    Client, Folder, RECHARGE, Server, UNLIMITED, assert_exit, describe, note, recharge, saldo,
    send_once,
};
use http::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Amount and fee of a recharge of 10.
const COST: i64 = 1_050;
const BUYERS: usize = 8;
const SOON: Duration = Duration::from_secs(30);

/// Restores the backup `from` into the folder's data.
fn restore(folder: &Folder, from: &Path) -> Output {
    folder.saldo(&["restore", from.to_str().unwrap()])
}

/// Backs the folder's data up under this name, which must succeed; gives the manifest too.
fn backup(folder: &Folder, name: &str) -> (std::path::PathBuf, Value) {
    let to = folder.path(name);
    let manifest = folder.saldo_json(&["backup", "--json", to.to_str().unwrap()]).remove(0);
    (to, manifest)
}

/// Every purchase by its reference.
fn purchases(folder: &Folder) -> BTreeMap<String, Value> {
    let listed = folder.saldo_json(&["purchase", "list", "--limit", "9999999", "--json"]);
    listed.into_iter().map(|p| (p["reference"].as_str().unwrap().to_owned(), p)).collect()
}

/// Clients that buy until `stop`; each gives the references that were acknowledged.
async fn start_load(server: &Server, stop: &Arc<AtomicBool>) -> JoinSet<Vec<String>> {
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        let (mut client, stop) = (server.sandbox().await, stop.clone());
        buyers.spawn(async move {
            let mut acknowledged = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let reference = format!("L-{buyer}-{}", acknowledged.len());
                let number = format!("0171{buyer:04}101");
                let reply = client.post(RECHARGE, recharge(&number, 10, &reference)).await;
                assert_eq!(reply.status(), 200, "{reply:?}");
                acknowledged.push(reference);
            }
            acknowledged
        });
    }
    buyers
}

/// Waits until a purchase has this state.
async fn becomes(folder: &Folder, reference: &str, state: &str) -> Value {
    let started = Instant::now();
    loop {
        let purchase = purchases(folder).remove(reference).unwrap();
        if purchase["state"] == state {
            return purchase;
        }
        assert!(started.elapsed() < SOON, "not {state}: {purchase}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn buy(client: &mut Client, ends: &str, reference: &str) -> String {
    let reply = client.post(RECHARGE, recharge(&format!("01712345{ends}"), 10, reference)).await;
    assert_eq!(reply.status(), 200, "{reply:?}");
    reply.json()["billing"]["status"].as_str().unwrap().to_owned()
}

/// Backs up a demo under load, with a purchase in each state, and then loses its data. More was
/// bought after the backup.
async fn lost_after_a_backup(folder: &Folder) -> (std::path::PathBuf, Vec<String>) {
    let server = folder.start_with(&[UNLIMITED, ["--balance", "999999"]].concat());
    let mut client = server.sandbox().await;
    assert_eq!(buy(&mut client, "101", "DELIVERED").await, "success");
    assert_eq!(buy(&mut client, "102", "FAILED").await, "failed");
    let stop = Arc::new(AtomicBool::new(false));
    let buyers = start_load(&server, &stop).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    buy(&mut client, "105", "WAITS").await;
    buy(&mut client, "106", "DELIVERED-UNHEARD").await;
    buy(&mut client, "107", "NEVER-RECEIVED").await;
    let before: Vec<String> = purchases(folder).into_keys().collect();
    let asked = Instant::now();
    let (to, manifest) = backup(folder, "backup");
    note(&format!("backed up in {:?}: {manifest}", asked.elapsed()));
    assert_eq!(buy(&mut client, "101", "AFTER").await, "success");
    stop.store(true, Ordering::SeqCst);
    buyers.join_all().await;
    server.kill();
    fs::remove_dir_all(folder.data_dir()).unwrap();
    (to, before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_complete_and_halted_until_resumed() {
    let lost = Folder::new();
    let (from, before) = lost_after_a_backup(&lost).await;
    let folder = Folder::new();
    let output = restore(&folder, &from);
    assert_exit(&output, 0, "saldo resume");
    folder.verify();

    // What was acknowledged before the backup is there; what came after it is not.
    let restored = purchases(&folder);
    let missing: Vec<&String> = before.iter().filter(|r| !restored.contains_key(*r)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(!restored.contains_key("AFTER") && restored.len() > 5 + BUYERS, "{}", restored.len());
    let state = |reference: &str| restored[reference]["state"].as_str().unwrap().to_owned();
    assert_eq!((state("DELIVERED"), state("FAILED")), ("delivered".into(), "failed".into()));
    assert_eq!((state("WAITS"), state("NEVER-RECEIVED")), ("awaiting".into(), "in_doubt".into()));
    let sent = folder.truth().len();

    let server = folder.start();
    let mut client = server.sandbox().await;
    let costs = |p: &&Value| !matches!(p["state"].as_str(), Some("failed" | "rejected"));
    let spent = i64::try_from(restored.values().filter(costs).count()).unwrap() * COST;
    assert_eq!(client.balance().await, 99_999_900 - spent);
    assert_halted(&server).await;

    // Status updates of what was sent apply; nothing is sent, approved or not.
    becomes(&folder, "DELIVERED-UNHEARD", "delivered").await;
    let id = restored["WAITS"]["id"].to_string();
    folder.saldo_ok(&["purchase", "approve", &id, "--by", "rahim"]);
    let held = becomes(&folder, "NEVER-RECEIVED", "held").await;
    assert_eq!(held["attempts"], 1, "{held}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(purchases(&folder)["WAITS"]["state"], "held");
    assert!(folder.truth().len() <= sent, "something was sent");
    server.stop();

    continues_once_resumed(&folder).await;
}

/// Reads are answered, purchases are refused, and the log has the reason once.
async fn assert_halted(server: &Server) {
    let mut client = server.sandbox().await;
    assert_eq!(client.get("/healthz").await.status(), 200);
    assert_eq!(client.status("DELIVERED").await["status"], "success");
    let body = recharge("01712345101", 10, "NEW");
    let refused = send_once(server, Method::POST, RECHARGE, body).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
    let body: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(body["code"], "TEMPORARILY_UNAVAILABLE");
    assert!(body["error"].as_str().unwrap().contains("restored from a backup"), "{body}");
    let known = client.post(RECHARGE, recharge("01712345101", 10, "DELIVERED")).await;
    known.assert_refused(422, "DUPLICATE_REFERENCE");
    let log = server.log_with("until `saldo resume`", 1).await;
    assert_eq!(log.matches("until `saldo resume`").count(), 1, "{log}");
}

/// The halt survives a restart. After `saldo resume` the waiting purchases are sent, and old
/// references stay used.
async fn continues_once_resumed(folder: &Folder) {
    let server = folder.start();
    assert_halted(&server).await;
    assert_exit(&folder.saldo(&["resume", "--by", "rahim", "--evidence", ""]), 1, "");
    let resume = ["resume", "--by", "rahim", "--evidence", "compared with the statement"];
    folder.saldo_ok(&resume);
    assert_exit(&folder.saldo(&resume), 1, "");
    becomes(folder, "WAITS", "delivered").await;
    let ended = becomes(folder, "NEVER-RECEIVED", "failed").await;
    assert_eq!(ended["attempts"], 2, "{ended}");
    let mut client = server.sandbox().await;
    assert_eq!(buy(&mut client, "101", "NEW").await, "success");
    for reference in ["DELIVERED", "FAILED", "WAITS", "L-0-0"] {
        let known = client.post(RECHARGE, recharge("01712345101", 10, reference)).await;
        known.assert_refused(422, "DUPLICATE_REFERENCE");
    }
    assert!(folder.truth().iter().all(|record| record.repeats == 0));
    server.stop();
    folder.verify();
}

/// A stopped demo with one purchase, and its backup.
async fn stopped() -> (Folder, std::path::PathBuf) {
    let folder = Folder::new();
    let server = folder.start();
    buy(&mut server.sandbox().await, "101", "R-1").await;
    server.stop();
    let (to, manifest) = backup(&folder, "backup");
    assert_eq!((&manifest["purchases"], manifest["schema"].is_u64()), (&1.into(), true));
    (folder, to)
}

#[tokio::test]
async fn a_backup_is_private_and_has_the_documented_files() {
    let (folder, from) = stopped().await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let names = |of: &Path| -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(of)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let files =
        ["backup.json", "demo-credentials.json", "master.key", "saldo.db", "simulator-truth.jsonl"];
    assert_eq!(names(&from), files);
    assert_eq!(mode(&from), 0o700);
    assert!(files.iter().all(|file| mode(&from.join(file)) == 0o600));
    assert_eq!(
        names(folder.path("").as_path()),
        ["backup", "credentials.json", "data", "server.log"]
    );

    let other = Folder::new();
    assert_exit(&restore(&other, &from), 0, "");
    let data = other.data_dir();
    assert_eq!(mode(&data), 0o700);
    assert!(files[1..].iter().all(|file| mode(&data.join(file)) == 0o600));
    assert_eq!(names(&data), [&files[1..4], &["saldo.lock", files[4]]].concat());
    assert_eq!(
        fs::read(data.join("master.key")).unwrap(),
        fs::read(from.join("master.key")).unwrap()
    );
    // One backup can be restored twice.
    assert_exit(&restore(&Folder::new(), &from), 0, "");
    // A restore never overwrites an installation.
    assert_one_sentence(&restore(&other, &from), "already");
    assert_one_sentence(&restore(&folder, &from), "already");
}

#[tokio::test]
async fn an_incomplete_backup_is_refused() {
    let (_folder, from) = stopped().await;
    let refused = |mentions: &str| {
        let other = Folder::new();
        assert_one_sentence(&restore(&other, &from), mentions);
        assert!(!other.data_dir().join("saldo.db").exists());
        assert!(!other.data_dir().join("restoring").exists());
    };
    for file in ["saldo.db", "master.key", "demo-credentials.json", "simulator-truth.jsonl"] {
        let path = from.join(file);
        let complete = fs::read(&path).unwrap();
        for at in [0, complete.len() / 2, complete.len() - 1] {
            let mut bytes = complete.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            refused("checksum");
        }
        fs::write(&path, &complete[..complete.len() - 1]).unwrap();
        refused("checksum");
        fs::remove_file(&path).unwrap();
        refused(file);
        fs::write(&path, &complete).unwrap();
    }
    // A manifest that is missing, is cut off, or describes something else.
    let path = from.join("backup.json");
    let complete = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    refused("no whole backup");
    fs::write(&path, &complete[..complete.len() / 2]).unwrap();
    refused("not what a backup wrote");
    let mut other: Value = serde_json::from_str(&complete).unwrap();
    other["journals"] = 3.into();
    fs::write(&path, other.to_string()).unwrap();
    refused("speaks of");
    fs::write(&path, complete.replace("demo-credentials.json", "../outside")).unwrap();
    refused("does not list");
    fs::write(&path, &complete).unwrap();
    assert_exit(&restore(&Folder::new(), &from), 0, "");
}

/// A killed server leaves its WAL. Beside it no other database gets the name: the log would be
/// replayed over the copy, or deleted.
#[tokio::test]
async fn a_log_of_another_database_is_never_replayed() {
    let (folder, from) = stopped().await;
    let server = folder.start();
    let mut client = server.sandbox().await;
    for number in 0..20 {
        assert_eq!(buy(&mut client, "101", &format!("LATER-{number}")).await, "success");
    }
    server.kill();
    let data = folder.data_dir();
    let away = folder.path("away");
    fs::create_dir(&away).unwrap();
    fs::rename(data.join("saldo.db"), away.join("saldo.db")).unwrap();
    // The simulator's memory goes with it: a restore overwrites no other installation's.
    let truth = "simulator-truth.jsonl";
    fs::rename(data.join(truth), away.join(truth)).unwrap();
    let wal = fs::read(data.join("saldo.db-wal")).unwrap();
    assert!(!wal.is_empty());

    assert_one_sentence(&restore(&folder, &from), "saldo.db-wal");
    assert!(!data.join("saldo.db").exists() && !data.join("restoring").exists());
    assert_eq!(fs::read(data.join("saldo.db-wal")).unwrap(), wal, "the log was touched");

    for end in ["-wal", "-shm"] {
        let name = format!("saldo.db{end}");
        fs::rename(data.join(&name), away.join(&name)).unwrap();
    }
    for end in ["-wal", "-shm", "-journal"] {
        let left_over = data.join(format!("saldo.db{end}"));
        fs::write(&left_over, &wal).unwrap();
        assert_one_sentence(&restore(&folder, &from), &format!("saldo.db{end}"));
        fs::remove_file(left_over).unwrap();
    }
    assert_exit(&restore(&folder, &from), 0, "saldo resume");
    folder.verify();
    assert_eq!(purchases(&folder).into_keys().collect::<Vec<_>>(), ["R-1"]);
    assert_halted_after_start(&folder).await;
    // Moved together, the database that lay here has all that was bought.
    let together = Folder::new();
    fs::create_dir_all(together.data_dir()).unwrap();
    for name in ["saldo.db", "saldo.db-wal", "saldo.db-shm"] {
        fs::copy(away.join(name), together.data_dir().join(name)).unwrap();
    }
    fs::copy(data.join("master.key"), together.data_dir().join("master.key")).unwrap();
    assert_eq!(purchases(&together).len(), 21);
}

async fn assert_halted_after_start(folder: &Folder) {
    let server = folder.start();
    let body = recharge("01712345101", 10, "NEW");
    let refused = send_once(&server, Method::POST, RECHARGE, body).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    server.stop();
}

/// An interrupted restore can be repeated; the key of another installation is never overwritten.
#[tokio::test]
async fn an_interrupted_restore_can_be_repeated() {
    let (_folder, from) = stopped().await;
    let other = Folder::new();
    fs::create_dir_all(other.data_dir().join("restoring")).unwrap();
    fs::write(other.data_dir().join("restoring/saldo.db"), "half of it").unwrap();
    let key = other.data_dir().join("master.key");
    fs::write(&key, [7; 32]).unwrap();
    assert_one_sentence(&restore(&other, &from), "another installation");
    assert_eq!(fs::read(&key).unwrap(), [7; 32]);
    fs::copy(from.join("master.key"), &key).unwrap();
    assert_exit(&restore(&other, &from), 0, "");
    other.verify();
}

#[tokio::test]
async fn a_target_is_new_or_empty() {
    let (folder, used) = stopped().await;
    let backup_to = |to: &Path| folder.saldo(&["backup", to.to_str().unwrap()]);
    assert_exit(&backup_to(&used), 1, "not empty");
    assert_exit(&backup_to(&folder.path("no/such/place")), 1, "");
    let empty = folder.path("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(backup_to(&empty).status.code(), Some(0));
    assert_exit(&restore(&Folder::new(), &empty), 0, "");
    // A running server resolves a relative path from the command's directory.
    let server = folder.start();
    let here = folder.path("here");
    fs::create_dir(&here).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_saldo"))
        .args(["backup", "copy", "--data-dir"])
        .arg(folder.data_dir())
        .current_dir(&here)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_exit(&output, 0, "");
    assert!(describe(&output).contains("5 files") || describe(&output).contains("4 files"));
    assert!(here.join("copy/backup.json").exists());
    server.stop();
}

/// A ledger that does not balance is neither backed up nor restored.
#[tokio::test]
async fn a_copy_that_does_not_balance_is_neither_kept_nor_restored() {
    let (folder, from) = stopped().await;
    let corrupt = |path: &Path| {
        let sql = rusqlite::Connection::open(path).unwrap();
        sql.execute_batch(
            "UPDATE ledger_accounts SET balance = balance + 1 WHERE id = 1;
             PRAGMA journal_mode=DELETE;",
        )
        .unwrap();
    };
    corrupt(&folder.data_dir().join("saldo.db"));
    let to = folder.path("corrupt");
    let output = folder.saldo(&["backup", to.to_str().unwrap()]);
    assert_exit(&output, 1, "ledger account 1 ");
    assert!(!to.exists());

    corrupt(&from.join("saldo.db"));
    let sum = sha256(&from.join("saldo.db"));
    let path = from.join("backup.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["files"]["saldo.db"]["sha256"] = sum.into();
    fs::write(&path, manifest.to_string()).unwrap();
    let other = Folder::new();
    let output = restore(&other, &from);
    assert_exit(&output, 1, "ledger account 1 ");
    assert!(!other.data_dir().join("saldo.db").exists());
}

fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn resume_without_a_halt_is_refused() {
    let folder = Folder::new();
    folder.start().stop();
    let output = folder.saldo(&["resume", "--by", "rahim", "--evidence", "x"]);
    assert_exit(&output, 1, "Nothing is halted");
    assert_exit(&saldo(&["backup"]), 2, "");
}
