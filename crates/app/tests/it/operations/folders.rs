//! A data folder belongs to a demo or to an installation, never to both; and a first start that is
//! killed.

use super::command_line::assert_one_sentence;
use crate::support::{Folder, RECHARGE, UNLIMITED, note, recharge};
use std::process::Output;
use std::time::Duration;

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
    assert_one_sentence(&refused("demo", &folder), "master.key");
    std::fs::write(&file, &right).unwrap();
    folder.start().stop();
}
