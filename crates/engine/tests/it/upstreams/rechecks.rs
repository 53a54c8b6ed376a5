//! Orders that have ended are asked about again, some days after.

use super::{TO_X, world_with_x};
use crate::world::*;
use domain::{Capabilities, EnquiryOutcome, State};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A world in which what `x` has sold is asked about again two days later.
async fn rechecked_world() -> World {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    *x.capabilities.lock().unwrap() = Capabilities { rechecks: &[2], ..CAPABILITIES };
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_was_taken_back_without_a_word_is_found() {
    let world = rechecked_world().await;
    let x = world.factory.upstream("x");
    x.answers(delivered(), reversed());
    let id = world.buy("R1", TO_X).await.key.id;
    let to_a = world.buy("R2", TO_A).await.key.id;
    // On the day after nobody asks.
    world.clock.advance(DAY);
    let workers = world.engine.start_workers().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((world.state(id), x.count(Call::Enquire)), (State::Delivered, 0));
    stop(workers).await;
    world.clock.advance(2 * DAY);
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.state(id) == State::Refunded).await;
    stop(workers).await;
    assert_eq!((world.state(to_a), x.count(Call::Enquire)), (State::Delivered, 1));
    // Once is enough, also after a restart.
    world.clock.advance(DAY);
    let workers = world.engine.start_workers().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(x.count(Call::Enquire), 1);
    stop(workers).await;
    world.assert_sound().await;
}

/// After days an upstream may have forgotten an order: that is no evidence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_end_of_an_order_says_nothing_after_days() {
    for says in [EnquiryOutcome::NotFound, accepted()] {
        let world = rechecked_world().await;
        let x = world.factory.upstream("x");
        x.answers(delivered(), says);
        let id = world.buy("R1", TO_X).await.key.id;
        world.clock.advance(3 * DAY);
        let before = world.summary(id);
        let workers = world.engine.start_workers().await.unwrap();
        until(|| x.count(Call::Enquire) == 1).await;
        stop(workers).await;
        assert_eq!(world.summary(id), before);
        world.assert_sound().await;
    }
}

/// A failure after a delivery moves no money: staff look at it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_is_called_failed_later_is_for_staff() {
    let world = rechecked_world().await;
    let x = world.factory.upstream("x");
    x.answers(delivered(), refused());
    let id = world.buy("R1", TO_X).await.key.id;
    world.clock.advance(3 * DAY);
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.summary(id).contains("case clash")).await;
    stop(workers).await;
    assert_eq!(world.state(id), State::Delivered);
    world.assert_sound().await;
}

/// The answer about one cannot be stored: it is asked about again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_while_the_store_was_away_is_asked_again() {
    let world = rechecked_world().await;
    let x = world.factory.upstream("x");
    x.answers(delivered(), reversed());
    let id = world.buy("R1", TO_X).await.key.id;
    world.clock.advance(3 * DAY);
    world.database.sql("ALTER TABLE events RENAME TO events_away");
    let workers = world.engine.start_workers().await.unwrap();
    until(|| x.count(Call::Enquire) == 1).await;
    // Long enough for the answer to be refused by the store.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    world.database.sql("ALTER TABLE events_away RENAME TO events");
    world.clock.advance(Duration::from_secs(70));
    until(|| world.state(id) == State::Refunded).await;
    stop(workers).await;
    world.assert_sound().await;
}
