//! The choice among a route's upstreams, before money moves.

use super::{TO_X, TO_X_B, world_with_x};
use crate::world::*;
use domain::{PassedOver, Refused as _, State, Upstream as _, UpstreamCode};
use engine::UpstreamChange;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

fn passed_over(world: &World, id: domain::PurchaseId) -> Vec<PassedOver> {
    world.engine.history(id.number()).unwrap().unwrap().attempts[0].passed_over.clone()
}

fn over(upstream: &str, why: &str) -> Vec<PassedOver> {
    vec![PassedOver { upstream: UpstreamCode::new(upstream), why: why.to_owned() }]
}

#[tokio::test]
async fn a_paused_upstream_is_passed_over_and_the_attempt_says_so() {
    let world = world_with_x().await;
    world.engine.pause_upstream("x").await.unwrap();
    let bought = world.buy("R1", TO_X_B).await;
    assert_eq!((bought.state, world.b.count(Call::Submit)), (State::Delivered, 1));
    assert_eq!(passed_over(&world, bought.key.id), over("x", "paused"));
    world.engine.resume_upstream("x").await.unwrap();
    let bought = world.buy("R2", TO_X_B).await;
    assert_eq!(bought.upstream, Some(UpstreamCode::new("x")));
    assert_eq!(passed_over(&world, bought.key.id), []);
    world.assert_sound().await;
}

