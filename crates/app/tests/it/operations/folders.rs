//! A data folder belongs to a demo or to an installation, never to both; and a first start that is
//! killed.

use super::command_line::assert_one_sentence;
use crate::postgres;
use crate::support::{Folder, RECHARGE, UNLIMITED, assert_exit, note, recharge};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use tokio::time::Instant;

const START: i64 = 700_000;
/// Amount and fee of a recharge of 10.
const COST: i64 = 1_050;

/// Runs a serving verb that must refuse the folder.
fn refused(verb: &str, folder: &Folder) -> Output {
    folder.saldo(&[verb, "--listen", "127.0.0.1:0"])
}

#[test]
fn demo_refuses_an_installation() {
    let folder = Folder::new();
    let server = folder.serve();
    let opened = folder.saldo_ok(&["account", "open", "--name", "Shop"]);
    let account: i64 = String::from_utf8(opened.stdout).unwrap().trim().parse().unwrap();
    server.stop();

    assert_one_sentence(&refused("demo", &folder), "installation");
    assert!(!folder.data_dir().join("demo-credentials.json").exists());
    folder.verify();

    let server = folder.serve();
    let accounts = folder.saldo_json(&["account", "list", "--json"]);
    let names: Vec<&str> = accounts.iter().map(|a| a["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["House", "Shop"], "the refused demo left nothing behind");
    assert_eq!(accounts[1]["id"], account);
    server.stop();
}

/// Even without a merchant: the house account alone makes it an installation.
#[test]
fn demo_refuses_a_folder_that_serve_only_began() {
    let folder = Folder::new();
    folder.serve().stop();
    assert_one_sentence(&refused("demo", &folder), "installation");
    folder.serve().stop();
}

#[test]
fn serve_refuses_a_demo() {
    let folder = Folder::new();
    folder.start().stop();
    assert_one_sentence(&refused("serve", &folder), "saldo demo");
    folder.start().stop();
    folder.verify();
}

/// A demo that is killed right after it wrote its secrets owns the folder all the same: otherwise
/// the next demo would sell simulated products in an installation.
#[test]
fn serve_refuses_a_demo_that_only_wrote_its_secrets() {
    let (complete, killed) = (Folder::new(), Folder::new());
    complete.start().stop();
    std::fs::create_dir(killed.data_dir()).unwrap();
    let secrets = "demo-credentials.json";
    std::fs::copy(complete.data_dir().join(secrets), killed.data_dir().join(secrets)).unwrap();
    assert!(killed.try_serve().is_none(), "serve accepted a demo's folder");
    killed.start().stop();
    killed.verify();
}

#[tokio::test]
async fn a_killed_first_start_is_finished_by_the_next() {
    for life_ms in [20, 40, 70, 100, 140, 180, 230, 290, 350, 420, 500, 600] {
        let folder = Folder::new();
        let starting = folder.spawn(&UNLIMITED);
        tokio::time::sleep(Duration::from_millis(life_ms)).await;
        starting.kill();
        let listened = folder.path("credentials.json").exists();
        let has_secrets = folder.data_dir().join("demo-credentials.json").exists();
        note(&format!(
            "killed after {life_ms} ms: secrets written: {has_secrets}, listened: {listened}"
        ));
        let written = listened.then(|| folder.credentials());

        let server = folder.start();
        if let Some(first) = written {
            assert_eq!(first.merchant, server.credentials.merchant, "after {life_ms} ms");
        }
        for mut client in [server.sandbox().await, server.live().await] {
            assert_eq!(client.balance().await, START, "after {life_ms} ms");
            let reply = client.post(RECHARGE, recharge("01712345101", 10, "CUT-1")).await;
            assert_eq!(reply.json()["billing"]["status"], "success", "{life_ms} ms: {reply:?}");
            assert_eq!(client.balance().await, START - COST, "after {life_ms} ms");
        }
        let accounts = folder.saldo_json(&["account", "list", "--json"]);
        assert_eq!(accounts.len(), 3, "house, merchant, customer: {accounts:?}");
        server.stop();
        folder.verify();
    }
}

/// Sealed push tokens, webhook secrets and quotes depend on the master key: another key is refused,
/// and the right one still works.
#[test]
fn another_master_key_is_refused() {
    let folder = Folder::new();
    folder.start().stop();
    let file = folder.data_dir().join("master.key");
    let right = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    // A missing one is not replaced: the right one could not be put back beside it.
    for verb in ["demo", "verify"] {
        let output = match verb {
            "demo" => refused(verb, &folder),
            verb => folder.saldo(&[verb]),
        };
        assert_one_sentence(&output, "master.key is missing");
        assert!(!file.exists(), "{verb}");
    }
    let write_key = |key: &[u8], mode: u32| {
        std::fs::write(&file, key).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    };
    write_key(&[7; 32], 0o600);
    assert_one_sentence(&refused("demo", &folder), "master.key");
    // Nor does a command seal with it.
    let make = ["key", "make", "--account", "2", "--environment", "live"];
    let wrong = "is not the one that this data was sealed with";
    assert_exit(&folder.saldo(&make), 2, wrong);
    let backup = folder.path("backup");
    let backup = ["backup", backup.to_str().unwrap()];
    assert_exit(&folder.saldo(&backup), 2, wrong);
    // Nor does a backup of a running server take it along; a database on a server is copied by its
    // own tools.
    if !postgres::is_chosen() {
        write_key(&right, 0o600);
        let server = folder.start();
        write_key(&[7; 32], 0o600);
        assert_exit(&folder.saldo(&backup), 1, wrong);
        server.stop();
    }
    // One that every user of the machine can read is no secret.
    write_key(&right, 0o644);
    assert_one_sentence(&refused("demo", &folder), "chmod 600");
    write_key(&right, 0o640);
    folder.start().stop();
}

/// Every file of the data folder, and its mode.
fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(modes(&path));
        }
        found.push((path, metadata.permissions().mode() & 0o777));
    }
    found
}

