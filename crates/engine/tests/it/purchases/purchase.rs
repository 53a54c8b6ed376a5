//! A purchase without incidents, and refusals before anything is sent.

use crate::world::*;
use domain::{AccountId, Answer, Currency, Environment, Kind, Money, State};
use engine::{Caller, PurchaseRequest};
use expect_test::expect;

#[tokio::test]
async fn a_purchase_is_held_sent_and_delivered() {
    let world = world().await;
    let bought = world.buy("R1", TO_A).await;
    assert_eq!(world.stored(bought.key.id), bought);
    assert_eq!((bought.fee, bought.commission), (bdt(FEE), bdt(COMMISSION)));
    assert_eq!(bought.available_after, bdt(START - TOTAL));
    assert_eq!(bought.delivered_at, Some(NOW));
    expect![[r#"
        delivered v2
        attempt 1 a delivered: Recharge is successful.
        event 2 delivered
    "#]]
    .assert_eq(&world.summary(bought.key.id));
    assert_eq!(bought.text.as_deref(), Some("Recharge is successful."));
    assert_eq!(world.wallet(), (START - TOTAL, 0, COMMISSION));
    // The whole hold is settled: the float pays the amount, the house keeps the fee.
    assert_eq!((world.house_balance("float", "a"), world.house_balance("fees", "")), (AMOUNT, FEE));
    assert_eq!(world.house_balance("commission_expense", ""), -COMMISSION);
    assert_eq!(world.house_balance("funding", ""), -START);
    world.assert_sound().await;
}

#[tokio::test]
async fn each_kind_has_its_price() {
    let world = world().await;
    let mut out = String::new();
    for (kind, minor) in
        [(Kind::Recharge, 1_000), (Kind::Offer, 6_800), (Kind::Offer, 99), (Kind::Banking, 5_000)]
    {
        let reference = format!("{} {minor}", kind.code());
        let request =
            PurchaseRequest { kind, amount: bdt(minor), ..world.request(&reference, TO_A) };
        let p = bought(world.engine.purchase(request).await);
        out +=
            &format!("{} {}: fee {}, commission {}\n", kind.code(), p.amount, p.fee, p.commission);
    }
    expect![[r#"
        recharge 10.00 BDT: fee 0.50 BDT, commission 1.50 BDT
        offer 68.00 BDT: fee 0.34 BDT, commission 1.02 BDT
        offer 0.99 BDT: fee 0.00 BDT, commission 0.01 BDT
        banking 50.00 BDT: fee 0.00 BDT, commission 0.00 BDT
    "#]]
    .assert_eq(&out);
    world.assert_sound().await;
}

/// A refusal costs nothing, stores nothing, and does not use up the reference.
#[tokio::test]
async fn a_refused_request_leaves_no_trace() {
    let world = world().await;
    let dear = PurchaseRequest { amount: bdt(START), ..world.request("R1", TO_A) };
    let refusal = world.engine.purchase(dear.clone()).await.unwrap_err();
    assert_eq!(refusal, InsufficientBalance { available: bdt(START) }.into());
    let dollars =
        PurchaseRequest { amount: Money::new(AMOUNT, Currency::USD), ..world.request("R1", TO_A) };
    assert_eq!(world.engine.purchase(dollars).await.unwrap_err(), NoWallet.into());
    let nobody =
        PurchaseRequest { caller: world.caller_of(AccountId(404)), ..world.request("R1", TO_A) };
    assert_eq!(world.engine.purchase(nobody).await.unwrap_err(), NoWallet.into());
    let endless = PurchaseRequest { amount: bdt(i64::MAX), ..world.request("R1", TO_A) };
    let refusal = world.engine.purchase(endless).await.unwrap_err();
    assert_eq!(refusal.code(), "VALIDATION_ERROR");
    assert_eq!(world.a.count(Call::Submit), 0);
    assert_eq!(world.wallet(), (START, 0, 0));
    let first = world.buy("R1", TO_A).await;
    let known = world.engine.purchase(world.request("R1", TO_A)).await.unwrap_err();
    assert_eq!(known, ReferenceKnown { first: Some(Box::new(first)) }.into());
    assert_eq!(world.wallet(), (START - TOTAL, 0, COMMISSION));
    assert_eq!(world.assert_sound().await.purchases, 1);
}

#[tokio::test]
async fn sandbox_and_live_are_separate() {
    let world = world().await;
    let sandbox = Caller { environment: Environment::Sandbox, ..world.caller() };
    let play = PurchaseRequest { caller: sandbox, ..world.request("R1", TO_A) };
    let played = bought(world.engine.purchase(play).await);
    assert_eq!((played.state, world.c.count(Call::Submit)), (State::Delivered, 1));
    assert_eq!(world.wallet(), (START, 0, 0));
    // The same reference is free in live; neither environment sees the other's purchase.
    let real = world.buy("R1", TO_A).await;
    assert_eq!(world.a.count(Call::Submit), 1);
    for (caller, own, other) in [(sandbox, &played, &real), (world.caller(), &real, &played)] {
        let scope = own.scope;
        let found = world.engine.purchase_by_reference(&caller, scope, "R1").await.unwrap();
        assert_eq!(&found, own);
        let hidden = world.engine.purchase_by_id(&caller, other.key.id.number()).await;
        assert_eq!(hidden.unwrap_err(), PurchaseUnknown.into());
    }
    world.assert_sound().await;
}

#[tokio::test]
async fn another_accounts_purchase_is_unknown() {
    let world = world().await;
    let other = world.caller_of(world.account("other").await);
    let bought = world.buy("R1", TO_A).await;
    let by_id = world.engine.purchase_by_id(&other, bought.key.id.number()).await;
    assert_eq!(by_id.unwrap_err(), PurchaseUnknown.into());
    let by_name = world.engine.purchase_by_reference(&other, bought.scope, "R1").await;
    assert_eq!(by_name.unwrap_err(), PurchaseUnknown.into());
    assert_eq!(world.engine.balance(&other, Currency::BDT).await, Ok(bdt(START)));
    assert_eq!(world.engine.balance(&other, Currency::USD).await, Err(NoWallet.into()));
}

/// An upstream's text is cleaned for customers; a sentence with our float's balance is removed.
#[tokio::test]
async fn an_upstreams_text_is_cleaned() {
    let world = world().await;
    for (given, kept) in [
        ("Done. Your new balance is 5.00. Thank you.", Some("Done. Thank you.")),
        ("BALANCE 5", None),
        ("a\u{0}b\n\u{1b}[31mred", Some("a b  [31mred")),
        ("", None),
    ] {
        let text = Some(given.to_owned());
        let delivered = Answer::Delivered { reference: None, text, slip: None, cost: None };
        world.a.answers(delivered.into(), unknown());
        let bought = world.buy(&format!("R{}", given.len()), TO_A).await;
        assert_eq!(bought.text.as_deref(), kept, "{given}");
    }
}
