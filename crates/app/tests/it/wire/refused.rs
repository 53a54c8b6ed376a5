//! What is refused although it is well formed: nothing can deliver it, or it was just sold.

use crate::support::{BALANCE, BANKING, Client, Consumer, Folder, RECHARGE, UNLIMITED, recharge};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;

const OFFERS: &str = "/api/billing/recharge/offers?operator=rb&number=01812345101";

fn banking(reference: &str) -> String {
    json!({
        "operator": "bkash", "number": "01712345678", "amount": 500, "type": "cash_in",
        "reference": reference,
    })
    .to_string()
}

/// CONTRACT A-46.
#[tokio::test]
async fn what_nothing_is_set_up_to_deliver_is_refused() {
    let folder = Folder::new();
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let file = folder.path("saldo.toml");
    fs::write(&file, format!("metrics_listen = \"{metrics}\"\n")).unwrap();
    folder.start().stop();
    // Those of recharges, offers, banking and bills; the one of numbers that end in 105 stays.
    folder.sql("DELETE FROM routes WHERE id IN (1, 2, 4, 201, 202)");
    let with_metrics = [&UNLIMITED[..], &["--config", file.to_str().unwrap()]].concat();
    let server = folder.start_with(&with_metrics);
    let mut client = server.sandbox().await;
    let before = client.get(BALANCE).await.json();
    for n in 0..3 {
        let sold = client.post(RECHARGE, recharge("01712345101", 10, "N-1")).await;
        sold.assert_refused(422, "NO_ROUTE");
        assert_eq!(sold.header("retry-after"), None, "{n}");
        client.get(OFFERS).await.assert_refused(422, "NO_ROUTE");
        client.post(BANKING, banking("N-2")).await.assert_refused(422, "NO_ROUTE");
    }
    assert_eq!(client.get(BALANCE).await.json(), before);
    let status = "/api/billing/transactions/status/check?reference=N-1";
    client.get(status).await.assert_refused(404, "TRANSACTION_NOT_FOUND");
    let waits = client.post(RECHARGE, recharge("01712345105", 10, "N-3")).await.json();
    assert_eq!(waits["billing"]["status"], "pending", "{waits}");
    let says = "nothing is set up to deliver";
    let log = server.log_with(says, 3).await;
    assert_eq!(log.matches(says).count(), 3, "once for each: {log}");
    let mut monitor = Client::anonymous(&metrics).await;
    let read = monitor.get("/metrics").await;
    assert!(read.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let text = String::from_utf8(read.0.body.to_vec()).unwrap();
    for line in [
        "saldo_store_up 1",
        "saldo_halted 0",
        r#"saldo_no_route_refusals_total{environment="sandbox",kind="banking",operator="BK"} 3"#,
        r#"saldo_no_route_refusals_total{environment="sandbox",kind="offer",operator="RB"} 3"#,
        r#"saldo_no_route_refusals_total{environment="sandbox",kind="recharge",operator="GP"} 3"#,
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
    // Nowhere else, and nothing else there.
    assert_eq!(client.get("/metrics").await.status(), 404);
    assert_eq!(monitor.get(BALANCE).await.status(), 404);
    server.stop();
    // With a route the same reference is sold.
    folder.sql(
        r#"INSERT INTO routes (id, environment, kind, upstreams, needs_approval)
           VALUES (1, 'sandbox', 'recharge', '["simulator-a"]', 0)"#,
    );
    let server = folder.start();
    let mut client = server.sandbox().await;
    let sold = client.post(RECHARGE, recharge("01712345101", 10, "N-1")).await.json();
    assert_eq!(sold["billing"]["status"], "success", "{sold}");
    server.stop();
    folder.verify();
}

/// CONTRACT A-16: staff decide on mobile banking unless an upstream is routed; A-46: only without
/// any route is it refused.
#[tokio::test]
async fn banking_is_decided_by_staff_unless_it_is_routed() {
    let folder = Folder::new();
    let server = folder.start();
    // Without the demo's own route this is what a new installation has.
    folder.saldo_ok(&["route", "off", "105", "--by", "rahim"]);
    let mut live = server.live().await;
    for client in [&mut live, &mut server.sandbox().await] {
        let waits = client.post(BANKING, banking("K-1")).await.json();
        assert_eq!(waits["billing"]["status"], "pending", "{waits}");
    }
    let set = ["route", "set", "--environment", "live", "--kind", "banking", "--upstreams"];
    folder.saldo_ok(&[&set[..], &["simulator-a", "--by", "rahim"]].concat());
    let other = json!({
        "operator": "nagad", "number": "01712345101", "amount": 500, "type": "cash_in",
        "reference": "K-2",
    });
    let sent = live.post(BANKING, other.to_string()).await.json();
    assert_eq!(sent["billing"]["status"], "success", "{sent}");
    // It took the place of the route that waits.
    let routes = folder.saldo_json(&["route", "list", "--json"]);
    let is_live_banking = |r: &&Value| r["environment"] == "live" && r["kind"] == "banking";
    let banking_routes: Vec<_> = routes.iter().filter(is_live_banking).collect();
    assert_eq!(banking_routes.len(), 1, "{banking_routes:?}");
    let id = banking_routes[0]["id"].to_string();
    folder.saldo_ok(&["route", "off", &id, "--by", "rahim"]);
    live.post(BANKING, banking("K-3")).await.assert_refused(422, "NO_ROUTE");
    server.stop();
    folder.verify();
}

/// The same of the other dialect, in its own form; and what is for staff in a demo's live part.
#[tokio::test]
async fn bills_without_a_route_are_refused_and_live_waits_for_staff_in_a_demo() {
    let folder = Folder::new();
    folder.start().stop();
    folder.sql("DELETE FROM routes WHERE id IN (202, 204)");
    let server = folder.start();
    let mut live = server.live().await;
    for (path, body) in [(RECHARGE, recharge("01712345105", 10, "L-1")), (BANKING, banking("L-2"))]
    {
        let waits = live.post(path, body).await.json();
        assert_eq!(waits["billing"]["status"], "pending", "{path} {waits}");
    }
    let mut customer = Consumer::log_in(&server, "sandbox", "").await.client;
    let pre_auth = "/api/wallet/v1/transactions/bill-payment/pre-auth";
    let bill = |meter: &str| {
        json!({
            "amount": 10, "productId": 21, "requestId": "B-1", "billReference": meter,
            "customerMobile": "0771234567", "additionalData": {},
        })
    };
    let refused = customer.post(pre_auth, bill("41234563101").to_string()).await;
    assert_eq!((refused.status(), &refused.json()["code"]), (422, &json!("NO_ROUTE")));
    // CONTRACT B-05a: what is missing is told from what is wrong.
    let mut missing = bill("41234563101");
    missing.as_object_mut().unwrap().remove("amount");
    let mut empty = bill("41234563101");
    empty["amount"] = json!("");
    for (body, status) in [(missing, 400), (empty, 422)] {
        let refused = customer.post(pre_auth, body.to_string()).await;
        assert_eq!(
            (refused.status(), &refused.json()["code"]),
            (status, &json!("VALIDATION_ERROR"))
        );
        assert!(refused.json()["errors"]["amount"].is_array(), "{refused:?}");
    }
    server.stop();
}

/// CONTRACT A-42, in both environments.
#[tokio::test]
async fn the_same_sale_again_is_marked_or_refused() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let accounts = folder.saldo_json(&["account", "list", "--json"]);
    let merchant = accounts.iter().find(|account| account["role"] == "merchant").unwrap();
    assert_eq!(merchant["duplicates"], "mark");
    let merchant = merchant["id"].to_string();
    for mut client in [server.sandbox().await, server.live().await] {
        let first = client.post(RECHARGE, recharge("01712345101", 10, "D-1")).await.json();
        assert!(first["billing"]["possibleDuplicateOf"].is_null(), "{first}");
        let second = client.post(RECHARGE, recharge("01712345101", 10, "D-2")).await.json();
        assert_eq!(second["billing"]["possibleDuplicateOf"], "D-1", "{second}");
        assert_eq!(second["billing"]["status"], "success", "{second}");
    }
    folder.saldo_ok(&["account", "duplicates", &merchant, "refuse"]);
    for mut client in [server.sandbox().await, server.live().await] {
        let refused = client.post(RECHARGE, recharge("01712345101", 10, "D-3")).await;
        refused.assert_refused(422, "POSSIBLE_DUPLICATE");
        assert_eq!(refused.json()["possibleDuplicateOf"], "D-2", "{refused:?}");
        let mut wanted: Value = serde_json::from_str(&recharge("01712345101", 10, "D-3")).unwrap();
        wanted["allow_duplicate"] = json!(true);
        let sold = client.post(RECHARGE, wanted.to_string()).await.json();
        assert_eq!(sold["billing"]["possibleDuplicateOf"], "D-2", "{sold}");
        wanted["allow_duplicate"] = json!("perhaps");
        let wrong = client.post(RECHARGE, wanted.to_string()).await;
        wrong.assert_refused(422, "VALIDATION_ERROR");
    }
    folder.saldo_ok(&["account", "duplicates", &merchant, "off"]);
    let mut client = server.sandbox().await;
    let sold = client.post(RECHARGE, recharge("01712345101", 10, "D-4")).await.json();
    assert!(sold["billing"]["possibleDuplicateOf"].is_null(), "{sold}");
    assert!(!folder.saldo(&["account", "duplicates", &merchant, "maybe"]).status.success());
    server.stop();
    folder.verify();
}

/// The refusal of an address names the address that was seen.
#[tokio::test]
async fn a_refused_address_is_named() {
    let folder = Folder::new();
    let server = folder.start();
    let open_key = server.credentials.merchant.sandbox.open_key.clone();
    folder.saldo_ok(&["key", "allow", &open_key, "203.0.113.7"]);
    let keys = &server.credentials.merchant.sandbox;
    let mut client = Client::open(&server.address, keys).await;
    let refused = client.get(BALANCE).await;
    refused.assert_refused(403, "IP_NOT_WHITELISTED");
    assert_eq!(refused.json()["message"], "Your IP address is not whitelisted");
    assert_eq!(refused.json()["ip"], "127.0.0.1");
    server.stop();
}

/// CONTRACT B-08: what is charged and cannot be shown is not refused as if nothing were.
#[tokio::test]
async fn a_charge_that_cannot_be_shown_is_not_denied() {
    let folder = Folder::new();
    let server = folder.start();
    let mut consumer = Consumer::log_in(&server, "sandbox", "").await;
    let quote = consumer.quote(1, "10", "0771234101", "U-1").await;
    folder.sql("ALTER TABLE slips RENAME TO slips_away");
    let accept = json!({ "preAuthToken": quote["preAuthToken"], "requestId": "U-1" }).to_string();
    let path = "/api/wallet/v1/transactions/bill-payment/auth";
    let answer = consumer.client.try_send(http::Method::POST, path, accept).await.unwrap();
    assert_eq!((answer.status(), &answer.json()["code"]), (503, &json!("OUTCOME_UNKNOWN")));
    folder.sql("ALTER TABLE slips_away RENAME TO slips");
    let payment = consumer.client.get("/api/wallet/v1/transactions/U-1").await.json();
    assert_eq!(payment["status"], "COMPLETED", "{payment}");
    server.stop();
    folder.verify();
}
