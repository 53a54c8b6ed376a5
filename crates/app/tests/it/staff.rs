//! Staff's desk: money in and out of wallets, cases closed, decisions that need a name and a
//! reason.

use crate::harness::{Client, Folder, RECHARGE, STATUS, Server, UNLIMITED, minor, recharge, words};
use serde_json::{Value, json};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::time::Instant;

const START: i64 = 700_000;
const SOON: Duration = Duration::from_secs(30);

/// A folder, its demo, a sandbox connection, the merchant's account.
struct Desk {
    folder: Folder,
    server: Server,
    client: Client,
    account: String,
}

impl Desk {
    async fn new() -> Desk {
        let folder = Folder::new();
        let server = folder.start_with(&UNLIMITED);
        let client = server.sandbox().await;
        let accounts = folder.saldo_json(&["account", "list", "--json"]);
        let merchant = accounts.iter().find(|account| account["role"] == "merchant").unwrap();
        let account = merchant["id"].to_string();
        Desk { folder, server, client, account }
    }

    fn book(&self, verb: &str, amount: &str, reference: &str) -> Output {
        self.folder.saldo(&self.booking(verb, amount, reference))
    }

    fn booking<'a>(&'a self, verb: &'a str, amount: &'a str, reference: &'a str) -> [&'a str; 12] {
        let account = &self.account;
        [
            "wallet",
            verb,
            "--account",
            account,
            "--environment",
            "sandbox",
            "--amount",
            amount,
            "--reference",
            reference,
            "--by",
            "Rahima",
        ]
    }

    fn journals(&self) -> i64 {
        let report = self.folder.saldo_json(&["verify", "--json"]).remove(0);
        assert_eq!(report["balanced"], true, "{report}");
        report["journals"].as_i64().unwrap()
    }

    async fn balance(&mut self) -> i64 {
        let reply = self.client.get("/api/billing/balance").await;
        assert_eq!(reply.status(), 200, "{reply:?}");
        minor(&reply.json()["balance"])
    }

    /// Buys; gives the purchase's id.
    async fn buy(&mut self, number: &str) -> String {
        let reply = self.client.post(RECHARGE, recharge(number, 10, "D-1")).await;
        assert_eq!(reply.status(), 200, "{reply:?}");
        reply.json()["billing"]["transactionId"].to_string()
    }

    fn end(self) {
        self.server.stop();
        self.folder.verify();
    }
}

/// Refused with a reason: exit code 1, nothing on stdout.
#[track_caller]
fn assert_refused(output: &Output, says: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", words(output));
    assert!(output.stdout.is_empty(), "{}", words(output));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(says), "says {says:?}: {said}");
}

#[tokio::test]
async fn nobody_withdraws_more_than_there_is() {
    let mut desk = Desk::new().await;
    let journals = desk.journals();
    for (amount, says) in [
        ("7000.01", "holds only"),
        ("999999999.99", "holds only"),
        ("0", "amount"),
        ("-5", "amount"),
        ("1e3", "amount"),
        ("1.001", "amount"),
        ("92233720368547758.08", ""),
        ("ten", "amount"),
    ] {
        // With `=`: a leading minus is no flag.
        let amount = format!("--amount={amount}");
        let output = desk.folder.saldo(&[
            "wallet",
            "withdraw",
            "--account",
            &desk.account,
            "--environment",
            "sandbox",
            &amount,
            "--reference",
            "W-1",
            "--by",
            "Rahima",
        ]);
        assert_refused(&output, says);
        assert_eq!((desk.balance().await, desk.journals()), (START, journals), "{amount}");
    }
    // What was refused did not use the reference up; all there is may go.
    let output = desk.book("withdraw", "7000.00", "W-1");
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!((desk.balance().await, desk.journals()), (0, journals + 1));
    assert_refused(&desk.book("withdraw", "0.01", "W-2"), "holds only");
    let poor = desk.client.post(RECHARGE, recharge("01712345101", 10, "D-1")).await;
    poor.assert_refused(402, "INSUFFICIENT_BALANCE");
    desk.end();
}

#[tokio::test]
async fn money_that_is_held_is_not_withdrawn() {
    let mut desk = Desk::new().await;
    desk.buy("01712345105").await;
    assert_refused(&desk.book("withdraw", "6990.00", "W-1"), "6989.50");
    assert!(desk.book("withdraw", "6989.50", "W-1").status.success());
    assert_eq!(desk.balance().await, 0);
    desk.end();
}

#[tokio::test]
async fn a_papers_number_is_booked_once() {
    let mut desk = Desk::new().await;
    let journals = desk.journals();
    for verb in ["deposit", "withdraw"] {
        let before = desk.balance().await;
        let reference = format!("PAPER-{verb}");
        assert!(desk.book(verb, "100.00", &reference).status.success());
        let after = desk.balance().await;
        assert_eq!((after - before).abs(), 10_000);
        for amount in ["100.00", "50.00"] {
            assert_refused(&desk.book(verb, amount, &reference), "booked already");
        }
        assert_eq!(desk.balance().await, after, "{verb}");
    }
    assert_eq!(desk.journals(), journals + 2);
    desk.end();
}

