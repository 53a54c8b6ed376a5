//! The sandbox's numbers (CONTRACT section 3): each one's final status, and the balance after it.

use crate::support::{BANKING, Client, Folder, RECHARGE, Server, UNLIMITED, minor, recharge};
use serde_json::{Value, json};
use std::time::Duration;

const START: i64 = 700_000;
/// Amount and fee of a recharge of 10.
const COST: i64 = 1_050;
const SOON: Duration = Duration::from_secs(30);

/// A server, a client and a number.
struct Setup {
    folder: Folder,
    server: Server,
    client: Client,
    number: String,
}

impl Setup {
    async fn of(ends: &str) -> Setup {
        let folder = Folder::new();
        let server = folder.start_with(&UNLIMITED);
        let client = server.sandbox().await;
        Setup { folder, server, client, number: format!("01712345{ends}") }
    }

    /// Recharges 10; gives the answer's `billing`. The balance in it is what is left after the
    /// hold, or after the money came back; then nothing is earned either.
    async fn recharge(&mut self) -> Value {
        let reply = self.client.post(RECHARGE, recharge(&self.number, 10, "S-1")).await;
        assert_eq!(reply.status(), 200, "{reply:?}");
        let mut body = reply.json();
        let billing = body["billing"].take();
        let is_good = ["success", "processing", "pending"].iter().any(|s| billing["status"] == *s);
        let left = if is_good { START - COST } else { START };
        assert_eq!(minor(&billing["remainingBalance"]), left, "{billing}");
        assert_eq!(minor(&billing["commission"]), if is_good { 150 } else { 0 }, "{billing}");
        assert_eq!(body["success"], is_good, "{body} {billing}");
        billing
    }

    async fn becomes(&mut self, status: &str) -> Value {
        let data = self.client.becomes("S-1", status, SOON).await;
        let is_final = !["processing", "pending"].contains(&status);
        assert_eq!(data["isFinal"], is_final, "{data}");
        assert_eq!(
            data["approvedAt"].is_null(),
            status != "success" && status != "reversed",
            "{data}"
        );
        data
    }

    fn id(billing: &Value) -> String {
        billing["transactionId"].to_string()
    }

    /// The only purchase, as `saldo purchase list` shows it.
    fn listed(&self) -> Value {
        let mut lines = self.folder.saldo_json(&["purchase", "list", "--json"]);
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    }

    /// Checks the balance, the ledger, and how often the end customer was credited.
    async fn ends_with(mut self, balance: i64, credited: usize) {
        assert_eq!(self.client.balance().await, balance);
        self.server.stop();
        self.folder.verify();
        let truth = self.folder.truth();
        assert_eq!(truth.iter().filter(|r| r.credited).count(), credited, "{truth:?}");
        assert!(truth.iter().all(|r| r.repeats == 0), "sent twice: {truth:?}");
    }
}

#[tokio::test]
async fn number_101_succeeds_at_once() {
    let mut setup = Setup::of("101").await;
    assert_eq!(setup.recharge().await["status"], "success");
    let data = setup.becomes("success").await;
    assert_eq!(data["decision"], json!({"mode": "auto", "action": "approved"}));
    let listed = setup.listed();
    assert_eq!((&listed["state"], &listed["reference"]), (&json!("delivered"), &json!("S-1")));
    setup.ends_with(START - COST, 1).await;
}

#[tokio::test]
async fn number_102_is_refused_at_once() {
    let mut setup = Setup::of("102").await;
    assert_eq!(setup.recharge().await["status"], "failed");
    setup.becomes("failed").await;
    setup.ends_with(START, 0).await;
}

#[tokio::test]
async fn number_103_is_processed_and_succeeds() {
    let mut setup = Setup::of("103").await;
    assert_eq!(setup.recharge().await["status"], "processing");
    setup.becomes("processing").await;
    setup.becomes("success").await;
    setup.ends_with(START - COST, 1).await;
}

