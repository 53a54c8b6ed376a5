//! Backups: taken under load, restored elsewhere, halted there until somebody resumes; and what is
//! not taken for a backup.

use crate::command_line::assert_one_sentence;
use crate::harness::{Client, Folder, RECHARGE, Server, note, recharge, saldo, words};
use crate::http_client::{Answer, Connection};
use http::{Method, Request};
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

/// Puts the backup `from` into the folder's data.
fn restore(folder: &Folder, from: &Path) -> Output {
    folder.saldo(&["restore", from.to_str().unwrap()])
}

/// A backup of the folder's data under this name; it must succeed.
fn backup(folder: &Folder, name: &str) -> (std::path::PathBuf, Value) {
    let to = folder.path(name);
    let told = folder.saldo_json(&["backup", "--json", to.to_str().unwrap()]);
    (to, told[0].clone())
}

/// Every purchase by its reference.
fn purchases(folder: &Folder) -> BTreeMap<String, Value> {
    let listed = folder.saldo_json(&["purchase", "list", "--limit", "9999999", "--json"]);
    listed.into_iter().map(|p| (p["reference"].as_str().unwrap().to_owned(), p)).collect()
}

/// Clients that buy one after the other until told to stop; what each was told, by reference.
async fn load(server: &Server, stop: &Arc<AtomicBool>) -> JoinSet<Vec<String>> {
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        let (mut client, stop) = (server.sandbox().await, stop.clone());
        buyers.spawn(async move {
            let mut told = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let reference = format!("L-{buyer}-{}", told.len());
                let number = format!("0171{buyer:04}101");
                let reply = client.post(RECHARGE, recharge(&number, 10, &reference)).await;
                assert_eq!(reply.status(), 200, "{reply:?}");
                told.push(reference);
            }
            told
        });
    }
    buyers
}