#[tokio::test]
async fn a_papers_number_is_booked_once_by_many_at_once() {
    let mut desk = Desk::new().await;
    let data_dir = desk.folder.data_dir();
    let spawn = |_| {
        desk.folder
            .command()
            .args(desk.booking("withdraw", "100.00", "TWICE"))
            .arg("--data-dir")
            .arg(&data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..6).map(spawn).collect();
    let outputs: Vec<Output> =
        children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let booked = outputs.iter().filter(|output| output.status.success()).count();
    assert_eq!(booked, 1, "{outputs:?}");
    assert_eq!(desk.balance().await, START - 10_000);
    desk.end();
}

#[tokio::test]
async fn a_deposit_shows_at_once_where_it_was_made() {
    let mut desk = Desk::new().await;
    let output = desk.book("deposit", "1500.25", "BANK-1");
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "8500.25");
    assert_eq!(desk.balance().await, START + 150_025);
    assert_eq!(desk.server.live().await.balance().await, START, "live is another wallet");
    let shown = desk.folder.saldo_json(&["wallet", "show", "--account", &desk.account, "--json"]);
    let sandbox = shown.iter().find(|wallet| wallet["environment"] == "sandbox").unwrap();
    assert_eq!(minor(&sandbox["available"]), START + 150_025);
    desk.end();
}

/// Money is never booked without somebody who did it.
#[tokio::test]
async fn a_booking_names_who_did_it() {
    let mut desk = Desk::new().await;
    for verb in ["deposit", "withdraw"] {
        for by in ["", "  "] {
            let mut words = desk.booking(verb, "1.00", "ANON-1");
            words[11] = by;
            assert_refused(&desk.folder.saldo(&words), "who");
        }
    }
    assert_eq!(desk.balance().await, START);
    desk.end();
}

#[tokio::test]
async fn a_closed_case_is_closed_and_moves_no_money() {
    let mut desk = Desk::new().await;
    let id = desk.buy("01712345112").await;
    a_case_opens(&desk.folder).await;
    let (balance, journals) = (desk.balance().await, desk.journals());
    for (by, evidence) in [("", "a letter"), ("  ", "a letter"), ("Rahima", ""), ("Rahima", " ")] {
        let close = ["purchase", "close", &id, "--by", by, "--evidence", evidence];
        assert_refused(&desk.folder.saldo(&close), "Say who closes it");
    }
    assert_eq!(cases(&desk.folder).len(), 1);
    let close = ["purchase", "close", &id, "--by", "Rahima", "--evidence", "letter 4711"];
    let output = desk.folder.saldo(&close);
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(cases(&desk.folder), Vec::<Value>::new());
    assert_refused(&desk.folder.saldo(&close), "No clash case");
    assert_eq!((desk.balance().await, desk.journals()), (balance, journals));
    assert_eq!(desk.client.status("D-1").await["status"], "failed");
    let story = desk.folder.saldo_json(&["purchase", "show", &id, "--json"]).remove(0);
    assert!(story["evidence"].to_string().contains("letter 4711"), "{story}");
    desk.end();
}

/// After a start the simulator says its late words again: nothing new, so nothing to look into.
#[tokio::test]
async fn a_closed_case_stays_closed_when_the_upstream_repeats_itself() {
    let mut desk = Desk::new().await;
    let id = desk.buy("01712345112").await;
    a_case_opens(&desk.folder).await;
    let close = ["purchase", "close", &id, "--by", "Rahima", "--evidence", "letter 4711"];
    assert!(desk.folder.saldo(&close).status.success());
    desk.server.stop();
    desk.server = desk.folder.start_with(&["--log", "debug"]);
    let started = Instant::now();
    while !desk.server.log().contains("an upstream said") {
        assert!(started.elapsed() < SOON, "the word is not repeated");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(cases(&desk.folder), Vec::<Value>::new());
    desk.end();
}

fn cases(folder: &Folder) -> Vec<Value> {
    folder.saldo_json(&["purchase", "cases", "--json"])
}

async fn a_case_opens(folder: &Folder) {
    let started = Instant::now();
    while cases(folder).is_empty() {
        assert!(started.elapsed() < SOON, "no case opens");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_decision_without_a_name_or_a_reason_is_none() {
    let mut desk = Desk::new().await;
    let id = desk.buy("01712345111").await;
    let journals = desk.journals();
    for word in ["--delivered", "--not-delivered"] {
        for (by, evidence, says) in [
            ("", "a letter", "who"),
            (" \t", "a letter", "who"),
            ("Rahima", "", "what shows it"),
            ("Rahima", "  ", "what shows it"),
        ] {
            let settle = ["purchase", "settle", &id, word, "--by", by, "--evidence", evidence];
            assert_refused(&desk.folder.saldo(&settle), says);
        }
    }
    assert_eq!(desk.journals(), journals);
    let reply = desk.client.get(&format!("{STATUS}?reference=D-1")).await;
    assert_eq!(reply.json()["data"]["status"], json!("processing"), "{reply:?}");
    let settle =
        ["purchase", "settle", &id, "--delivered", "--by", "Rahima", "--evidence", "a letter"];
    assert!(desk.folder.saldo(&settle).status.success());
    desk.client.becomes("D-1", "success", SOON).await;
    desk.end();
}
