//! Idempotency keys: a repeated request gets its first answer; a different request under the same
//! key is refused.

use crate::world::*;
use domain::{ReferenceScope, State};
use engine::{Idempotency, PurchaseOutcome, PurchaseRequest, Replay};
use std::time::Duration;
use tokio::task::JoinSet;

const SCOPE: ReferenceScope = ReferenceScope::IrechargeKey;

fn keyed(world: &World, reference: &str, key: &str, digest: u8) -> PurchaseRequest {
    let key = Idempotency { scope: SCOPE, key: key.to_owned(), digest: [digest; 32] };
    PurchaseRequest { idempotency: Some(key), ..world.request(reference, TO_A) }
}

#[tokio::test]
async fn the_same_request_gets_the_first_answer() {
    let world = world().await;
    let first = world.engine.purchase(keyed(&world, "R1", "K1", 1)).await.unwrap();
    let PurchaseOutcome::Bought { key: Some(key), .. } = first else { panic!("{first:?}") };
    let again = world.engine.purchase(keyed(&world, "R1", "K1", 1)).await;
    assert_eq!(again.unwrap_err(), IdempotencyRunning.into(), "the first is not answered yet");
    let answer = Replay { status: 201, body: "{\"a\":1}".to_owned() };
    world.engine.remember(key.clone(), answer.clone()).await;
    let later = Replay { status: 500, body: "later".to_owned() };
    world.engine.remember(key, later).await;
    let again = world.engine.purchase(keyed(&world, "R1", "K1", 1)).await.unwrap();
    let PurchaseOutcome::Repeated { replay: Some(replay), .. } = again else { panic!("{again:?}") };
    assert_eq!(replay, answer);
    assert_eq!((world.a.count(Call::Submit), world.wallet().0), (1, START - TOTAL));
}

#[tokio::test]
async fn after_a_lost_first_answer_the_purchase_is_shown_as_it_is_now() {
    let world = world().await;
    let first = bought(world.engine.purchase(keyed(&world, "R1", "K1", 1)).await);
    // On several nodes another one may still be about to answer.
    let again = world.engine.purchase(keyed(&world, "R1", "K1", 1)).await;
    assert_eq!(again.is_err(), world.database.is_shared(), "{again:?}");
    world.clock.advance(Duration::from_secs(25));
    let again = world.engine.purchase(keyed(&world, "R1", "K1", 1)).await.unwrap();
    let PurchaseOutcome::Repeated { purchase, replay: None } = again else { panic!("{again:?}") };
    assert_eq!(*purchase, first);
}

/// Two nodes know nothing of each other's requests until they commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_on_two_nodes_buys_once_and_is_running_on_the_other() {
    let first = world().await;
    let folder = tempfile::tempdir().unwrap();
    let Some(store) = first.database.open_for_node(folder.path()) else { return };
    let (database, clock) = (first.database.clone(), first.clock.clone());
    let second = started_on(store, database, clock, Services::default());
    for round in 0..20 {
        let (reference, key) = (format!("R{round}"), format!("K{round}"));
        let mut buyers = JoinSet::new();
        for node in [&first, &second, &first, &second] {
            let request = keyed(&first, &reference, &key, 1);
            let engine = node.engine.clone();
            buyers.spawn(async move { engine.purchase(request).await });
        }
        let mut winners = 0;
        while let Some(outcome) = buyers.join_next().await {
            match outcome.unwrap() {
                Ok(PurchaseOutcome::Bought { .. }) => winners += 1,
                Err(BuyRefused::IdempotencyRunning(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(winners, 1);
    }
    first.assert_sound().await;
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
