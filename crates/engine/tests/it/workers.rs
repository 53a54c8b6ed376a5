//! The workers: many at once, unharmed by one another and by a connector's bug.

use crate::world::*;
use domain::purchase::lifecycle::State;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The answers come only when many are asked at once: one after the other they never would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubts_are_settled_side_by_side() {
    let world = world().await;
    world.a.answers(unknown(), unknown());
    let mut ids = Vec::new();
    for n in 0..100 {
        ids.push(world.buy(&format!("R{n}"), TO_A).await.key.id);
    }
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    world.a.on_enquire(move |_| Reply::When(held.clone(), delivered()));
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.a.count(What::Enquire) == 64).await;
    gate.add_permits(1_000);
    until(|| ids.iter().all(|id| world.state(*id) == State::Delivered)).await;
    stop(workers).await;
    assert_eq!(world.a.count(What::Enquire), 100);
    world.assert_sound().await;
}

/// A connector's bug costs its own purchase a delay, and nobody else anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_connector_leaves_its_purchase_owed() {
    let world = world().await;
    world.a.on_submit(|_| Reply::Panic);
    let bought = world.buy("R1", TO_A).await;
    assert_eq!((bought.state, world.wallet()), (State::Sent, (START - TOTAL, TOTAL, 0)));
    let id = bought.key.id;
    world.a.on_enquire(|_| Reply::Panic);
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.a.count(What::Enquire) == 1).await;
    world.a.answers(delivered(), delivered());
    assert_eq!(world.buy("R2", TO_A).await.state, State::Delivered);
    // Its lease must end first.
    world.clock.advance(Duration::from_secs(60));
    until(|| world.state(id) == State::Delivered).await;
    assert_eq!(world.a.count(What::Submit), 2);
    stop(workers).await;
    world.assert_sound().await;
}

/// More panics than there are seats: each gives its seat back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_gives_its_seat_back() {
    let world = world().await;
    world.a.answers(unknown(), unknown());
    for n in 0..80 {
        world.buy(&format!("R{n}"), TO_A).await;
    }
    world.a.on_enquire(|_| Reply::Panic);
    world.ask(&world.a, 80).await;
    world.a.answers(unknown(), delivered());
    world.ask(&world.a, 80).await;
    assert_eq!(world.wallet(), (START - 80 * TOTAL, 0, 80 * COMMISSION));
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_waits_for_what_is_under_way() {
    let world = world().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    world.a.on_submit(move |_| Reply::When(held.clone(), delivered()));
    let (engine, request) = (world.engine.clone(), world.request("R1", TO_A));
    let buying = tokio::spawn(async move { engine.purchase(request).await });
    until(|| world.a.count(What::Submit) == 1).await;
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.a.count(What::Enquire) <= 1).await;
    let stopping = tokio::spawn(workers.stop(Duration::from_secs(10)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!stopping.is_finished());
    gate.add_permits(1);
    stopping.await.unwrap();
    assert_eq!(bought(buying.await.unwrap()).state, State::Delivered);
    // Patience has an end: what is left is owed.
    world.a.on_submit(|_| Reply::Hang);
    let (engine, request) = (world.engine.clone(), world.request("R2", TO_A));
    let hanging = tokio::spawn(async move { engine.purchase(request).await });
    until(|| world.a.count(What::Submit) == 2).await;
    let workers = world.engine.start_workers().await.unwrap();
    workers.stop(Duration::from_millis(50)).await;
    hanging.abort();
}

/// Approved and due purchases go out while a dead upstream is asked in vain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_upstream_does_not_hold_up_the_others() {
    let world = world().await;
    world.b.answers(delivered(), delivered());
    world.a.on_submit(|_| Reply::Say(unknown()));
    world.a.on_enquire(|_| Reply::Hang);
    for n in 0..40 {
        world.buy(&format!("R{n}"), TO_A).await;
    }
    let waits = world.buy("A", TO_A_AFTER_APPROVAL).await.key.id;
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.a.count(What::Enquire) == 40).await;
    world.a.on_submit(|_| Reply::Say(delivered()));
    world.engine.approve(waits, "rahim").await.unwrap();
    until(|| world.state(waits) == State::Delivered).await;
    workers.stop(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn staff_fund_by_paper_once() {
    use domain::account::Environment;
    use domain::ledger::journal::Reason;
    use domain::refusal::Refusal;
    let world = world().await;
    let place = (world.merchant, Environment::Live);
    let fund = async |reason, minor, reference| {
        let paper = engine::BookingNote { reference, by: "rahim", note: "bank" };
        world.engine.fund(reason, place, bdt(minor), paper).await
    };
    assert_eq!(fund(Reason::Deposit, 500, "B1").await, Ok(bdt(START + 500)));
    assert_eq!(fund(Reason::Deposit, 500, "B1").await, Err(Refusal::ReferenceKnown(None)));
    assert_eq!(fund(Reason::Withdraw, 500, "B2").await, Ok(bdt(START)));
    let short = Err(Refusal::InsufficientBalance { available: bdt(START) });
    assert_eq!(fund(Reason::Withdraw, START + 1, "B3").await, short);
    for (reason, minor, reference) in [
        (Reason::Deposit, 0, "B4"),
        (Reason::Deposit, -5, "B5"),
        (Reason::Hold, 5, "B6"),
        (Reason::Deposit, 5, " B7"),
        (Reason::Deposit, i64::MAX, "B8"),
    ] {
        let refusal = fund(reason, minor, reference).await.unwrap_err();
        assert_eq!(refusal.code(), "VALIDATION_ERROR", "{reference}");
    }
    assert_eq!(world.wallet(), (START, 0, 0));
    world.assert_sound().await;
}
