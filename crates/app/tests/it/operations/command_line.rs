//! The command line from outside: exit codes, error messages, graceful shutdown, the audit.

use crate::http_client::Lost;
use crate::support::{
    Client, Folder, Keys, RECHARGE, STATUS, UNLIMITED, assert_exit, describe, note, recharge,
    saldo, touch,
};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Exit code 2, one sentence on stderr that mentions this, nothing on stdout.
#[track_caller]
pub fn assert_one_sentence(output: &Output, mentions: &str) {
    assert_exit(output, 2, "");
    assert!(output.stdout.is_empty(), "{}", describe(output));
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines.len(), 1, "one sentence: {stderr}");
    assert!(lines[0].to_lowercase().contains(mentions), "mentions {mentions:?}: {stderr}");
}

fn serve(folder: &Folder, data_dir: &Path) -> Output {
    folder.saldo_in(data_dir, &["serve", "--listen", "127.0.0.1:0"])
}

#[test]
fn a_folder_in_use_is_refused() {
    let folder = Folder::new();
    let server = folder.start();
    assert_one_sentence(&serve(&folder, &folder.data_dir()), "process");
    // The server that uses the folder runs the audit.
    folder.verify();
    server.stop();
    folder.verify();
}

#[test]
fn a_path_that_is_no_folder_is_refused() {
    let folder = Folder::new();
    let file = folder.path("file");
    touch(&file);
    assert_one_sentence(&serve(&folder, &file), "file");
    assert_one_sentence(&serve(&folder, &file.join("below")), "file");
    assert_one_sentence(&serve(&folder, Path::new("/proc/no-such-place")), "no-such-place");
}

#[test]
fn data_of_a_newer_saldo_is_refused() {
    let folder = Folder::new();
    folder.start().stop();
    folder.sql(
        folder
            .by_database("PRAGMA user_version = 9999", "UPDATE schema_version SET version = 9999"),
    );
    assert_one_sentence(&serve(&folder, &folder.data_dir()), "newer");
    assert_one_sentence(&folder.saldo(&["verify"]), "newer");
}

#[test]
fn a_folder_that_holds_no_database_is_refused() {
    let folder = Folder::new();
    folder.start().stop();
    let database = folder.data_dir().join("saldo.db");
    std::fs::write(&database, "this is no database, whatever its name says".repeat(100)).unwrap();
    assert_one_sentence(&serve(&folder, &folder.data_dir()), "database");
}

#[test]
fn a_second_start_keeps_the_credentials() {
    let folder = Folder::new();
    folder.start().stop();
    let first = folder.credentials();
    folder.start().stop();
    let second = folder.credentials();
    assert_eq!(first.merchant, second.merchant);
    assert_eq!((first.customer, first.staff), (second.customer, second.staff));
}

#[test]
fn a_wrong_flag_or_verb_is_explained() {
    for arguments in [&["demo", "--no-such-flag"][..], &["no-such-verb"], &[]] {
        let output = saldo(arguments);
        assert_exit(&output, 2, "");
        assert!(!output.stderr.is_empty());
    }
}

/// A limit of no calls at all would refuse each one.
#[test]
fn no_plan_allows_no_calls() {
    let subscription = ["--plan", "enterprise", "--per-minute", "0"];
    for verb in [&["account", "open", "--name", "x"][..], &["account", "subscribe", "2"]] {
        assert_exit(&saldo(&[verb, &subscription].concat()), 2, "0 is not in 1..");
    }
    assert_exit(&saldo(&["demo", "--requests-per-minute", "0"]), 2, "0 is not in 1..");
}

