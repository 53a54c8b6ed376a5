//! One engine: the same purchase through both faces leaves the same ledger.

use crate::consumer::Consumer;
use crate::harness::{Client, Folder, Keys, RECHARGE, Server};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// Journals of a purchase as stored: reason, then each entry as debit, credit, amount, in order.
fn journals(folder: &Folder, reference: &str) -> Vec<String> {
    let joined = folder.called("group_concat", "string_agg");
    folder.sql(&format!(
        "SELECT j.reason || ': ' || {joined}(
             CASE WHEN d.account_id = 1 THEN 'house' ELSE 'owner' END || ' ' || d.purpose || ' ' || d.upstream || ' > ' ||
             CASE WHEN c.account_id = 1 THEN 'house' ELSE 'owner' END || ' ' || c.purpose || ' ' || c.upstream || ' ' ||
             e.amount || ' ' || d.currency || ' ' || d.environment, '; ' ORDER BY e.line)
         FROM purchases p JOIN journals j ON j.purchase_id = p.id JOIN entries e ON e.journal_seq = j.seq
         JOIN ledger_accounts d ON d.id = e.debit_id JOIN ledger_accounts c ON c.id = e.credit_id
         WHERE p.reference = '{reference}' GROUP BY j.seq, j.reason ORDER BY j.seq"
    ))
}

fn state(folder: &Folder, reference: &str) -> String {
    folder.sql(&format!("SELECT state FROM purchases WHERE reference = '{reference}'")).remove(0)
}

/// A merchant who is paid in dollars.
async fn reseller(folder: &Folder, server: &Server) -> Client {
    let open = ["account", "open", "--name", "Harare Airtime", "--currency", "USD"];
    let opened = folder.saldo(&open);
    assert!(opened.status.success(), "{opened:?}");
    let accounts = folder.saldo_json(&["account", "list", "--json"]);
    let account =
        accounts.iter().find(|a| a["name"] == "Harare Airtime").unwrap()["id"].to_string();
    let place = ["--account", &account, "--environment", "sandbox"];
    let paid = ["--amount", "1000.00", "--currency", "USD", "--reference", "in", "--by", "Rahima"];
    let deposit = folder.saldo(&[&["wallet", "deposit"], &place[..], &paid[..]].concat());
    assert!(deposit.status.success(), "{deposit:?}");
    let made = folder.saldo_json(&[&["key", "make"], &place[..]].concat()).remove(0);
    let word = |name: &str| made[name].as_str().unwrap().to_owned();
    let (open_key, secret_key) = (word("open_key"), word("secret_key"));
    let keys = Keys { open_key, secret_key, webhook_secret: None };
    Client::open(&server.address, &keys).await
}

#[tokio::test]
async fn the_same_purchase_through_both_faces_leaves_the_same_ledger() {
    let folder = Folder::new();
    let server = folder.start();
    let mut reseller = reseller(&folder, &server).await;
    let mut consumer = Consumer::log_in(&server, "sandbox", "").await;
    let mut told = Vec::new();
    for ends in ["101", "102", "103", "104", "106", "108", "109", "110", "112"] {
        let number = format!("0771234{ends}");
        let [theirs, ours] = ["MERCHANT", "CONSUMER"].map(|who| format!("{who}-{ends}"));
        let ask =
            json!({"operator": "econet", "number": number, "amount": 10, "reference": theirs});
        let reply = reseller.post(RECHARGE, ask.to_string()).await;
        assert_eq!(reply.status(), 200, "{}", reply.json());
        let answer = consumer.buy(1, "10", &number, &ours).await;
        assert!(answer["status"].is_string(), "{answer}");
        told.push((ends, theirs, ours));
    }
    // Late words and enquiries come within some seconds.
    let start = Instant::now();
    let is_over = |reference: &String| {
        let state = state(&folder, reference);
        let turns = reference.ends_with("108") && state == "delivered";
        ["delivered", "failed", "refunded"].contains(&state.as_str()) && !turns
    };
    while !told.iter().all(|(_, theirs, ours)| is_over(theirs) && is_over(ours)) {
        assert!(start.elapsed() < Duration::from_secs(60), "not over after a minute");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (ends, theirs, ours) in &told {
        let (merchants, consumers) = (journals(&folder, theirs), journals(&folder, ours));
        assert_eq!(merchants, consumers, "{ends}");
        assert!(merchants.len() >= 2, "{ends}: {merchants:?}");
        assert_eq!(state(&folder, theirs), state(&folder, ours), "{ends}");
    }
    assert_eq!(
        journals(&folder, "CONSUMER-101"),
        [
            "hold: owner available  > owner held  1000 USD sandbox",
            "settle: owner held  > house float simulator-a 1000 USD sandbox",
        ]
    );
    server.stop();
    folder.verify();
}