/// A request whose answer may be a 503.
pub async fn ask(server: &Server, method: Method, target: &str, body: String) -> Answer {
    let keys = &server.credentials.merchant.sandbox;
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("x-open-key", &keys.open_key)
        .header("x-authorization", &keys.secret_key)
        .header("content-type", "application/json")
        .body(http_body_util::Full::new(body.into()))
        .unwrap();
    Connection::open(&server.address).await.unwrap().send(request).await.unwrap()
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

/// A demo with a purchase of each kind, backed up under load, and lost after more was bought.
async fn lost_after_a_backup(folder: &Folder) -> (std::path::PathBuf, Vec<String>) {
    let server =
        folder.start_with(&[&crate::harness::UNLIMITED[..], &["--balance", "999999"]].concat());
    let mut client = server.sandbox().await;
    assert_eq!(buy(&mut client, "101", "DELIVERED").await, "success");
    assert_eq!(buy(&mut client, "102", "FAILED").await, "failed");
    let stop = Arc::new(AtomicBool::new(false));
    let buyers = load(&server, &stop).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    buy(&mut client, "105", "WAITS").await;
    buy(&mut client, "106", "DELIVERED-UNHEARD").await;
    buy(&mut client, "107", "NEVER-RECEIVED").await;
    let before: Vec<String> = purchases(folder).into_keys().collect();
    let asked = Instant::now();
    let (to, told) = backup(folder, "backup");
    note(&format!("backed up in {:?}: {told}", asked.elapsed()));
    assert_eq!(buy(&mut client, "101", "AFTER").await, "success");
    stop.store(true, Ordering::SeqCst);
    buyers.join_all().await;
    server.kill();
    fs::remove_dir_all(folder.data_dir()).unwrap();
    (to, before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_backed_up_under_load_is_there_and_waits_for_a_word() {
    let lost = Folder::new();
    let (from, before) = lost_after_a_backup(&lost).await;
    let folder = Folder::new();
    let output = restore(&folder, &from);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(words(&output).contains("saldo resume"), "{}", words(&output));
    folder.verify();

    // What was acknowledged before the backup is there; what came after it is not.
    let there = purchases(&folder);
    let missing: Vec<&String> = before.iter().filter(|r| !there.contains_key(*r)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(!there.contains_key("AFTER") && there.len() > 5 + BUYERS, "{}", there.len());
    let of = |reference: &str| there[reference]["state"].as_str().unwrap().to_owned();
    assert_eq!((of("DELIVERED"), of("FAILED")), ("delivered".into(), "failed".into()));
    assert_eq!((of("WAITS"), of("NEVER-RECEIVED")), ("awaiting".into(), "in_doubt".into()));
    let sent = folder.truth().len();

    let server = folder.start();
    let mut client = server.sandbox().await;
    let costs = |p: &&Value| !matches!(p["state"].as_str(), Some("failed" | "rejected"));
    let spent = i64::try_from(there.values().filter(costs).count()).unwrap() * COST;
    assert_eq!(client.balance().await, 99_999_900 - spent);
    assert_halted(&server).await;

    // Words about what was sent are taken; nothing is sent, approved or not.
    becomes(&folder, "DELIVERED-UNHEARD", "delivered").await;
    let id = there["WAITS"]["id"].to_string();
    let approved = folder.saldo(&["purchase", "approve", &id, "--by", "rahim"]);
    assert!(approved.status.success(), "{}", words(&approved));
    let held = becomes(&folder, "NEVER-RECEIVED", "held").await;
    assert_eq!(held["attempts"], 1, "{held}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(purchases(&folder)["WAITS"]["state"], "held");
    assert!(folder.truth().len() <= sent, "something was sent");
    server.stop();

    goes_on_once_resumed(&folder).await;
}

/// Reads are answered, purchases are not, and the log says why.
async fn assert_halted(server: &Server) {
    let mut client = server.sandbox().await;
    assert_eq!(client.get("/healthz").await.status(), 200);
    assert_eq!(client.status("DELIVERED").await["status"], "success");
    let body = recharge("01712345101", 10, "NEW");
    let no = ask(server, Method::POST, RECHARGE, body).await;
    assert_eq!(no.status, 503, "{no:?}");
    assert!(no.headers.contains_key("retry-after"), "{no:?}");
    let said: Value = serde_json::from_slice(&no.body).unwrap();
    assert_eq!(said["code"], "TEMPORARILY_UNAVAILABLE");
    assert!(said["error"].as_str().unwrap().contains("restored from a backup"), "{said}");
    let known = client.post(RECHARGE, recharge("01712345101", 10, "DELIVERED")).await;
    known.assert_refused(422, "DUPLICATE_REFERENCE");
    let log = server.log();
    assert_eq!(log.matches("until `saldo resume`").count(), 1, "{log}");
}

/// The halt outlives a restart; what waited is sent once it ends, and old references stay used.
async fn goes_on_once_resumed(folder: &Folder) {
    let server = folder.start();
    assert_halted(&server).await;
    let blank = folder.saldo(&["resume", "--by", "rahim", "--evidence", ""]);
    assert_eq!(blank.status.code(), Some(1), "{}", words(&blank));
    let resume = ["resume", "--by", "rahim", "--evidence", "compared with the statement"];
    let resumed = folder.saldo(&resume);
    assert_eq!(resumed.status.code(), Some(0), "{}", words(&resumed));
    let again = folder.saldo(&resume);
    assert_eq!(again.status.code(), Some(1), "{}", words(&again));
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
    let (to, told) = backup(&folder, "backup");
    assert_eq!((&told["purchases"], told["schema"].is_u64()), (&1.into(), true));
    (folder, to)
}

#[tokio::test]
async fn a_backup_is_private_and_names_what_it_holds() {
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
    assert!(restore(&other, &from).status.success());
    let data = other.data_dir();
    assert_eq!(mode(&data), 0o700);
    assert!(files[1..].iter().all(|file| mode(&data.join(file)) == 0o600));
    assert_eq!(names(&data), [&files[1..4], &["saldo.lock", files[4]]].concat());
    assert_eq!(
        fs::read(data.join("master.key")).unwrap(),
        fs::read(from.join("master.key")).unwrap()
    );
    // As it was backed up, so it is restored: twice from the same folder.
    assert!(restore(&Folder::new(), &from).status.success());
    // An installation is not restored over.
    assert_one_sentence(&restore(&other, &from), "already");
    assert_one_sentence(&restore(&folder, &from), "already");
}

#[tokio::test]
async fn what_is_no_whole_backup_is_refused() {
    let (_folder, from) = stopped().await;
    let refused = |mentions: &str| {
        let other = Folder::new();
        assert_one_sentence(&restore(&other, &from), mentions);
        assert!(!other.data_dir().join("saldo.db").exists());
        assert!(!other.data_dir().join("restoring").exists());
    };
    for file in ["saldo.db", "master.key", "demo-credentials.json", "simulator-truth.jsonl"] {
        let path = from.join(file);
        let whole = fs::read(&path).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            refused("checksum");
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        refused("checksum");
        fs::remove_file(&path).unwrap();
        refused(file);
        fs::write(&path, &whole).unwrap();
    }
    // A manifest that was not written yet, that is cut off, or that speaks of something else.
    let path = from.join("backup.json");
    let whole = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    refused("no whole backup");
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    refused("not what a backup wrote");
    let mut other: Value = serde_json::from_str(&whole).unwrap();
    other["journals"] = 3.into();
    fs::write(&path, other.to_string()).unwrap();
    refused("speaks of");
    fs::write(&path, whole.replace("demo-credentials.json", "../outside")).unwrap();
    refused("does not list");
    fs::write(&path, &whole).unwrap();
    assert!(restore(&Folder::new(), &from).status.success());
}

/// A restore that was cut off is done again; another installation's key is not written over.
#[tokio::test]
async fn a_restore_that_was_cut_off_is_done_again() {
    let (_folder, from) = stopped().await;
    let other = Folder::new();
    fs::create_dir_all(other.data_dir().join("restoring")).unwrap();
    fs::write(other.data_dir().join("restoring/saldo.db"), "half of it").unwrap();
    let key = other.data_dir().join("master.key");
    fs::write(&key, [7; 32]).unwrap();
    assert_one_sentence(&restore(&other, &from), "another installation");
    assert_eq!(fs::read(&key).unwrap(), [7; 32]);
    fs::copy(from.join("master.key"), &key).unwrap();
    assert!(restore(&other, &from).status.success());
    other.verify();
}

#[tokio::test]
async fn a_target_is_new_or_empty() {
    let (folder, taken) = stopped().await;
    let backup_to = |to: &Path| folder.saldo(&["backup", to.to_str().unwrap()]);
    let again = backup_to(&taken);
    assert_eq!(again.status.code(), Some(1), "{}", words(&again));
    assert!(words(&again).contains("not empty"), "{}", words(&again));
    let nowhere = backup_to(&folder.path("no/such/place"));
    assert_eq!(nowhere.status.code(), Some(1), "{}", words(&nowhere));
    let empty = folder.path("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(backup_to(&empty).status.code(), Some(0));
    assert!(restore(&Folder::new(), &empty).status.success());
    // A running server's paths are the asker's.
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
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(words(&output).contains("5 files") || words(&output).contains("4 files"));
    assert!(here.join("copy/backup.json").exists());
    server.stop();
}

/// Books that do not add up are neither kept as a backup nor restored from one.
#[tokio::test]
async fn a_copy_that_does_not_balance_is_neither_kept_nor_restored() {
    let (folder, from) = stopped().await;
    let lie = |path: &Path| {
        let sql = rusqlite::Connection::open(path).unwrap();
        sql.execute_batch(
            "UPDATE ledger_accounts SET balance = balance + 1 WHERE id = 1; PRAGMA journal_mode=DELETE;",
        )
        .unwrap();
    };
    lie(&folder.data_dir().join("saldo.db"));
    let to = folder.path("lies");
    let output = folder.saldo(&["backup", to.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(words(&output).contains("ledger account 1 "), "{}", words(&output));
    assert!(!to.exists());

    lie(&from.join("saldo.db"));
    let sum = saldo_sum(&from.join("saldo.db"));
    let path = from.join("backup.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["files"]["saldo.db"]["sha256"] = sum.into();
    fs::write(&path, manifest.to_string()).unwrap();
    let other = Folder::new();
    let output = restore(&other, &from);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(words(&output).contains("ledger account 1 "), "{}", words(&output));
    assert!(!other.data_dir().join("saldo.db").exists());
}

fn saldo_sum(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn what_is_not_halted_needs_no_word() {
    let folder = Folder::new();
    folder.start().stop();
    let output = folder.saldo(&["resume", "--by", "rahim", "--evidence", "x"]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(words(&output).contains("Nothing is halted"), "{}", words(&output));
    let output = saldo(&["backup"]);
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
}
