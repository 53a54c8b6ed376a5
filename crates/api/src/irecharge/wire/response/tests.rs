//! What answers look like: every state, every kind, to the byte.

use super::super::super::fixture::{bdt, catalog, purchase};
use super::*;
use crate::wire::json::json;
use expect_test::{Expect, expect};
use serde::Serialize;
use serde_json::Value;

fn pretty(body: &impl Serialize) -> String {
    // Twice through text: amounts must come out as they were written.
    let text = json(body).unwrap();
    let mut out = String::new();
    let mut depth = 0_usize;
    let mut in_string = false;
    for c in text.chars() {
        in_string ^= c == '"';
        match c {
            '{' | '[' if !in_string => depth += 1,
            '}' | ']' if !in_string => depth -= 1,
            _ => {}
        }
        out.push(c);
        if !in_string && c == ',' && depth <= 2 {
            out.push('\n');
        }
    }
    out
}

fn offer_purchase(state: State, details: &[(&str, &str)]) -> Purchase {
    let mut purchase = purchase(state);
    purchase.kind = Kind::Offer;
    purchase.operator = "AT".into();
    purchase.recipient = "01614031175".into();
    purchase.amount = bdt(6_800);
    purchase.fee = bdt(34);
    purchase.commission = bdt(102);
    purchase.available_after = bdt(17_441);
    purchase.details = fixtures::details(details);
    purchase
}

fn check(purchase: &Purchase, expected: Expect) {
    expected.assert_eq(&pretty(&PurchaseAnswer::of(purchase)));
}