#[test]
fn a_settlement_without_a_decision_names_both() {
    let settle = ["purchase", "settle", "1", "--by", "Rahima", "--evidence", "a letter"];
    assert_exit(&saldo(&settle), 2, "<--delivered|--not-delivered>");
    let both = [&settle[..], &["--delivered", "--not-delivered"]].concat();
    assert_exit(&saldo(&both), 2, "cannot be used with");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_stop_cuts_no_answer_off() {
    for delay_ms in [150, 400, 700] {
        let folder = Folder::new();
        let server = folder.start_with(&[UNLIMITED, ["--balance", "999999999"]].concat());
        let keys = server.credentials.merchant.sandbox.clone();
        let mut tasks = JoinSet::new();
        let begun = Arc::new(AtomicUsize::new(0));
        for task in 0..16 {
            let (address, keys, begun) = (server.address.clone(), keys.clone(), begun.clone());
            let client = server.sandbox().await;
            // Half of them keep their connection, half open a new one for each request.
            let keeps = task % 2 == 0;
            tasks.spawn(Buyer { task, keeps, begun, address, keys, client: Some(client) }.run());
        }
        while begun.load(Ordering::Relaxed) < 16 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        server.ask_to_stop();
        let outcomes = tasks.join_all().await;
        assert_eq!(server.ended().code(), Some(0));
        folder.verify();

        let server = folder.start();
        let mut client = server.sandbox().await;
        for (answered, unanswered) in outcomes {
            assert!(answered > 0, "each had an answer");
            // A request without an answer was never read: it has no effect.
            if let Some(reference) = unanswered {
                let reply = client.get(&format!("{STATUS}?reference={reference}")).await;
                assert_eq!(
                    reply.status(),
                    404,
                    "{reference} was accepted and not answered: {reply:?}"
                );
            }
        }
        server.stop();
    }
}

/// A client that buys until the server is gone.
struct Buyer {
    task: usize,
    keeps: bool,
    /// How many buyers have had an answer.
    begun: Arc<AtomicUsize>,
    address: String,
    keys: Keys,
    client: Option<Client>,
}

impl Buyer {
    /// How many requests were answered, and the reference that was not.
    async fn run(mut self) -> (usize, Option<String>) {
        for n in 0.. {
            let reference = format!("STOP-{}-{n}", self.task);
            let mut client = match self.client.take() {
                Some(client) => client,
                None => match Client::try_open(&self.address, &self.keys).await {
                    Ok(client) => client,
                    Err(_) => return (n, None),
                },
            };
            let body = recharge(&format!("0171{:04}101", self.task), 10, &reference);
            match client.send(http::Method::POST, RECHARGE, body).await {
                Ok(reply) => {
                    assert_eq!(reply.status(), 200, "{reply:?}");
                    self.begun.fetch_add(usize::from(n == 0), Ordering::Relaxed);
                    let is_open = reply.header("connection") != Some("close");
                    self.client = (self.keeps && is_open).then_some(client);
                }
                Err(Lost::CutOff(error)) => panic!("{reference} was cut off: {error}"),
                Err(Lost::Unanswered(_) | Lost::NotConnected(_)) => return (n, Some(reference)),
            }
        }
        unreachable!("the loop has no end of its own")
    }
}

/// A stopped installation with two delivered recharges and a failed one.
async fn installation() -> Folder {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = server.sandbox().await;
    for (reference, number) in
        [("V-1", "01712345101"), ("V-2", "01712345102"), ("V-3", "01712345101")]
    {
        assert_eq!(client.post(RECHARGE, recharge(number, 10, reference)).await.status(), 200);
    }
    server.stop();
    folder.verify();
    folder
}

#[tokio::test]
async fn the_audit_names_the_corrupt_row() {
    let corruptions = [
        (
            "entries",
            "UPDATE entries SET amount = amount + 1
             WHERE journal_seq = (SELECT max(journal_seq) FROM entries) AND line = 1",
            "journal",
        ),
        (
            "entries",
            "DELETE FROM entries
             WHERE journal_seq = (SELECT max(journal_seq) FROM entries) AND line = 1",
            "journal",
        ),
        ("journals", "UPDATE journals SET at = at + 1 WHERE seq = 2", "2"),
        (
            "ledger_accounts",
            "UPDATE ledger_accounts SET balance = balance + 1 WHERE id = 1",
            "ledger account 1 ",
        ),
        ("purchases", "UPDATE purchases SET state = 'failed' WHERE reference = 'V-1'", ""),
        ("purchases", "UPDATE purchases SET amount = amount + 100 WHERE reference = 'V-3'", ""),
    ];
    for (table, corruption, mentions) in corruptions {
        let folder = installation().await;
        let drops = format!(
            "DROP TRIGGER IF EXISTS {table}_are_not_updated; \
             DROP TRIGGER IF EXISTS {table}_are_not_deleted"
        );
        let guards_off = folder.by_database(&drops, "SET session_replication_role = replica");
        let changed = folder.sql(&format!("{guards_off}; {corruption} RETURNING 1"));
        assert!(!changed.is_empty(), "{corruption}");
        note(corruption);
        assert_exit(&folder.saldo(&["verify"]), 1, mentions);
        let output = folder.saldo(&["verify", "--json"]);
        assert_eq!(output.status.code(), Some(1), "{corruption}");
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }
}

#[tokio::test]
async fn the_append_only_tables_refuse_changes() {
    let folder = installation().await;
    for change in [
        "UPDATE entries SET amount = amount + 1",
        "DELETE FROM entries",
        "UPDATE journals SET at = 0",
        "DELETE FROM journals",
        "DELETE FROM claims",
    ] {
        assert!(folder.try_sql(change).is_err(), "{change}");
    }
    folder.verify();
}

#[tokio::test]
async fn commands_work_beside_the_running_server() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = server.sandbox().await;
    client.post(RECHARGE, recharge("01712345101", 10, "L-1")).await;
    client.post(RECHARGE, recharge("01712345102", 10, "L-2")).await;
    let all = folder.saldo_json(&["purchase", "list", "--json"]);
    assert_eq!(all.len(), 2, "{all:?}");
    for purchase in &all {
        for field in [
            "id",
            "account",
            "environment",
            "reference",
            "state",
            "recipient",
            "amount",
            "attempts",
        ] {
            assert!(!purchase[field].is_null(), "{field}: {purchase}");
        }
    }
    let failed = folder.saldo_json(&["purchase", "list", "--state", "failed", "--json"]);
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0]["reference"], "L-2");
    for filter in [["--reference", "L-2"], ["--recipient", "01712345102"], ["--state", "failed"]] {
        let found = folder.saldo_json(&[&["purchase", "list", "--json"][..], &filter].concat());
        assert_eq!((found.len(), &found[0]["reference"]), (1, &failed[0]["reference"]));
    }
    let last = all[0]["id"].to_string();
    let next = folder.saldo_json(&["purchase", "list", "--json", "--after", &last]);
    assert_eq!((next.len(), &next[0]["id"]), (1, &all[1]["id"]));
    let shown = folder.saldo_json(&["purchase", "show", "L-2", "--json"]);
    assert_eq!(shown[0]["id"], failed[0]["id"]);
    let accounts = folder.saldo_json(&["account", "list", "--json"]);
    assert!(!accounts.is_empty());
    let unknown = folder.saldo(&["purchase", "show", "999", "--json"]);
    assert!(!unknown.status.success(), "{}", describe(&unknown));
    server.stop();
}