#[tokio::test]
async fn number_104_is_processed_and_fails() {
    let mut setup = Setup::of("104").await;
    assert_eq!(setup.recharge().await["status"], "processing");
    assert_eq!(setup.client.balance().await, START - COST);
    setup.becomes("failed").await;
    setup.ends_with(START, 0).await;
}

#[tokio::test]
async fn number_105_is_approved_by_staff() {
    let mut setup = Setup::of("105").await;
    let billing = setup.recharge().await;
    assert_eq!(billing["status"], "pending");
    let data = setup.becomes("pending").await;
    assert_eq!(data["decision"], json!({"mode": null, "action": null}), "undecided");
    let id = Setup::id(&billing);
    assert_eq!(setup.listed()["id"].to_string(), id);
    assert!(setup.folder.truth().is_empty(), "nothing is sent before staff approve");
    setup.folder.saldo_ok(&["purchase", "approve", &id, "--by", "Rahima"]);
    let data = setup.becomes("success").await;
    assert_eq!(data["decision"], json!({"mode": "admin", "action": "approved"}));
    // A decision is final.
    let again = setup.folder.saldo(&["purchase", "reject", &id, "--by", "Rahima", "--reason", "x"]);
    assert!(!again.status.success());
    setup.ends_with(START - COST, 1).await;
}

#[tokio::test]
async fn number_105_is_rejected_by_staff() {
    let mut setup = Setup::of("105").await;
    let billing = setup.recharge().await;
    assert_eq!(setup.client.balance().await, START - COST);
    let id = Setup::id(&billing);
    let reject = ["purchase", "reject", &id, "--by", "Rahima", "--reason", "a doubtful number"];
    setup.folder.saldo_ok(&reject);
    let data = setup.becomes("rejected").await;
    assert_eq!(data["decision"], json!({"mode": "admin", "action": "rejected"}));
    setup.ends_with(START, 0).await;
}

#[tokio::test]
async fn number_106_was_delivered_though_the_reply_was_lost() {
    let mut setup = Setup::of("106").await;
    assert_eq!(setup.recharge().await["status"], "processing");
    setup.becomes("success").await;
    setup.ends_with(START - COST, 1).await;
}

#[tokio::test]
async fn number_107_never_arrived() {
    let mut setup = Setup::of("107").await;
    assert_eq!(setup.recharge().await["status"], "processing");
    setup.becomes("failed").await;
    setup.ends_with(START, 0).await;
}

#[tokio::test]
async fn number_108_is_reversed() {
    let mut setup = Setup::of("108").await;
    assert_eq!(setup.recharge().await["status"], "success");
    assert_eq!(setup.client.balance().await, START - COST);
    let data = setup.becomes("reversed").await;
    assert_eq!(data["decision"]["action"], "reversed", "{data}");
    setup.ends_with(START, 0).await;
}

#[tokio::test]
async fn number_109_was_delivered_though_the_reply_is_garbage() {
    let mut setup = Setup::of("109").await;
    assert_eq!(setup.recharge().await["status"], "processing");
    setup.becomes("success").await;
    setup.ends_with(START - COST, 1).await;
}

#[tokio::test]
async fn number_110_takes_the_second_route() {
    let mut setup = Setup::of("110").await;
    setup.recharge().await;
    setup.becomes("success").await;
    assert_eq!(setup.listed()["attempts"], 2);
    setup.ends_with(START - COST, 1).await;
}

#[tokio::test]
async fn number_111_is_settled_by_staff_with_evidence() {
    for (flag, status, balance) in
        [("--delivered", "success", START - COST), ("--not-delivered", "failed", START)]
    {
        let mut setup = Setup::of("111").await;
        let billing = setup.recharge().await;
        assert_eq!(billing["status"], "processing");
        let id = Setup::id(&billing);
        let settle = ["purchase", "settle", &id, flag, "--by", "Rahima"];
        let refused = setup.folder.saldo(&settle);
        assert!(!refused.status.success(), "without evidence nothing is settled");
        setup.becomes("processing").await;
        setup
            .folder
            .saldo_ok(&[&settle[..], &["--evidence", "the operator's letter 4711"]].concat());
        let data = setup.becomes(status).await;
        assert_eq!(data["decision"]["mode"], "admin", "{data}");
        setup.ends_with(balance, 1).await;
    }
}

