//! The sandbox's numbers (CONTRACT section 3), each to its final state, and the money after each.

use crate::harness::{BANKING, Client, Folder, RECHARGE, Server, UNLIMITED, minor, recharge};
use serde_json::{Value, json};
use std::time::Duration;

const START: i64 = 700_000;
/// Amount and fee of a recharge of 10.
const COST: i64 = 1_050;
const SOON: Duration = Duration::from_secs(30);

/// A server and a client of it, for one number.
struct Scene {
    folder: Folder,
    server: Server,
    client: Client,
    number: String,
}

impl Scene {
    async fn of(ends: &str) -> Scene {
        let folder = Folder::new();
        let server = folder.start_with(&UNLIMITED);
        let client = server.sandbox().await;
        Scene { folder, server, client, number: format!("01712345{ends}") }
    }

    /// Recharges 10; gives the answer's `billing`, whose money is the same whatever comes.
    async fn recharge(&mut self) -> Value {
        let reply = self.client.post(RECHARGE, recharge(&self.number, 10, "S-1")).await;
        assert_eq!(reply.status(), 200, "{reply:?}");
        let mut body = reply.json();
        let billing = body["billing"].take();
        assert_eq!(minor(&billing["remainingBalance"]), START - COST, "{billing}");
        let is_good = ["success", "processing", "pending"].iter().any(|s| billing["status"] == *s);
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

    /// Runs a verb of staff against the running server.
    fn staff(&self, arguments: &[&str]) {
        let output = self.folder.saldo(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", crate::harness::words(&output));
    }

    /// What `saldo purchase list` shows of the only purchase.
    fn listed(&self) -> Value {
        let mut lines = self.folder.saldo_json(&["purchase", "list", "--json"]);
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    }

    /// The wallet, the audit, and how many times the end customer was credited.
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
    let mut scene = Scene::of("101").await;
    assert_eq!(scene.recharge().await["status"], "success");
    let data = scene.becomes("success").await;
    assert_eq!(data["decision"], json!({"mode": "auto", "action": "approved"}));
    let listed = scene.listed();
    assert_eq!((&listed["state"], &listed["reference"]), (&json!("delivered"), &json!("S-1")));
    scene.ends_with(START - COST, 1).await;
}

#[tokio::test]
async fn number_102_is_refused_at_once() {
    let mut scene = Scene::of("102").await;
    assert_eq!(scene.recharge().await["status"], "failed");
    scene.becomes("failed").await;
    scene.ends_with(START, 0).await;
}

#[tokio::test]
async fn number_103_is_processed_and_succeeds() {
    let mut scene = Scene::of("103").await;
    assert_eq!(scene.recharge().await["status"], "processing");
    scene.becomes("processing").await;
    scene.becomes("success").await;
    scene.ends_with(START - COST, 1).await;
}

#[tokio::test]
async fn number_104_is_processed_and_fails() {
    let mut scene = Scene::of("104").await;
    assert_eq!(scene.recharge().await["status"], "processing");
    assert_eq!(scene.client.balance().await, START - COST);
    scene.becomes("failed").await;
    scene.ends_with(START, 0).await;
}

#[tokio::test]
async fn number_105_is_approved_by_staff() {
    let mut scene = Scene::of("105").await;
    let billing = scene.recharge().await;
    assert_eq!(billing["status"], "pending");
    let data = scene.becomes("pending").await;
    assert_eq!(data["decision"], json!({"mode": null, "action": null}), "undecided");
    let id = Scene::id(&billing);
    assert_eq!(scene.listed()["id"].to_string(), id);
    assert!(scene.folder.truth().is_empty(), "nothing is sent before staff say so");
    scene.staff(&["purchase", "approve", &id, "--by", "Rahima"]);
    let data = scene.becomes("success").await;
    assert_eq!(data["decision"], json!({"mode": "admin", "action": "approved"}));
    // What is decided stays decided.
    let again = scene.folder.saldo(&["purchase", "reject", &id, "--by", "Rahima", "--reason", "x"]);
    assert!(!again.status.success());
    scene.ends_with(START - COST, 1).await;
}

#[tokio::test]
async fn number_105_is_rejected_by_staff() {
    let mut scene = Scene::of("105").await;
    let billing = scene.recharge().await;
    assert_eq!(scene.client.balance().await, START - COST);
    let id = Scene::id(&billing);
    scene.staff(&["purchase", "reject", &id, "--by", "Rahima", "--reason", "a doubtful number"]);
    let data = scene.becomes("rejected").await;
    assert_eq!(data["decision"], json!({"mode": "admin", "action": "rejected"}));
    scene.ends_with(START, 0).await;
}

#[tokio::test]
async fn number_106_was_delivered_though_the_reply_was_lost() {
    let mut scene = Scene::of("106").await;
    assert_eq!(scene.recharge().await["status"], "processing");
    scene.becomes("success").await;
    scene.ends_with(START - COST, 1).await;
}

#[tokio::test]
async fn number_107_never_arrived() {
    let mut scene = Scene::of("107").await;
    assert_eq!(scene.recharge().await["status"], "processing");
    scene.becomes("failed").await;
    scene.ends_with(START, 0).await;
}

#[tokio::test]
async fn number_108_is_taken_back() {
    let mut scene = Scene::of("108").await;
    assert_eq!(scene.recharge().await["status"], "success");
    assert_eq!(scene.client.balance().await, START - COST);
    let data = scene.becomes("reversed").await;
    assert_eq!(data["decision"]["action"], "reversed", "{data}");
    scene.ends_with(START, 0).await;
}

#[tokio::test]
async fn number_109_was_delivered_though_the_reply_is_garbage() {
    let mut scene = Scene::of("109").await;
    assert_eq!(scene.recharge().await["status"], "processing");
    scene.becomes("success").await;
    scene.ends_with(START - COST, 1).await;
}

#[tokio::test]
async fn number_110_takes_the_second_route() {
    let mut scene = Scene::of("110").await;
    scene.recharge().await;
    scene.becomes("success").await;
    assert_eq!(scene.listed()["attempts"], 2);
    scene.ends_with(START - COST, 1).await;
}

#[tokio::test]
async fn number_111_is_settled_by_staff_with_evidence() {
    for (word, status, balance) in
        [("--delivered", "success", START - COST), ("--not-delivered", "failed", START)]
    {
        let mut scene = Scene::of("111").await;
        let billing = scene.recharge().await;
        assert_eq!(billing["status"], "processing");
        let id = Scene::id(&billing);
        let settle = ["purchase", "settle", &id, word, "--by", "Rahima"];
        let bare = scene.folder.saldo(&settle);
        assert!(!bare.status.success(), "without evidence nothing is settled");
        scene.becomes("processing").await;
        scene.staff(&[&settle[..], &["--evidence", "the operator's letter 4711"]].concat());
        let data = scene.becomes(status).await;
        assert_eq!(data["decision"]["mode"], "admin", "{data}");
        scene.ends_with(balance, 1).await;
    }
}

#[tokio::test]
async fn number_112_opens_a_case_and_moves_no_money() {
    let mut scene = Scene::of("112").await;
    let billing = scene.recharge().await;
    assert_eq!(billing["status"], "failed");
    let id = Scene::id(&billing);
    let started = tokio::time::Instant::now();
    let cases = loop {
        let cases = scene.folder.saldo_json(&["purchase", "cases", "--json"]);
        if !cases.is_empty() {
            break cases;
        }
        assert!(started.elapsed() < SOON, "no case opens");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(cases.len(), 1, "{cases:?}");
    assert_eq!((cases[0]["purchase"].to_string(), &cases[0]["why"]), (id, &json!("clash")));
    scene.becomes("failed").await;
    scene.ends_with(START, 1).await;
}

#[tokio::test]
async fn banking_is_decided_by_staff() {
    for delivered in [true, false] {
        let mut scene = Scene::of("678").await;
        let body = json!({
            "operator": "bkash", "number": scene.number, "amount": 500, "type": "cash_in",
            "account_type": "personal", "reference": "S-1",
        });
        let reply = scene.client.post(BANKING, body.to_string()).await;
        assert_eq!(reply.status(), 200, "{reply:?}");
        let billing = reply.json()["billing"].take();
        assert_eq!(
            (&billing["status"], &billing["rechargeType"]),
            (&json!("pending"), &json!("banking"))
        );
        let held = START - minor(&billing["amount"]) - minor(&billing["fee"]);
        assert_eq!(scene.client.balance().await, held);
        let id = Scene::id(&billing);
        let (verdict, status, balance) = if delivered {
            (
                vec!["settle", &id, "--delivered", "--by", "Rahima", "--evidence", "TrxID 9"],
                "success",
                held,
            )
        } else {
            (vec!["reject", &id, "--by", "Rahima", "--reason", "no agent near"], "rejected", START)
        };
        scene.staff(&[vec!["purchase"], verdict].concat());
        let data = scene.becomes(status).await;
        assert_eq!(data["decision"]["mode"], "admin", "{data}");
        assert_eq!(data["service"]["type"], "banking");
        scene.ends_with(balance, 0).await;
    }
}

#[tokio::test]
async fn staff_take_a_delivered_purchase_back() {
    let mut scene = Scene::of("101").await;
    let id = Scene::id(&scene.recharge().await);
    scene.staff(&["purchase", "refund", &id, "--by", "Rahima", "--reason", "a wrong number"]);
    let data = scene.becomes("reversed").await;
    assert_eq!(data["decision"], json!({"mode": "admin", "action": "reversed"}));
    scene.ends_with(START, 1).await;
}

#[tokio::test]
async fn an_ordinary_reference_has_the_same_luck_again() {
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let scene = Scene::of("678").await;
        let mut client = scene.server.sandbox().await;
        let mut seen = Vec::new();
        for n in 0..60 {
            let body = recharge("01712345678", 10, &format!("LUCK-{n}"));
            let billing = client.post(RECHARGE, body).await.json()["billing"].take();
            seen.push(billing["status"].as_str().unwrap().to_owned());
        }
        outcomes.push(seen);
    }
    assert_eq!(outcomes[0], outcomes[1]);
    let succeeded = outcomes[0].iter().filter(|status| *status == "success").count();
    assert!((36..=58).contains(&succeeded), "about 80 of 100 succeed: {succeeded} of 60");
}
