//! The answers of every state and every kind, to the byte.

use super::super::super::fixture::{bdt, catalog, purchase};
use super::*;
use crate::wire::json::serialize;
use expect_test::{expect, expect_file};
use serde::Serialize;
use serde_json::Value;

fn pretty(body: &impl Serialize) -> String {
    let text = serialize(body).unwrap();
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

fn answer(purchase: &Purchase) -> String {
    pretty(&PurchaseAnswer::of(purchase))
}

#[test]
fn the_seeds_recharge() {
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
        "transactionId":21}}"#]]
    .assert_eq(&answer(&purchase(State::Delivered)));
}

#[test]
fn the_seeds_offer() {
    let mut delivered = offer_purchase(State::Delivered, &[("ticketId", "T")]);
    delivered.text = Some("Recharge 68 Tk to 1614031175 is successful.".into());
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
        "offerId":"__EL_RECHARGE_OFFER__"}}"#]]
    .assert_eq(&answer(&delivered));
    let purchase = offer_purchase(State::InDoubt, &[("ticketId", "T")]);
    expect_file!["offer_in_doubt.txt"].assert_eq(&answer(&purchase));
    let purchase = offer_purchase(State::Failed, &[("offerId", "OFF"), ("tranId", "4")]);
    expect_file!["offer_failed.txt"].assert_eq(&answer(&purchase));
}

#[test]
fn every_state_has_its_texts() {
    let mut all = String::new();
    for state in State::ALL {
        let purchase = purchase(state);
        let answer: Value =
            serde_json::from_str(&serialize(&PurchaseAnswer::of(&purchase)).unwrap()).unwrap();
        let catalog = catalog();
        let status = StatusAnswer::of(&purchase, &catalog);
        let status: Value = serde_json::from_str(&serialize(&status).unwrap()).unwrap();
        let data = &status["data"];
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
    expect_file!["states.txt"].assert_eq(&all);
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
    expect_file!["offers.txt"].assert_eq(&pretty(&answer));
}
