//! Commands of staff: deposits and withdrawals, closing of cases, and decisions, which need a name
//! and a reason.

use crate::support::{
    Client, Folder, RECHARGE, STATUS, Server, UNLIMITED, assert_exit, describe, minor, recharge,
};
use serde_json::{Value, json};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::time::Instant;

const START: i64 = 700_000;
const SOON: Duration = Duration::from_secs(30);

/// A folder, its demo, a sandbox connection, the merchant's account.
struct Setup {
    folder: Folder,
    server: Server,
    client: Client,
    account: String,
}

impl Setup {
    async fn new() -> Setup {
        let folder = Folder::new();
        let server = folder.start_with(&UNLIMITED);
        let client = server.sandbox().await;
        let accounts = folder.saldo_json(&["account", "list", "--json"]);
        let merchant = accounts.iter().find(|account| account["role"] == "merchant").unwrap();
        let account = merchant["id"].to_string();
        Setup { folder, server, client, account }
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

/// Exit code 1, a reason on stderr that mentions this, nothing on stdout.
#[track_caller]
fn assert_refused(output: &Output, mentions: &str) {
    assert_exit(output, 1, "");
    assert!(output.stdout.is_empty(), "{}", describe(output));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(mentions), "mentions {mentions:?}: {stderr}");
}

#[tokio::test]
async fn no_withdrawal_exceeds_the_balance() {
    let mut setup = Setup::new().await;
    let journals = setup.journals();
    for (amount, mentions) in [
        ("7000.01", "holds only"),
        ("999999999.99", "holds only"),
        ("0", "amount"),
        ("-5", "amount"),
        ("1e3", "amount"),
        ("1.001", "amount"),
        ("92233720368547758.08", ""),
        ("ten", "amount"),
    ] {
        // With `=`, so that a leading minus is not read as a flag.
        let amount = format!("--amount={amount}");
        let mut arguments = setup.booking("withdraw", "", "W-1").to_vec();
        arguments.splice(6..8, [amount.as_str()]);
        let output = setup.folder.saldo(&arguments);
        assert_refused(&output, mentions);
        assert_eq!((setup.balance().await, setup.journals()), (START, journals), "{amount}");
    }
    // A refusal does not use the reference up; the whole balance may be withdrawn.
    assert_exit(&setup.book("withdraw", "7000.00", "W-1"), 0, "");
    assert_eq!((setup.balance().await, setup.journals()), (0, journals + 1));
    assert_refused(&setup.book("withdraw", "0.01", "W-2"), "holds only");
    let poor = setup.client.post(RECHARGE, recharge("01712345101", 10, "D-1")).await;
    poor.assert_refused(402, "INSUFFICIENT_BALANCE");
    setup.end();
}

#[tokio::test]
async fn money_that_is_held_is_not_withdrawn() {
    let mut setup = Setup::new().await;
    setup.buy("01712345105").await;
    assert_refused(&setup.book("withdraw", "6990.00", "W-1"), "6989.50");
    assert_exit(&setup.book("withdraw", "6989.50", "W-1"), 0, "");
    assert_eq!(setup.balance().await, 0);
    setup.end();
}

#[tokio::test]
async fn a_booking_reference_is_booked_once() {
    let mut setup = Setup::new().await;
    let journals = setup.journals();
    for verb in ["deposit", "withdraw"] {
        let before = setup.balance().await;
        let reference = format!("PAPER-{verb}");
        assert_exit(&setup.book(verb, "100.00", &reference), 0, "");
        let after = setup.balance().await;
        assert_eq!((after - before).abs(), 10_000);
        for amount in ["100.00", "50.00"] {
            assert_refused(&setup.book(verb, amount, &reference), "booked already");
        }
        assert_eq!(setup.balance().await, after, "{verb}");
    }
    assert_eq!(setup.journals(), journals + 2);
    setup.end();
}

#[tokio::test]
async fn concurrent_bookings_of_one_reference_book_it_once() {
    let mut setup = Setup::new().await;
    let data_dir = setup.folder.data_dir();
    let spawn = |_| {
        setup
            .folder
            .command()
            .args(setup.booking("withdraw", "100.00", "TWICE"))
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
    assert_eq!(setup.balance().await, START - 10_000);
    setup.end();
}

#[tokio::test]
async fn a_deposit_shows_at_once_where_it_was_made() {
    let mut setup = Setup::new().await;
    let output = setup.book("deposit", "1500.25", "BANK-1");
    assert_exit(&output, 0, "");
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "8500.25");
    assert_eq!(setup.balance().await, START + 150_025);
    assert_eq!(setup.server.live().await.balance().await, START, "live is another wallet");
    let shown = setup.folder.saldo_json(&["wallet", "show", "--account", &setup.account, "--json"]);
    let sandbox = shown.iter().find(|wallet| wallet["environment"] == "sandbox").unwrap();
    assert_eq!(minor(&sandbox["available"]), START + 150_025);
    setup.end();
}

#[tokio::test]
async fn payments_say_how_much_came_and_went() {
    let setup = Setup::new().await;
    assert_exit(&setup.book("deposit", "1500.25", "BANK-1"), 0, "");
    assert_exit(&setup.book("withdraw", "200.00", "BANK-2"), 0, "");
    let list = ["wallet", "payments", "--account", &setup.account];
    let listed = setup.folder.saldo_json(&[&list[..], &["--json"]].concat());
    let of = |reference: &str| {
        let found = listed.iter().find(|payment| payment["reference"] == reference).unwrap();
        [&found["direction"], &found["amount"], &found["currency"]].map(|v| v.as_str().unwrap())
    };
    assert_eq!(of("BANK-1"), ["in", "1500.25", "BDT"]);
    assert_eq!(of("BANK-2"), ["out", "200.00", "BDT"]);
    let text = String::from_utf8(setup.folder.saldo_ok(&list).stdout).unwrap();
    for line in ["in   1500.25 BDT  manual  BANK-1  ", "out  200.00 BDT  manual  BANK-2  "] {
        assert!(text.contains(line), "{text}");
    }
    setup.end();
}

/// Every booking needs the name of a person.
#[tokio::test]
async fn a_booking_needs_a_name() {
    let mut setup = Setup::new().await;
    for verb in ["deposit", "withdraw"] {
        for by in ["", "  "] {
            let mut arguments = setup.booking(verb, "1.00", "ANON-1");
            arguments[11] = by;
            assert_refused(&setup.folder.saldo(&arguments), "who");
        }
    }
    assert_eq!(setup.balance().await, START);
    setup.end();
}

#[tokio::test]
async fn closing_a_case_moves_no_money() {
    let mut setup = Setup::new().await;
    let id = setup.buy("01712345112").await;
    a_case_opens(&setup.folder).await;
    let (balance, journals) = (setup.balance().await, setup.journals());
    for (by, evidence) in [("", "a letter"), ("  ", "a letter"), ("Rahima", ""), ("Rahima", " ")] {
        let close = ["purchase", "close", &id, "--by", by, "--evidence", evidence];
        assert_refused(&setup.folder.saldo(&close), "Say who closes it");
    }
    assert_eq!(cases(&setup.folder).len(), 1);
    let close = ["purchase", "close", &id, "--by", "Rahima", "--evidence", "letter 4711"];
    setup.folder.saldo_ok(&close);
    assert_eq!(cases(&setup.folder), Vec::<Value>::new());
    assert_refused(&setup.folder.saldo(&close), "No clash case");
    assert_eq!((setup.balance().await, setup.journals()), (balance, journals));
    assert_eq!(setup.client.status("D-1").await["status"], "failed");
    let history = setup.folder.saldo_json(&["purchase", "show", &id, "--json"]).remove(0);
    assert!(history["evidence"].to_string().contains("letter 4711"), "{history}");
    setup.end();
}

/// After a start the simulator repeats its late status updates. They are not new, so no case opens.
#[tokio::test]
async fn a_closed_case_stays_closed_when_the_upstream_repeats_its_update() {
    let mut setup = Setup::new().await;
    let id = setup.buy("01712345112").await;
    a_case_opens(&setup.folder).await;
    let close = ["purchase", "close", &id, "--by", "Rahima", "--evidence", "letter 4711"];
    setup.folder.saldo_ok(&close);
    setup.server.stop();
    setup.server = setup.folder.start_with(&["--log", "debug"]);
    let started = Instant::now();
    while !setup.server.log().contains("an outcome of an upstream") {
        assert!(started.elapsed() < SOON, "the update is not repeated");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(cases(&setup.folder), Vec::<Value>::new());
    setup.end();
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
async fn a_decision_needs_a_name_and_a_reason() {
    let mut setup = Setup::new().await;
    let id = setup.buy("01712345111").await;
    let journals = setup.journals();
    for flag in ["--delivered", "--not-delivered"] {
        for (by, evidence, mentions) in [
            ("", "a letter", "who"),
            (" \t", "a letter", "who"),
            ("Rahima", "", "what shows it"),
            ("Rahima", "  ", "what shows it"),
        ] {
            let settle = ["purchase", "settle", &id, flag, "--by", by, "--evidence", evidence];
            assert_refused(&setup.folder.saldo(&settle), mentions);
        }
    }
    assert_eq!(setup.journals(), journals);
    let reply = setup.client.get(&format!("{STATUS}?reference=D-1")).await;
    assert_eq!(reply.json()["data"]["status"], json!("processing"), "{reply:?}");
    let settle =
        ["purchase", "settle", &id, "--delivered", "--by", "Rahima", "--evidence", "a letter"];
    setup.folder.saldo_ok(&settle);
    setup.client.becomes("D-1", "success", SOON).await;
    setup.end();
}
