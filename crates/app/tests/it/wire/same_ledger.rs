//! One engine: the same purchase through both dialects leaves the same ledger.

use crate::support::{Client, Consumer, Folder, Keys, RECHARGE, Server};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// Journals of a purchase as stored, in order: reason, then each entry as debit, credit, amount.
fn journals(folder: &Folder, reference: &str) -> Vec<String> {
    let joined = folder.by_database("group_concat", "string_agg");
    folder.sql(&format!(
        "SELECT j.reason || ': ' || {joined}(
             CASE WHEN d.account_id = 1 THEN 'house' ELSE 'owner' END ||
             ' ' || d.purpose || ' ' || d.upstream || ' > ' ||
             CASE WHEN c.account_id = 1 THEN 'house' ELSE 'owner' END ||
             ' ' || c.purpose || ' ' || c.upstream || ' ' ||
             e.amount || ' ' || d.currency || ' ' || d.environment, '; ' ORDER BY e.line)
         FROM purchases p JOIN journals j ON j.purchase_id = p.id
         JOIN entries e ON e.journal_seq = j.seq
         JOIN ledger_accounts d ON d.id = e.debit_id JOIN ledger_accounts c ON c.id = e.credit_id
         WHERE p.reference = '{reference}' GROUP BY j.seq, j.reason ORDER BY j.seq"
    ))
}

fn state(folder: &Folder, reference: &str) -> String {
    folder.sql(&format!("SELECT state FROM purchases WHERE reference = '{reference}'")).remove(0)
}

/// A merchant with a wallet in USD.
async fn reseller(folder: &Folder, server: &Server) -> Client {
    folder.saldo_ok(&["account", "open", "--name", "Harare Airtime", "--currency", "USD"]);
    let accounts = folder.saldo_json(&["account", "list", "--json"]);
    let account =
        accounts.iter().find(|a| a["name"] == "Harare Airtime").unwrap()["id"].to_string();
    let wallet = ["--account", &account, "--environment", "sandbox"];
    let paid = ["--amount", "1000.00", "--currency", "USD", "--reference", "in", "--by", "Rahima"];
    folder.saldo_ok(&[&["wallet", "deposit"], &wallet[..], &paid[..]].concat());
    let made = folder.saldo_json(&[&["key", "make"], &wallet[..]].concat()).remove(0);
    let keys: Keys = serde_json::from_value(made).unwrap();
    Client::open(&server.address, &keys).await
}

#[tokio::test]
async fn the_same_purchase_through_both_dialects_leaves_the_same_ledger() {
    let folder = Folder::new();
    let server = folder.start();
    let mut reseller = reseller(&folder, &server).await;
    let mut consumer = Consumer::log_in(&server, "sandbox", "").await;
    let mut purchases = Vec::new();
    for ends in ["101", "102", "103", "104", "106", "108", "109", "110", "112"] {
        let number = format!("0771234{ends}");
        let [theirs, ours] = ["MERCHANT", "CONSUMER"].map(|who| format!("{who}-{ends}"));
        let body =
            json!({"operator": "econet", "number": number, "amount": 10, "reference": theirs});
        let reply = reseller.post(RECHARGE, body.to_string()).await;
        assert_eq!(reply.status(), 200, "{}", reply.json());
        let answer = consumer.buy(1, "10", &number, &ours).await;
        assert!(answer["status"].is_string(), "{answer}");
        purchases.push((ends, theirs, ours));
    }
    // Late status updates and queries take some seconds.
    let start = Instant::now();
    let is_over = |reference: &String| {
        let state = state(&folder, reference);
        let is_reversed_later = reference.ends_with("108") && state == "delivered";
        ["delivered", "failed", "refunded"].contains(&state.as_str()) && !is_reversed_later
    };
    while !purchases.iter().all(|(_, theirs, ours)| is_over(theirs) && is_over(ours)) {
        assert!(start.elapsed() < Duration::from_secs(60), "not over after a minute");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (ends, theirs, ours) in &purchases {
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
