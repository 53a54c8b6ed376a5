//! The lists that we add to the irecharge document (CONTRACT A-43): filters, pages, and nothing of
//! anybody else.

use crate::support::{Client, Folder, RECHARGE, UNLIMITED, minor, recharge};
use serde_json::{Value, json};
use std::time::Duration;

const LISTS: [&str; 4] = ["transactions", "wallet/statement", "commission", "prices"];

async fn get(client: &mut Client, path: &str) -> Value {
    let reply = client.get(&format!("/api/billing/{path}")).await;
    assert_eq!(reply.status(), 200, "{path}: {reply:?}");
    reply.json()
}

/// The references of all pages.
async fn references(client: &mut Client, query: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let body = get(client, &format!("transactions?limit=2&after={after}&{query}")).await;
        assert_eq!(body["success"], true);
        let rows = body["data"].as_array().unwrap();
        assert!(rows.len() <= 2, "{body}");
        all.extend(rows.iter().map(|row| row["reference"].as_str().unwrap().to_owned()));
        match &body["next"] {
            Value::Null => return all,
            next @ (Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_)) => after = next.to_string(),
        }
    }
}

#[tokio::test]
async fn transactions_are_found_by_each_filter() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut client = server.sandbox().await;
    for (number, reference) in [
        ("01712345101", "L-1"),
        ("01712345102", "L-2"),
        ("01712345105", "L-3"),
        ("01712345101", "L-4"),
        ("01812345101", "L-5"),
    ] {
        let body = match reference {
            "L-5" => recharge(number, 20, reference).replace("\"gp\"", "\"rb\""),
            _ => recharge(number, 20, reference),
        };
        assert_eq!(client.post(RECHARGE, body).await.status(), 200);
    }
    for (query, expected) in [
        ("", &["L-5", "L-4", "L-3", "L-2", "L-1"][..]),
        ("status=success", &["L-5", "L-4", "L-1"]),
        ("status=approved", &["L-5", "L-4", "L-1"]),
        ("status=FAILED", &["L-2"]),
        ("status=pending", &["L-3"]),
        ("status=reversed", &[]),
        ("operator=robi", &["L-5"]),
        ("operator_code=GP&status=success", &["L-4", "L-1"]),
        ("number=%2B880%201712-345101", &["L-4", "L-1"]),
        ("reference=L-3", &["L-3"]),
        ("reference=L-3&status=success", &[]),
        ("from=2020-01-01&to=2020-02-01T00:00:00Z", &[]),
        ("from=2020-01-01&to=2999-01-01", &["L-5", "L-4", "L-3", "L-2", "L-1"]),
    ] {
        assert_eq!(references(&mut client, query).await, expected, "{query}");
    }
    // A row is the status check's `data`.
    let listed = get(&mut client, "transactions?reference=L-1").await["data"][0].take();
    assert_eq!(listed, client.status("L-1").await);
    let wrong = client.get("/api/billing/transactions?status=done&from=x&limit=101").await;
    wrong.assert_refused(422, "VALIDATION_ERROR");
    let errors = wrong.json()["errors"].take();
    assert_eq!(errors.as_object().unwrap().len(), 3, "{errors}");
    // The other environment of the same account has none of them.
    let live = &folder.credentials().merchant.live;
    let mut live = Client::open(&server.address, live).await;
    assert_eq!(get(&mut live, "transactions").await["data"], json!([]));
    assert_eq!(get(&mut live, "transactions?reference=L-1").await["data"], json!([]));
}

#[tokio::test]
async fn statement_and_commission_tell_what_moved_and_what_is_left() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut client = server.sandbox().await;
    for (number, reference) in [("01712345101", "M-1"), ("01712345102", "M-2")] {
        client.post(RECHARGE, recharge(number, 10, reference)).await;
    }
    client.becomes("M-2", "failed", Duration::from_secs(10)).await;
    let statement = get(&mut client, "wallet/statement").await;
    let lines = statement["data"].as_array().unwrap();
    let shown: Vec<_> = lines
        .iter()
        .map(|line| {
            (line["type"].as_str().unwrap(), minor(&line["change"]), minor(&line["balance"]))
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("release", 1_050, 698_950),
            ("hold", -1_050, 697_900),
            ("hold", -1_050, 698_950),
            ("deposit", 700_000, 700_000),
        ]
    );
    assert_eq!((&statement["balance"], &statement["currency"]), (&json!("6989.50"), &json!("BDT")));
    // The second page goes on where the first ended, with the same balances.
    let first = get(&mut client, "wallet/statement?limit=3").await;
    let second = get(&mut client, &format!("wallet/statement?after={}", first["next"])).await;
    assert_eq!(
        (second["data"].as_array().unwrap(), &second["next"]),
        (&lines[3..].to_vec(), &json!(null))
    );
    let commission = get(&mut client, "commission").await;
    assert_eq!(commission["balance"], "1.50");
    let earned = &commission["data"][0];
    let shown = (earned["type"].as_str(), minor(&earned["change"]), minor(&earned["balance"]));
    assert_eq!(shown, (Some("settle"), 150, 150));
    let other = client.get("/api/billing/commission?currency=USD").await;
    other.assert_refused(422, "NO_WALLET");
}

#[tokio::test]
async fn prices_are_those_of_the_next_purchase() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut client = server.sandbox().await;
    let prices = get(&mut client, "prices").await;
    let rows = prices["data"].as_array().unwrap();
    let row = rows.iter().find(|row| row["operator"] == "GP" && row["type"] == "normal").unwrap();
    let bought = client.post(RECHARGE, recharge("01712345101", 10, "P-1")).await.json();
    assert_eq!(row["fee"]["flat"], bought["billing"]["fee"]);
    assert_eq!(row["commission"]["flat"], bought["billing"]["commission"]);
    assert!(rows.iter().all(|row| row["fee"].is_null() || row["fee"]["currency"] == "BDT"));
    assert!(rows.iter().any(|row| row["type"] == "offer"), "{prices}");
}

#[tokio::test]
async fn lists_need_keys() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut anybody = Client::anonymous(&server.address).await;
    for path in LISTS {
        let reply = anybody.get(&format!("/api/billing/{path}")).await;
        reply.assert_refused(401, "MISSING_API_KEYS");
    }
}