#[test]
fn the_seeds_recharge() {
    check(
        &purchase(State::Delivered),
        expect![[r#"
        {"success":true,
        "message":"Recharge processed successfully",
        "billing":{"reference":"BILL-026401",
        "status":"success",
        "rechargeType":"normal",
        "number":"01712345678",
        "amount":10,
        "fee":0.5,
        "commission":1.5,
        "remainingBalance":6989.5,
        "transactionId":21}}"#]],
    );
}

#[test]
fn the_seeds_offer() {
    let mut delivered = offer_purchase(State::Delivered, &[("ticketId", "T")]);
    delivered.text = Some("Recharge 68 Tk to 1614031175 is successful.".into());
    check(
        &delivered,
        expect![[r#"
        {"success":true,
        "message":"Recharge 68 Tk to 1614031175 is successful.",
        "provider":{"success":true,
        "message":"Recharge 68 Tk to 1614031175 is successful.",
        "usimActiveStatus":{"active":false,"isReplaceable":false,"usimEligibility":false},
        "isSuccessful":true,
        "isResult":true},
        "billing":{"reference":"BILL-026401",
        "status":"success",
        "rechargeType":"offer",
        "number":"01614031175",
        "amount":68,
        "fee":0.34,
        "commission":1.02,
        "remainingBalance":174.41,
        "transactionId":21,
        "offerId":"__EL_RECHARGE_OFFER__"}}"#]],
    );
    check(
        &offer_purchase(State::InDoubt, &[("ticketId", "T")]),
        expect![[r#"
            {"success":true,
            "message":"Offer purchase was sent, but is not yet confirmed by the operator; amount and fee are held. Check its status later and do not send it again",
            "provider":{"success":false,
            "message":"Offer purchase was sent, but is not yet confirmed by the operator; amount and fee are held. Check its status later and do not send it again",
            "usimActiveStatus":{"active":false,"isReplaceable":false,"usimEligibility":false},
            "isSuccessful":false,
            "isResult":false},
            "billing":{"reference":"BILL-026401",
            "status":"processing",
            "rechargeType":"offer",
            "number":"01614031175",
            "amount":68,
            "fee":0.34,
            "commission":1.02,
            "remainingBalance":174.41,
            "transactionId":21,
            "offerId":"__EL_RECHARGE_OFFER__"}}"#]],
    );
    check(
        &offer_purchase(State::Failed, &[("offerId", "OFF"), ("tranId", "4")]),
        expect![[r#"
        {"success":false,
        "message":"Offer purchase failed; nothing was delivered, and amount and fee are back in the wallet",
        "billing":{"reference":"BILL-026401",
        "status":"failed",
        "rechargeType":"offer",
        "number":"01614031175",
        "amount":68,
        "fee":0.34,
        "commission":1.02,
        "remainingBalance":174.41,
        "transactionId":21,
        "offerId":"OFF"}}"#]],
    );
}

#[test]
fn every_state_in_the_documents_words() {
    let mut all = String::new();
    for state in State::ALL {
        let purchase = purchase(state);
        let answer: Value =
            serde_json::from_str(&json(&PurchaseAnswer::of(&purchase)).unwrap()).unwrap();
        let catalog = catalog();
        let told = StatusAnswer::of(&purchase, &catalog);
        let told: Value = serde_json::from_str(&json(&told).unwrap()).unwrap();
        let data = &told["data"];
        all += &format!(
            "{state:?}: {} success={} final={} detail={} decision={} approved={}\n    {}\n",
            answer["billing"]["status"],
            answer["success"],
            data["isFinal"],
            data["detail"],
            data["decision"],
            data["approvedAt"],
            answer["message"],
        );
        assert_eq!(answer["billing"]["status"], data["status"]);
        assert_eq!(data["service"]["status"], data["status"]);
        assert_ne!(data["status"], "approved");
    }
    expect![[r#"
        Quoted: "pending" success=true final=false detail=null decision={"action":null,"mode":null} approved=null
            "Recharge is accepted and waits to be sent; amount and fee are held. Check its status later"
        Awaiting: "pending" success=true final=false detail=null decision={"action":null,"mode":null} approved=null
            "Recharge is accepted and waits for a decision; amount and fee are held. Check its status later"
        Held: "pending" success=true final=false detail=null decision={"action":null,"mode":null} approved=null
            "Recharge is accepted and waits to be sent; amount and fee are held. Check its status later"
        Sent: "processing" success=true final=false detail=null decision={"action":null,"mode":null} approved=null
            "Recharge is being processed; amount and fee are held. Check its status later and do not send it again"
        InDoubt: "processing" success=true final=false detail="awaiting_upstream_confirmation" decision={"action":null,"mode":null} approved=null
            "Recharge was sent, but is not yet confirmed by the operator; amount and fee are held. Check its status later and do not send it again"
        WithStaff: "processing" success=true final=false detail="awaiting_upstream_confirmation" decision={"action":null,"mode":null} approved=null
            "Recharge was sent, but is not yet confirmed by the operator; amount and fee are held. Check its status later and do not send it again"
        Delivered: "success" success=true final=true detail=null decision={"action":"approved","mode":"auto"} approved="2026-02-05T19:42:34.000000Z"
            "Recharge processed successfully"
        Failed: "failed" success=false final=true detail=null decision={"action":"rejected","mode":"auto"} approved=null
            "Recharge failed; nothing was delivered, and amount and fee are back in the wallet"
        Rejected: "rejected" success=false final=true detail=null decision={"action":"rejected","mode":"auto"} approved=null
            "Recharge was rejected before it was sent; amount and fee are back in the wallet"
        Refunded: "reversed" success=false final=true detail=null decision={"action":"reversed","mode":"auto"} approved="2026-02-05T19:42:34.000000Z"
            "Recharge was delivered and then taken back by the operator; amount and fee are back in the wallet"
    "#]].assert_eq(&all);
}

#[test]
fn the_seeds_status() {
    let mut decided = purchase(State::Delivered);
    decided.decider = Some(Decider::Staff);
    decided.kind = Kind::Banking;
    let catalog = catalog();
    expect![[r#"
        {"success":true,
        "message":"Transaction status fetched successfully.",
        "data":{"transactionId":21,
        "reference":"BILL-026401",
        "status":"success",
        "isFinal":true,
        "amount":10,
        "fee":0.5,
        "commission":1.5,
        "service":{"type":"recharge","status":"success","number":"01712345678"},
        "operator":{"code":"GP","name":"Grameenphone"},
        "decision":{"mode":"auto","action":"approved"},
        "createdAt":"2026-02-05T19:42:34.000000Z",
        "updatedAt":"2026-02-05T19:42:34.000000Z",
        "approvedAt":"2026-02-05T19:42:34.000000Z"}}"#]]
    .assert_eq(&pretty(&StatusAnswer::of(&purchase(State::Delivered), &catalog)));
    expect![[r#"
        {"success":true,
        "message":"Transaction status fetched successfully.",
        "data":{"transactionId":21,
        "reference":"BILL-026401",
        "status":"success",
        "isFinal":true,
        "amount":10,
        "fee":0.5,
        "commission":1.5,
        "service":{"type":"banking","status":"success","number":"01712345678"},
        "operator":{"code":"GP","name":"Grameenphone"},
        "decision":{"mode":"admin","action":"approved"},
        "createdAt":"2026-02-05T19:42:34.000000Z",
        "updatedAt":"2026-02-05T19:42:34.000000Z",
        "approvedAt":"2026-02-05T19:42:34.000000Z"}}"#]]
    .assert_eq(&pretty(&StatusAnswer::of(&decided, &catalog)));
}

#[test]
fn offers_carry_what_their_purchase_needs() {
    let offer = |highlighted, identifiers: &[(&str, &str)]| Offer {
        amount: bdt(54_900),
        title: "35 GB \"and\" more".into(),
        title_local: "৩৫ জিবি".into(),
        validity: "30 Days".into(),
        category: "COMBO".into(),
        is_highlighted: highlighted,
        identifiers: identifiers.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
    };
    let offers = [
        (offer(true, &[("offerId", "OFF"), ("tranId", "4"), ("secret", "no")]), bdt(824)),
        (offer(false, &[("ticketId", "T")]), bdt(0)),
    ];
    let answer = OffersAnswer::of("banglalink", "01937395849", &offers);
    expect![[r#"
        {"success":true,
        "message":"Offers fetched successfully.",
        "operator":"banglalink",
        "number":"01937395849",
        "offers":[{"id":"OFF","amount":549,"title":"35 GB \"and\" more","titleBn":"৩৫ জিবি","validity":"30 Days","category":"COMBO","highlighted":true,"commission":8.24,"operator":"banglalink","number":"01937395849","offerId":"OFF","tranId":"4"},
        {"id":"T","amount":549,"title":"35 GB \"and\" more","titleBn":"৩৫ জিবি","validity":"30 Days","category":"COMBO","commission":0,"operator":"banglalink","number":"01937395849","ticketId":"T"}]}"#]].assert_eq(&pretty(&answer));
}
