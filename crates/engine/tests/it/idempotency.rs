//! Idempotency keys: the same request is answered again, another one under the same key refused.

use crate::world::*;
use domain::Refusal;
use domain::purchase::ReferenceScope;
use domain::purchase::lifecycle::State;
use engine::{Idempotency, PurchaseOutcome, PurchaseRequest, Replay};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const SPACE: ReferenceScope = ReferenceScope::IrechargeKey;

fn keyed(world: &World, reference: &str, key: &str, digest: u8) -> PurchaseRequest {
    let key = Idempotency { scope: SPACE, key: key.to_owned(), digest: [digest; 32] };
    PurchaseRequest { idempotency: Some(key), ..world.request(reference, TO_A) }
}

#[tokio::test]
async fn the_same_request_gets_the_first_answer() {
    let world = world().await;
    let first = bought(world.engine.purchase(keyed(&world, "R1", "K1", 1)).await);
    let again = world.engine.purchase(keyed(&world, "R1", "K1", 1)).await.unwrap();
    // The first answer was not kept (a crash): the purchase as it stands.
    let PurchaseOutcome::Before { purchase, replay: None } = again else { panic!("{again:?}") };
    assert_eq!(*purchase, first);
    let answer = Replay { status: 201, body: "{\"a\":1}".to_owned() };
    world.engine.remember(&world.caller(), SPACE, "K1", answer.clone()).await;
    let later = Replay { status: 500, body: "later".to_owned() };
    world.engine.remember(&world.caller(), SPACE, "K1", later).await;
    let again = world.engine.purchase(keyed(&world, "R1", "K1", 1)).await.unwrap();
    let PurchaseOutcome::Before { replay: Some(replay), .. } = again else { panic!("{again:?}") };
    assert_eq!(replay, answer);
    assert_eq!((world.a.count(What::Submit), world.wallet().0), (1, START - TOTAL));
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let world = world().await;
    bought(world.engine.purchase(keyed(&world, "R1", "K1", 1)).await);
    for reference in ["R1", "R2"] {
        let answer = world.engine.purchase(keyed(&world, reference, "K1", 2)).await;
        assert_eq!(answer.unwrap_err(), Refusal::IdempotencyMismatch);
    }
    // Another key for a reference that is used up is a duplicate like any other.
    let answer = world.engine.purchase(keyed(&world, "R1", "K2", 1)).await;
    assert!(matches!(answer, Err(Refusal::ReferenceKnown(Some(_)))), "{answer:?}");
    // It used nothing up, and another account's key is another key.
    bought(world.engine.purchase(keyed(&world, "R2", "K2", 3)).await);
    let other = world.caller_of(world.account("other").await);
    bought(
        world
            .engine
            .purchase(PurchaseRequest { caller: other, ..keyed(&world, "R1", "K1", 9) })
            .await,
    );
    assert_eq!(world.a.count(What::Submit), 3);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let world = world().await;
    let dear = PurchaseRequest { amount: bdt(START), ..keyed(&world, "R1", "K1", 1) };
    let answer = world.engine.purchase(dear).await.unwrap_err();
    assert_eq!(answer, Refusal::InsufficientBalance { available: bdt(START) });
    bought(world.engine.purchase(keyed(&world, "R1", "K1", 2)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_first_runs_the_others_are_told_so() {
    let world = world().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    world.a.on_submit(move |_| Reply::When(held.clone(), delivered()));
    let (engine, request) = (world.engine.clone(), keyed(&world, "R1", "K1", 1));
    let first = tokio::spawn(async move { engine.purchase(request).await });
    until(|| world.a.count(What::Submit) == 1).await;
    let second = world.engine.purchase(keyed(&world, "R1", "K1", 1)).await;
    assert_eq!(second.unwrap_err(), Refusal::IdempotencyRunning);
    gate.add_permits(1);
    assert_eq!(bought(first.await.unwrap()).state, State::Delivered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_buys() {
    let world = world().await;
    for round in 0..20 {
        let mut buyers = JoinSet::new();
        for _ in 0..16 {
            let request = keyed(&world, &format!("R{round}"), &format!("K{round}"), 1);
            let engine = world.engine.clone();
            buyers.spawn(async move { engine.purchase(request).await });
        }
        let mut winners = 0;
        while let Some(receipt) = buyers.join_next().await {
            match receipt.unwrap() {
                Ok(PurchaseOutcome::Bought(_)) => winners += 1,
                Ok(PurchaseOutcome::Before { .. }) | Err(Refusal::IdempotencyRunning) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(winners, 1);
    }
    assert_eq!(world.a.count(What::Submit), 20);
    world.assert_sound().await;
}
