//! What happens to an account reaches its endpoints: signed, in the same envelope as events of
//! purchases.

use super::webhook_receiver::{Answer, ReceivedWebhook, Receiver};
use crate::support::{Folder, RECHARGE, UNLIMITED, recharge};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_and_a_low_balance_reach_the_endpoints_of_the_account() {
    let folder = Folder::new();
    let server = folder.start_with(&[&["--webhooks-to-loopback"], &UNLIMITED[..]].concat());
    let receiver = Receiver::answering(|_: &str, _: &str| Answer::Status(200)).await;
    let account = "2".to_owned();
    let of_account = ["--account", &account, "--environment", "sandbox"];
    let events = ["--event", "account.low_balance", "--event", "deposit.paid"];
    let url = receiver.url("/account");
    let add = [&["webhook", "add", "--url", &url][..], &events, &of_account].concat();
    let added: Value = serde_json::from_slice(&folder.saldo_ok(&add).stdout).unwrap();
    let secret = added["webhook_secret"].as_str().unwrap();

    let deposit = ["--amount", "20", "--rail", "bkash", "--reference", "dkt5a1", "--by", "Mina"];
    folder.saldo_ok(&[&["wallet", "deposit"][..], &of_account, &deposit].concat());
    let paid = receiver.receives(1).await.remove(0);
    assert!(paid.is_signed_by(secret));
    let body = |webhook: &ReceivedWebhook| {
        let mut body = webhook.json();
        assert!(body["timestamp"].as_str().unwrap().ends_with('Z'));
        body.as_object_mut().unwrap().remove("timestamp");
        body
    };
    let user_id = 2;
    assert_eq!(
        body(&paid),
        json!({
            "event": "deposit.paid", "api_key_id": null, "user_id": user_id,
            "deposit": {
                "currency": "BDT", "amount": 20, "rail": "bkash", "reference": "DKT5A1",
            },
        })
    );
    // 7020 are there: a purchase for 10.50 leaves less than 7015.
    folder.saldo_ok(&[&["wallet", "alert"][..], &of_account, &["--below", "7015"]].concat());
    let shown = folder.saldo_json(&["wallet", "show", "--account", &account, "--json"]);
    let sandbox = shown.iter().find(|wallet| wallet["environment"] == "sandbox").unwrap();
    assert_eq!(sandbox["alert_below"], "7015.00");
    let mut client = server.sandbox().await;
    for n in 1..=2 {
        let sold = client.post(RECHARGE, recharge("01712345101", 10, &format!("LOW-{n}"))).await;
        assert_eq!(sold.status(), 200, "{sold:?}");
    }
    let low = receiver.receives(2).await.remove(1);
    assert!(low.is_signed_by(secret));
    let wallet = &body(&low)["wallet"];
    assert_eq!((&wallet["below"], &wallet["currency"]), (&json!(7015), &json!("BDT")), "{wallet}");
    // Both purchases may be over before it is looked at.
    assert!([json!(7009.5), json!(6999)].contains(&wallet["available"]), "{wallet}");
    // The next deposit is reported, and the low balance is not again.
    let deposit = ["--amount", "1", "--reference", "D2", "--by", "Mina"];
    folder.saldo_ok(&[&["wallet", "deposit"][..], &of_account, &deposit].concat());
    let third = receiver.receives(3).await.remove(2);
    assert_eq!(third.json()["event"], "deposit.paid");
    folder.saldo_ok(&[&["wallet", "alert"][..], &of_account, &["--never"]].concat());
    server.stop();
    folder.verify();
}
