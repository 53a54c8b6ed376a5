//! Numbers: small from the first sale, in order, and never given twice.

use crate::world::*;
use domain::{AttemptRef, Currency, Environment, PurchaseNumber, Role, State};
use engine::NewAccount;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinSet;

/// What a client sees of a new house are the first numbers of each kind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_sales_have_small_numbers() {
    let world = world().await;
    world.a.answers(delivered(), delivered());
    // The house is account 1.
    assert_eq!(world.merchant.0, 2);
    let (key, _) = world.engine.make_key(world.merchant, Environment::Live).await.unwrap();
    assert_eq!(key.0, 1);
    for n in 1..=3 {
        let bought = world.buy(&format!("R{n}"), TO_A).await;
        assert_eq!(bought.key.id.number(), PurchaseNumber(n));
        // Upstreams allow as little as 12 characters.
        let attempt = bought.latest_attempt().unwrap();
        assert_eq!(attempt.to_string(), format!("S{n}-1"));
        assert_eq!(AttemptRef::parse(&attempt.to_string()), Some(attempt));
        assert_eq!(
            world.engine.purchase_by_id(&world.caller(), attempt.purchase).await,
            Ok(bought)
        );
    }
    world.assert_sound().await;
}

/// Buyers do not stand in a line for their numbers: while nothing can be stored, the twelfth is
/// answered as soon as the first, and the money is where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nothing_can_be_stored_nobody_waits_for_the_buyer_before() {
    let world = world().await;
    world.a.answers(delivered(), delivered());
    let blocked = world.database.block_commits();
    let mut buyers = JoinSet::new();
    for n in 0..12 {
        let (engine, request) = (world.engine.clone(), world.request(&format!("R{n}"), TO_A));
        buyers.spawn(async move { engine.purchase(request).await });
    }
    let answers = tokio::time::timeout(Duration::from_secs(30), buyers.join_all()).await;
    blocked.release();
    let answers = answers.unwrap();
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    assert_eq!(world.buy("after", TO_A).await.state, State::Delivered);
    world.assert_sound().await;
}

/// What is refused leaves no gap, and a start gives no number again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_number_is_lost_by_a_refusal_or_given_again_after_a_start() {
    let world = world().await;
    world.a.answers(delivered(), delivered());
    let first = world.buy("R1", TO_A).await.key.id.number();
    let known = world.engine.purchase(world.request("R1", TO_A)).await;
    assert!(known.is_err(), "{known:?}");
    let mut given = BTreeSet::from([first]);
    let second = world.buy("R2", TO_A).await.key.id.number();
    assert_eq!(second.0, first.0 + 1);
    given.insert(second);
    let mut world = world;
    for start in 0..3 {
        let (database, clock, merchant) = world.closed();
        until(|| database.is_free()).await;
        world = started(database, clock);
        world.merchant = merchant;
        world.a.answers(delivered(), delivered());
        for n in 0..3 {
            let bought = world.buy(&format!("S{start}-{n}"), TO_A).await;
            let number = bought.key.id.number();
            assert!(given.last() < Some(&number), "{number} after {given:?}");
            given.insert(number);
        }
        let new = NewAccount {
            role: Role::Merchant,
            name: "another",
            subscription: None,
            currencies: &[Currency::BDT],
        };
        assert_eq!(world.engine.open_account(new).await.unwrap().0, 3 + start);
    }
    assert_eq!(given.len(), 11);
    world.assert_sound().await;
}
