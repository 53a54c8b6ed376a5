//! Quotes: a price that holds for a quarter of an hour, and its acceptance.

use crate::world::*;
use domain::Refusal;
use domain::journal::Reason;
use domain::lifecycle::State;
use engine::{Paper, Wish};
use std::time::Duration;
use tokio::task::JoinSet;

const QUARTER: Duration = Duration::from_secs(15 * 60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quote_is_charged_once_however_often_it_is_accepted() {
    let world = world().await;
    let quote = world.engine.quote(world.wish("Q1", TO_A)).await.unwrap().purchase;
    assert_eq!((quote.state, quote.fee), (State::Quoted, bdt(FEE)));
    assert_eq!(world.wallet(), (START, 0, 0));
    let mut asks = JoinSet::new();
    for _ in 0..16 {
        let (engine, caller) = (world.engine.clone(), world.caller());
        asks.spawn(async move { engine.authorise(&caller, quote.key.id).await });
    }
    while let Some(answer) = asks.join_next().await {
        let now = answer.unwrap().unwrap();
        assert!(matches!(now.state, State::Held | State::Sent | State::Delivered), "{now:?}");
    }
    until(|| world.state(quote.key.id) == State::Delivered).await;
    let after = world.engine.authorise(&world.caller(), quote.key.id).await.unwrap();
    assert_eq!((after.state, after.available_after), (State::Delivered, bdt(START - TOTAL)));
    assert_eq!(world.a.count(What::Submit), 1);
    assert_eq!(world.wallet(), (START - TOTAL, 0, COMMISSION));
    world.assert_sound().await;
}

#[tokio::test]
async fn the_answer_to_an_acceptance_tells_what_is_left() {
    let world = world().await;
    let quote = world.engine.quote(world.wish("Q1", TO_A)).await.unwrap().purchase;
    world.buy("R1", TO_A).await;
    let accepted = world.engine.authorise(&world.caller(), quote.key.id).await.unwrap();
    assert_eq!(accepted.state, State::Delivered);
    assert_eq!(accepted.available_after, bdt(START - 2 * TOTAL));
    assert_eq!(accepted, world.now(quote.key.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quote_expires_whether_or_not_a_worker_runs() {
    let world = world().await;
    let [swept, unswept, kept] = {
        let mut ids = Vec::new();
        for name in ["Q1", "Q2", "Q3"] {
            ids.push(world.engine.quote(world.wish(name, TO_A)).await.unwrap().purchase.key.id);
        }
        [ids[0], ids[1], ids[2]]
    };
    world.clock.advance(QUARTER - Duration::from_secs(1));
    assert_eq!(
        world.engine.authorise(&world.caller(), kept).await.unwrap().state,
        State::Delivered
    );
    world.clock.advance(Duration::from_secs(1));
    // No worker has run: the time is over all the same.
    let late = world.engine.authorise(&world.caller(), unswept).await;
    assert_eq!(late.unwrap_err(), Refusal::QuoteExpired);
    world.work_until(|| world.state(swept) == State::Rejected).await;
    let late = world.engine.authorise(&world.caller(), swept).await;
    assert_eq!(late.unwrap_err(), Refusal::QuoteExpired);
    assert_eq!(world.wallet(), (START - TOTAL, 0, COMMISSION));
    world.assert_sound().await;
}

#[tokio::test]
async fn short_of_money_the_quote_stays_open() {
    let world = world().await;
    let wish = Wish { amount: bdt(START), ..world.wish("Q1", TO_A) };
    let quote = world.engine.quote(wish).await.unwrap().purchase;
    let caller = world.caller();
    let short = world.engine.authorise(&caller, quote.key.id).await.unwrap_err();
    assert_eq!(short, Refusal::Short { available: bdt(START) });
    assert_eq!((world.state(quote.key.id), world.a.count(What::Submit)), (State::Quoted, 0));
    let paper = Paper { reference: "more", by: "rahim", note: "paid in" };
    let place = (world.merchant, caller.environment);
    world.engine.fund(Reason::Deposit, place, bdt(FEE), paper).await.unwrap();
    let accepted = world.engine.authorise(&caller, quote.key.id).await.unwrap();
    assert_eq!((accepted.state, world.wallet().0), (State::Delivered, 0));
    world.assert_sound().await;
}

#[tokio::test]
async fn a_quote_is_its_owners() {
    let world = world().await;
    let quote = world.engine.quote(world.wish("Q1", TO_A)).await.unwrap().purchase;
    let other = world.caller_of(world.account("other").await);
    let answer = world.engine.authorise(&other, quote.key.id).await;
    assert_eq!(answer.unwrap_err(), Refusal::PurchaseUnknown);
    let again = world.engine.quote(world.wish("Q1", TO_A)).await.unwrap_err();
    assert!(matches!(again, Refusal::ReferenceKnown(Some(_))), "{again:?}");
}