/// A name that nobody reads is refused, with the nearest known one.
#[test]
fn unknown_names_are_refused() {
    let folder = Folder::new();
    let output = folder.saldo(&["serve", "--lisen", "127.0.0.1:0"]);
    assert_exit(&output, 2, "");
    let said = describe(&output);
    assert!(said.contains("--lisen") && said.contains("'--listen'"), "{said}");
    let file = folder.path("saldo.toml");
    std::fs::write(&file, "smtp = \"x\"\n").unwrap();
    let output = folder.saldo(&["serve", "--config", file.to_str().unwrap()]);
    assert_one_sentence(&output, "there is no setting smtp; did you mean smtp_url?");
    std::fs::write(&file, "base_url = \"saldo.example\"\n").unwrap();
    let output = folder.saldo(&["serve", "--config", file.to_str().unwrap()]);
    assert_one_sentence(&output, "https://saldo.example");
    let mut command = folder.command();
    command.args(["verify", "--data-dir"]).arg(folder.data_dir()).env("SALDO_LISTN", "x");
    assert_one_sentence(&command.output().unwrap(), "saldo_listn; did you mean saldo_listen?");
}

/// What is too large is not called "not above zero".
#[test]
fn a_balance_that_is_refused_says_why() {
    let folder = Folder::new();
    for (balance, says) in [
        ("1000000000", "--balance is too large"),
        ("0", "--balance is not above zero"),
        ("10.001", "--balance is no plain number"),
    ] {
        let output = folder.saldo(&["demo", "--listen", "127.0.0.1:0", "--balance", balance]);
        assert_exit(&output, 2, says);
    }
}

/// Both files of credentials are complete once the server listens.
#[test]
fn the_credentials_are_complete_wherever_they_are_written() {
    let folder = Folder::new();
    let server = folder.start();
    let written = std::fs::read_to_string(folder.path("credentials.json")).unwrap();
    let kept = std::fs::read_to_string(folder.data_dir().join("demo-credentials.json")).unwrap();
    assert_eq!(kept, written);
    assert!(!kept.contains(": 0") && !kept.contains("\"\""), "{kept}");
    server.stop();
}

/// What a newcomer must know stands in the log of a start.
#[test]
fn a_start_says_what_is_not_sent() {
    let folder = Folder::new();
    let running = folder.serve();
    let log = running.log();
    assert!(log.contains("no smtp_url"), "{log}");
    let link = folder.data_dir().join("first-owner-link.txt");
    let link = (0..1_000).find_map(|_| {
        // It is printed a moment after the first line of the log.
        std::thread::sleep(Duration::from_millis(10));
        std::fs::read_to_string(&link).ok().filter(|link| running.log().contains(link.trim()))
    });
    let (link, log) = (link.unwrap(), running.log());
    assert!(log.lines().any(|line| line == link.trim()), "a line that can be copied: {log}");
    assert!(!log.contains("plain HTTP on a public address"), "{log}");
    assert!(!log.contains("0.0.0.0"), "{log}");
    running.stop();
}
