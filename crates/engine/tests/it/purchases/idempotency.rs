//! Idempotency keys: a repeated request gets its first answer; a different request under the same
//! key is refused.

use crate::world::*;
use domain::{ReferenceScope, State};
use engine::{Idempotency, PurchaseOutcome, PurchaseRequest, Replay};
use tokio::task::JoinSet;

const SCOPE: ReferenceScope = ReferenceScope::IrechargeKey;

fn keyed(world: &World, reference: &str, key: &str, digest: u8) -> PurchaseRequest {
    let key = Idempotency { scope: SCOPE, key: key.to_owned(), digest: [digest; 32] };
    PurchaseRequest { idempotency: Some(key), ..world.request(reference, TO_A) }
}

#[tokio::test]
async fn the_same_request_gets_the_first_answer() {
    let world = world().await;
    let first = bought(world.engine.purchase(keyed(&world, "R1", "K1", 1)).await);
    let again = world.engine.purchase(keyed(&world, "R1", "K1", 1)).await.unwrap();
    // The first answer was not stored (a crash): the purchase as it is now.
    let PurchaseOutcome::Repeated { purchase, replay: None } = again else { panic!("{again:?}") };
    assert_eq!(*purchase, first);
    let answer = Replay { status: 201, body: "{\"a\":1}".to_owned() };
    world.engine.remember(&world.caller(), SCOPE, "K1", answer.clone()).await;
    let later = Replay { status: 500, body: "later".to_owned() };
    world.engine.remember(&world.caller(), SCOPE, "K1", later).await;
    let again = world.engine.purchase(keyed(&world, "R1", "K1", 1)).await.unwrap();
    let PurchaseOutcome::Repeated { replay: Some(replay), .. } = again else { panic!("{again:?}") };
    assert_eq!(replay, answer);
    assert_eq!((world.a.count(Call::Submit), world.wallet().0), (1, START - TOTAL));
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let world = world().await;
    bought(world.engine.purchase(keyed(&world, "R1", "K1", 1)).await);
    for reference in ["R1", "R2"] {
        let answer = world.engine.purchase(keyed(&world, reference, "K1", 2)).await;
        assert_eq!(answer.unwrap_err(), IdempotencyMismatch.into());
    }
    // Another key with a used reference is an ordinary duplicate.
    let answer = world.engine.purchase(keyed(&world, "R1", "K2", 1)).await;
    assert!(
        matches!(answer, Err(BuyRefused::ReferenceKnown(ReferenceKnown { first: Some(_) }))),
        "{answer:?}"
    );
    // That key is still free, and the same key of another account is another key.
    bought(world.engine.purchase(keyed(&world, "R2", "K2", 3)).await);
    let other = world.caller_of(world.account("other").await);
    bought(
        world
            .engine
            .purchase(PurchaseRequest { caller: other, ..keyed(&world, "R1", "K1", 9) })
            .await,
    );
    assert_eq!(world.a.count(Call::Submit), 3);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let world = world().await;
    let dear = PurchaseRequest { amount: bdt(START), ..keyed(&world, "R1", "K1", 1) };
    let answer = world.engine.purchase(dear).await.unwrap_err();
    assert_eq!(answer, InsufficientBalance { available: bdt(START) }.into());
    bought(world.engine.purchase(keyed(&world, "R1", "K1", 2)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn during_the_first_request_the_others_are_refused() {
    let world = world().await;
    let gate = world.a.submits_wait(delivered());
    let first = world.spawn_purchase(keyed(&world, "R1", "K1", 1));
    until(|| world.a.count(Call::Submit) == 1).await;
    let second = world.engine.purchase(keyed(&world, "R1", "K1", 1)).await;
    assert_eq!(second.unwrap_err(), IdempotencyRunning.into());
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
        while let Some(outcome) = buyers.join_next().await {
            match outcome.unwrap() {
                Ok(PurchaseOutcome::Bought { .. }) => winners += 1,
                Ok(PurchaseOutcome::Repeated { .. }) | Err(BuyRefused::IdempotencyRunning(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(winners, 1);
    }
    assert_eq!(world.a.count(Call::Submit), 20);
    world.assert_sound().await;
}