#[tokio::test]
async fn every_file_is_private_whatever_the_umask() {
    for umask in ["000", "022", "0277"] {
        let folder = Folder::new();
        let server = folder.start_after(&format!("umask {umask}"), &UNLIMITED);
        let mut client = server.sandbox().await;
        let reply = client.post(RECHARGE, recharge("01712345106", 10, "D-1")).await;
        assert_eq!(reply.status(), 200, "{reply:?}");
        // The file of the last journal is written after some seconds.
        let seen = folder.data_dir().join("books-seen.json");
        let started = Instant::now();
        while !seen.exists() {
            assert!(started.elapsed() < Duration::from_secs(30), "no {}", seen.display());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let modes = modes(&folder.data_dir());
        assert!(modes.len() >= 6, "{modes:?}");
        for (path, mode) in modes {
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, expected, "umask {umask}: {}", path.display());
        }
        server.stop();
    }
}

/// What an earlier version left open is closed at the next start.
#[test]
fn files_that_were_open_to_others_are_closed() {
    let folder = Folder::new();
    folder.start().stop();
    let lock = folder.data_dir().join("saldo.lock");
    std::fs::set_permissions(&lock, Permissions::from_mode(0o644)).unwrap();
    folder.start().stop();
    assert_eq!(std::fs::metadata(&lock).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Whoever deletes the lock's file does not get a second server on the same data.
#[test]
fn a_deleted_lock_file_lets_no_second_server_in() {
    let folder = Folder::new();
    let server = folder.serve();
    std::fs::remove_file(folder.data_dir().join("saldo.lock")).unwrap();
    assert!(folder.try_serve().is_none(), "a second server");
    // Commands still find the server.
    folder.saldo_ok(&["account", "open", "--name", "Shop"]);
    server.stop();
    folder.verify();
}

/// Whoever may write into a folder can replace its files: a warning says so, once.
#[test]
fn a_data_folder_that_others_may_write_into_is_named() {
    let folder = Folder::new();
    folder.serve().stop();
    for (mode, warnings) in [(0o700, 0), (0o755, 0), (0o777, 1), (0o720, 1)] {
        std::fs::set_permissions(folder.data_dir(), Permissions::from_mode(mode)).unwrap();
        let verified = folder.saldo(&["account", "list"]);
        let said = String::from_utf8(verified.stderr).unwrap();
        let found = said.matches("other users may write into the data folder").count();
        assert_eq!(found, warnings, "{mode:o}: {said}");
    }
}
