//! Plans are priced and bought by verbs: once for a reference, and not without a price.

use crate::support::{Folder, assert_exit, recharge};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn months_of_a_plan_are_bought_by_staff() {
    let folder = Folder::new();
    let server = folder.start();
    let terms = |folder: &Folder| folder.saldo_json(&["plan", "terms", "--json"]);
    assert_eq!(
        terms(&folder),
        [
            json!({"plan": "starter", "per_minute": 60, "prices": {}}),
            json!({"plan": "business", "per_minute": 120, "prices": {}}),
            json!({"plan": "enterprise", "per_minute": 600, "prices": {}}),
        ]
    );
    let buy = |plan: &str, months: &str, reference: &str, more: &[&str]| {
        let all = ["plan", "buy", "2", "--plan", plan, "--months", months, "--by", "Mina"];
        folder.saldo(&[&all, &["--reference", reference][..], more].concat())
    };
    assert_exit(&buy("business", "2", "INV-1", &[]), 1, "no price in BDT");
    let define = |arguments: &[&str]| {
        folder.saldo(&[&["plan", "define"], arguments, &["--by", "Mina"]].concat())
    };
    assert_exit(&define(&["business"]), 1, "Give a price or calls");
    assert_exit(&define(&["gold", "--price", "1"]), 1, "starter, business or enterprise");
    assert_exit(&define(&["business", "--price", "1500"]), 0, "");
    assert_exit(&define(&["starter", "--price", "500", "--per-minute", "90"]), 0, "");
    assert_eq!(terms(&folder)[1]["prices"], json!({"BDT": "1500.00"}));

    folder.saldo_ok(&["plan", "off", "2", "--by", "Mina"]);
    assert_exit(&buy("business", "5", "INV-1", &[]), 1, "holds only");
    assert_exit(&buy("business", "2", "INV-1", &[]), 0, "Paid 3000.00 BDT");
    let plan = |folder: &Folder| folder.saldo_json(&["plan", "show", "2", "--json"]).remove(0);
    let bought = plan(&folder);
    assert_eq!((&bought["plan"], &bought["per_minute"]), (&json!("business"), &json!(120)));
    assert_exit(&buy("business", "2", "inv-1", &[]), 1, "nothing was booked again");
    assert_eq!(plan(&folder), bought);
    assert_exit(&buy("starter", "1", "INV-2", &[]), 1, "say that it may");
    assert_exit(&buy("starter", "1", "INV-2", &["--end-other"]), 0, "Paid 500.00 BDT");
    assert_eq!(plan(&folder)["per_minute"], 90);
    // It counts for the next call, in the sandbox too.
    let mut client = server.sandbox().await;
    let path = "/api/billing/service-requests/recharge/normal";
    let sold = client.post(path, recharge("01712345101", 10, "p-1")).await;
    assert_eq!((sold.status(), sold.header("x-ratelimit-limit")), (200, Some("90")));
    assert_eq!(
        folder
            .saldo_ok(&["plan", "define", "starter", "--per-minute", "70", "--by", "M"])
            .status
            .code(),
        Some(0)
    );
    let sold = client.post(path, recharge("01712345101", 11, "p-2")).await;
    assert_eq!(sold.header("x-ratelimit-limit"), Some("70"));

    let renewal =
        |more: &[&str]| folder.saldo(&[&["plan", "renewal", "2", "--by", "Mina"], more].concat());
    assert_exit(&renewal(&[]), 2, "--on");
    assert_exit(&renewal(&["--on", "--currency", "USD"]), 1, "no such wallet");
    assert_exit(&renewal(&["--on"]), 0, "is renewed from the live wallet");
    assert_eq!(plan(&folder)["renewed_from"], "BDT");
    assert_exit(&renewal(&["--off"]), 0, "not renewed");
    assert!(plan(&folder)["renewed_from"].is_null());
    let wallets = folder.saldo_json(&["wallet", "show", "--account", "2", "--json"]);
    let live = wallets.iter().find(|wallet| wallet["environment"] == "live").unwrap();
    assert_eq!(live["available"], "3500.00");
    let payments = folder.saldo_json(&["wallet", "payments", "--account", "2", "--json"]);
    let of_plans: Vec<_> =
        payments.iter().filter(|p| p["rail"] == "plan").map(|p| &p["reference"]).collect();
    assert_eq!(of_plans, ["2-INV-2", "2-INV-1"]);
    let mut live = server.live().await;
    let statement = live.get("/api/billing/wallet/statement").await.json();
    assert_eq!(statement["data"][0]["type"], "plan", "{statement}");
    let acts = folder.saldo_json(&["acts", "--object", "plan business", "--json"]);
    assert_eq!(acts[0]["by"], "machine: Mina", "{acts:?}");
    server.stop();
    folder.saldo_ok(&["verify"]);
}