#[tokio::test]
async fn when_all_are_passed_over_nothing_is_charged_and_the_reference_is_free() {
    let world = world_with_x().await;
    let first = world.buy("R0", TO_X).await;
    world.engine.pause_upstream("x").await.unwrap();
    let before = world.wallet();
    let refused = world.engine.purchase(world.request("R1", TO_X)).await.unwrap_err();
    assert_eq!(refused, BuyRefused::UpstreamUnavailable(UpstreamUnavailable { retry_after_s: 60 }));
    assert_eq!(world.wallet(), before);
    // A reference that is used up is refused as such.
    let refused = world.engine.purchase(world.request("R0", TO_X)).await.unwrap_err();
    assert_eq!(refused.code(), "DUPLICATE_REFERENCE");
    world.engine.resume_upstream("x").await.unwrap();
    let bought = world.buy("R1", TO_X).await;
    assert_ne!(bought.key.id, first.key.id);
    assert_eq!(bought.state, State::Delivered);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_failing_upstream_opens_its_breaker_and_the_other_one_sells() {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    x.answers(unknown(), unknown());
    for n in 0..20 {
        assert_eq!(world.buy(&format!("R{n}"), TO_X_B).await.state, State::InDoubt);
    }
    let bought = world.buy("R20", TO_X_B).await;
    assert_eq!((bought.state, world.b.count(Call::Submit)), (State::Delivered, 1));
    assert_eq!(passed_over(&world, bought.key.id), over("x", "breaker open"));
    let refused = world.engine.purchase(world.request("R21", TO_X)).await.unwrap_err();
    assert_eq!(refused.code(), "UPSTREAM_UNAVAILABLE");
    // After a while one order is let through; when it is answered, all are.
    x.answers(delivered(), unknown());
    world.clock.advance(Duration::from_secs(11));
    for reference in ["R22", "R23"] {
        let bought = world.buy(reference, TO_X_B).await;
        assert_eq!(bought.upstream, Some(UpstreamCode::new("x")));
    }
    world.assert_sound().await;
}

/// Only the answers were lost: that is no failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_to_orders_that_were_delivered_open_no_breaker() {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    x.answers(unknown(), delivered());
    for n in 0..19 {
        world.buy(&format!("R{n}"), TO_X_B).await;
    }
    world.clock.advance(Duration::from_secs(6));
    world.enquire(&x, 19).await;
    for n in 19..30 {
        let bought = world.buy(&format!("R{n}"), TO_X_B).await;
        assert_eq!(bought.upstream, Some(UpstreamCode::new("x")), "{n}");
    }
    assert_eq!(world.b.count(Call::Submit), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_slots_are_passed_over_until_one_is_free() {
    let world = world_with_x().await;
    let change = UpstreamChange { calls_at_once: Some(1), ..UpstreamChange::default() };
    world.engine.change_upstream("x", change).await.unwrap();
    let x = world.factory.upstream("x");
    let gate = x.submits_wait(delivered());
    let waiting = world.spawn_purchase(world.request("R1", TO_X_B));
    until(|| x.count(Call::Submit) == 1).await;
    let bought = world.buy("R2", TO_X_B).await;
    assert_eq!(passed_over(&world, bought.key.id), over("x", "slots full"));
    gate.add_permits(2);
    assert_eq!(bought_of(waiting).await.state, State::Delivered);
    let bought = world.buy("R3", TO_X_B).await;
    assert_eq!(bought.upstream, Some(UpstreamCode::new("x")));
    world.assert_sound().await;
}

/// The limits that an upstream itself has, such as those of a panel's file, are slots as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limits_of_the_upstream_itself_pass_it_over_before_money_moves() {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    *x.places.lock().unwrap() = Some(Arc::new(Semaphore::new(1)));
    let gate = x.submits_wait(delivered());
    let waiting = world.spawn_purchase(world.request("R1", TO_X_B));
    until(|| x.count(Call::Submit) == 1).await;
    let bought = world.buy("R2", TO_X_B).await;
    assert_eq!((bought.state, world.b.count(Call::Submit)), (State::Delivered, 1));
    assert_eq!(passed_over(&world, bought.key.id), over("x", "slots full"));
    // All are passed over: nothing is charged, and the reference stays free.
    let before = world.wallet();
    let refused = world.engine.purchase(world.request("R3", TO_X)).await.unwrap_err();
    assert_eq!(refused, BuyRefused::UpstreamUnavailable(UpstreamUnavailable { retry_after_s: 7 }));
    assert_eq!((world.wallet(), x.count(Call::Submit)), (before, 1));
    gate.add_permits(2);
    assert_eq!(bought_of(waiting).await.state, State::Delivered);
    assert_eq!(world.buy("R3", TO_X).await.state, State::Delivered);
    // One that is refused for another reason gives its place back.
    let refused = world.engine.purchase(world.request("R3", TO_X)).await.unwrap_err();
    assert_eq!(refused.code(), "DUPLICATE_REFERENCE");
    assert_eq!(x.has_place(), Ok(()));
    world.assert_sound().await;
}

async fn bought_of(
    task: tokio::task::JoinHandle<Result<engine::PurchaseOutcome, BuyRefused>>,
) -> domain::Purchase {
    bought(task.await.unwrap())
}

/// A definite refusal leads on only to an upstream that takes orders; without one the money goes
/// back, and the record says why.
#[tokio::test]
async fn after_a_refusal_a_paused_upstream_is_not_tried() {
    let world = world_with_x().await;
    world.engine.pause_upstream("x").await.unwrap();
    world.b.answers(elsewhere(), unknown());
    let bought = world.buy("R1", TO_X_B).await;
    assert_eq!(bought.state, State::Failed);
    assert_eq!(world.wallet(), (START, 0, 0));
    let summary = world.summary(bought.key.id);
    assert!(summary.contains("no upstream is left to try (x: paused)"), "{summary}");
    world.assert_sound().await;
}

/// Calls that hang at one upstream hold nothing of another, and once its breaker is open no buyer
/// waits for it who can be served elsewhere: enquiries find out whether it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_buyer_waits_for_an_upstream_that_hangs_once_its_breaker_is_open() {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    let gate = x.submits_wait(unknown());
    let buying: Vec<_> =
        (0..20).map(|n| world.spawn_purchase(world.request(&format!("R{n}"), TO_X_B))).collect();
    until(|| x.count(Call::Submit) == 20).await;
    assert_eq!(world.buy("B1", TO_A_B).await.state, State::Delivered);
    world.clock.advance(Duration::from_secs(20));
    gate.add_permits(20);
    for task in buying {
        assert_eq!(bought_of(task).await.state, State::InDoubt);
    }
    // Its wait is over, several times.
    for n in 0..5 {
        world.clock.advance(Duration::from_secs(60));
        let bought = world.buy(&format!("S{n}"), TO_X_B).await;
        assert_eq!(bought.upstream, Some(UpstreamCode::new("b")));
        assert_eq!(passed_over(&world, bought.key.id), over("x", "breaker open"));
    }
    assert_eq!(x.count(Call::Submit), 20);
    // What can go nowhere else tries it: one order at a time.
    let alone = world.spawn_purchase(world.request("T1", TO_X));
    until(|| x.count(Call::Submit) == 21).await;
    let refused = world.engine.purchase(world.request("T2", TO_X)).await.unwrap_err();
    assert_eq!(refused.code(), "UPSTREAM_UNAVAILABLE");
    world.clock.advance(Duration::from_secs(20));
    gate.add_permits(1);
    assert_eq!(bought_of(alone).await.state, State::InDoubt);
    // An enquiry is answered: the next order tries it, and it is as before.
    x.answers(delivered(), accepted());
    world.enquire(&x, 1).await;
    world.clock.advance(Duration::from_secs(60));
    for reference in ["U1", "U2"] {
        let bought = world.buy(reference, TO_X_B).await;
        assert_eq!(bought.upstream, Some(UpstreamCode::new("x")));
    }
    world.assert_sound().await;
}