#[tokio::test]
async fn number_112_opens_a_case_and_moves_no_money() {
    let mut setup = Setup::of("112").await;
    let billing = setup.recharge().await;
    assert_eq!(billing["status"], "failed");
    let id = Setup::id(&billing);
    let started = tokio::time::Instant::now();
    let cases = loop {
        let cases = setup.folder.saldo_json(&["purchase", "cases", "--json"]);
        if !cases.is_empty() {
            break cases;
        }
        assert!(started.elapsed() < SOON, "no case opens");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(cases.len(), 1, "{cases:?}");
    assert_eq!((cases[0]["purchase"].to_string(), &cases[0]["why"]), (id, &json!("clash")));
    setup.becomes("failed").await;
    setup.ends_with(START, 1).await;
}

#[tokio::test]
async fn banking_is_decided_by_staff() {
    for delivered in [true, false] {
        let mut setup = Setup::of("678").await;
        let body = json!({
            "operator": "bkash", "number": setup.number, "amount": 500, "type": "cash_in",
            "account_type": "personal", "reference": "S-1",
        });
        let reply = setup.client.post(BANKING, body.to_string()).await;
        assert_eq!(reply.status(), 200, "{reply:?}");
        let billing = reply.json()["billing"].take();
        assert_eq!(
            (&billing["status"], &billing["rechargeType"]),
            (&json!("pending"), &json!("banking"))
        );
        let held = START - minor(&billing["amount"]) - minor(&billing["fee"]);
        assert_eq!(setup.client.balance().await, held);
        let id = Setup::id(&billing);
        let (decision, status, balance) = if delivered {
            (
                vec!["settle", &id, "--delivered", "--by", "Rahima", "--evidence", "TrxID 9"],
                "success",
                held,
            )
        } else {
            (vec!["reject", &id, "--by", "Rahima", "--reason", "no agent near"], "rejected", START)
        };
        setup.folder.saldo_ok(&[vec!["purchase"], decision].concat());
        let data = setup.becomes(status).await;
        assert_eq!(data["decision"]["mode"], "admin", "{data}");
        assert_eq!(data["service"]["type"], "banking");
        setup.ends_with(balance, 0).await;
    }
}

#[tokio::test]
async fn staff_refund_a_delivered_purchase() {
    let mut setup = Setup::of("101").await;
    let id = Setup::id(&setup.recharge().await);
    let refund = ["purchase", "refund", &id, "--by", "Rahima", "--reason", "a wrong number"];
    setup.folder.saldo_ok(&refund);
    let data = setup.becomes("reversed").await;
    assert_eq!(data["decision"], json!({"mode": "admin", "action": "reversed"}));
    setup.ends_with(START, 1).await;
}

#[tokio::test]
async fn an_ordinary_reference_has_the_same_outcome_again() {
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let setup = Setup::of("678").await;
        let mut client = setup.server.sandbox().await;
        let mut statuses = Vec::new();
        for n in 0..60 {
            let body = recharge("01712345678", 10, &format!("LUCK-{n}"));
            let billing = client.post(RECHARGE, body).await.json()["billing"].take();
            statuses.push(billing["status"].as_str().unwrap().to_owned());
        }
        outcomes.push(statuses);
    }
    assert_eq!(outcomes[0], outcomes[1]);
    let succeeded = outcomes[0].iter().filter(|status| *status == "success").count();
    assert!((36..=58).contains(&succeeded), "about 80 of 100 succeed: {succeeded} of 60");
}
