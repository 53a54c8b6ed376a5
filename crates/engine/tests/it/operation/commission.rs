//! Commission is paid out to the wallet that earned it: once a day, by hand and by rule.

use crate::world::*;
use domain::{Currency, Environment, Money, Reason};
use engine::{Balance, CommissionPaid, Page};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn pay(world: &World) -> CommissionPaid {
    world.engine.pay_commission(world.merchant, Environment::Live, Currency::BDT).await.unwrap()
}

async fn earn(world: &World, reference: &str) {
    world.a.answers(delivered(), delivered());
    world.buy(reference, TO_A).await;
}

#[tokio::test]
async fn commission_is_paid_out_once_a_day_and_stands_in_the_statement() {
    let world = world().await;
    assert_eq!(pay(&world).await, CommissionPaid::Nothing);
    earn(&world, "R1").await;
    let (available, held, earned) = world.wallet();
    assert!(earned > 0 && held == 0);
    let after = available + earned;
    let paid = CommissionPaid::Paid { amount: bdt(earned), available: bdt(after) };
    assert_eq!(pay(&world).await, paid);
    assert_eq!(world.wallet(), (after, 0, 0));
    // What is earned later on the day waits for the next one.
    earn(&world, "R2").await;
    let before = world.wallet();
    assert!(matches!(pay(&world).await, CommissionPaid::PaidBefore(_)));
    assert_eq!(world.wallet(), before);
    world.clock.advance(DAY);
    assert!(matches!(pay(&world).await, CommissionPaid::Paid { .. }));

    let page = Page { before: None, limit: 50 };
    let lines = world
        .engine
        .statement(&world.caller(), Currency::BDT, Balance::Available, page)
        .await
        .unwrap();
    let paid: Vec<i64> = lines
        .iter()
        .filter(|line| line.reason == Reason::Commission)
        .map(|line| line.change.minor())
        .collect();
    assert_eq!(paid, [earned, earned]);
    world.assert_sound().await;
}

#[tokio::test]
async fn two_at_once_pay_once() {
    let world = world().await;
    earn(&world, "R1").await;
    let (available, _, earned) = world.wallet();
    let (one, other) = tokio::join!(pay(&world), pay(&world));
    let is_paid = |paid| matches!(paid, CommissionPaid::Paid { .. });
    assert_eq!(usize::from(is_paid(one)) + usize::from(is_paid(other)), 1, "{one:?} {other:?}");
    assert_eq!(world.wallet(), (available + earned, 0, 0));
    world.assert_sound().await;
}

/// A rule pays daily, or once so much is there; nothing without a rule.
#[tokio::test]
async fn a_rule_pays_by_itself() {
    let world = world().await;
    earn(&world, "R1").await;
    let (available, _, earned) = world.wallet();
    let rule = async |minor| {
        world.engine.set_commission_rule(world.merchant, Money::new(minor, Currency::BDT)).await
    };
    rule(2 * earned).await.unwrap();
    let workers = world.engine.start_workers().await.unwrap();
    earn(&world, "R2").await;
    drop(workers);
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.wallet().2 == 0).await;
    let spent = available - (world.wallet().0 - 2 * earned);
    assert!(spent > 0);
    workers.stop(Duration::from_millis(50)).await;
    // On this day no more, whatever the rule.
    rule(1).await.unwrap();
    earn(&world, "R3").await;
    assert!(matches!(pay(&world).await, CommissionPaid::PaidBefore(_)));
    rule(0).await.unwrap();
    assert_eq!(world.engine.commission_rules(world.merchant).unwrap(), []);
    assert!(rule(-1).await.is_err());
    world.assert_sound().await;
}

/// What was paid out is clawed back by a reversal; no more is paid out until it is earned again.
#[tokio::test]
async fn a_refund_after_the_pay_out_leaves_a_debt() {
    let world = world().await;
    world.a.answers(delivered(), delivered());
    let bought = world.buy("R1", TO_A).await;
    let earned = world.wallet().2;
    assert!(matches!(pay(&world).await, CommissionPaid::Paid { .. }));
    world.engine.refund(bought.key.id, "rahim", "taken back").await.unwrap();
    assert_eq!(world.wallet().2, -earned);
    world.clock.advance(DAY);
    assert_eq!(pay(&world).await, CommissionPaid::Nothing);
    world.assert_sound().await;
}
