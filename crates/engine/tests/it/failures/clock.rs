//! Clocks that jump and commits that stall: because time seems to have passed, an order that one
//! upstream has is neither sent to another nor refunded.

use crate::world::*;
use domain::{EnquiryOutcome, State};
use std::time::Duration;

/// The wall clock jumps (NTP, a resumed machine) while the submit is in flight.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_of_the_clock_sends_nothing_twice() {
    let world = world().await;
    let gate = world.a.submits_wait(delivered());
    world.a.on_enquire(|_| Reply::With(EnquiryOutcome::NotFound));
    let buying = world.spawn_purchase(world.request("R1", TO_A_B));
    until(|| world.a.count(Call::Submit) == 1).await;
    let id = world.latest();
    world.clock.advance(Duration::from_secs(3600));
    let workers = world.engine.start_workers().await.unwrap();
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(world.a.count(Call::Enquire), 0, "enquired about a submit in flight");
    gate.add_permits(1);
    let _ = buying.await;
    until(|| world.state(id) == State::Delivered).await;
    stop(workers).await;
    assert_eq!(world.b.count(Call::Submit), 0, "sent to B while A had the order");
}

/// The same with one upstream only: the money stays held while the submit is in flight.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_of_the_clock_refunds_nothing() {
    let world = world().await;
    let gate = world.a.submits_wait(delivered());
    world.a.on_enquire(|_| Reply::With(EnquiryOutcome::NotFound));
    let buying = world.spawn_purchase(world.request("R1", TO_A));
    until(|| world.a.count(Call::Submit) == 1).await;
    let id = world.latest();
    world.clock.advance(Duration::from_secs(3600));
    let workers = world.engine.start_workers().await.unwrap();
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(world.state(id), State::Sent);
    gate.add_permits(1);
    let _ = buying.await;
    until(|| world.state(id) == State::Delivered).await;
    stop(workers).await;
}

/// A commit takes longer than the time after which the attempt's job is due (a disk that stalls):
/// the order is not sent to that upstream any more, and the next one delivers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_stalls_sends_nothing_late() {
    let world = world().await;
    world.a.on_submit(|_| Reply::With(delivered()));
    world.b.on_submit(|_| Reply::With(delivered()));
    world.a.on_enquire(|_| Reply::With(EnquiryOutcome::NotFound));
    world.keep_a_number(TO_A).await;
    let workers = world.engine.start_workers().await.unwrap();
    let blocked = world.database.block_commits();
    let buying = world.spawn_purchase(world.request("R1", TO_A_B));
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.clock.advance(Duration::from_secs(90));
    blocked.release();
    buying.await.unwrap().unwrap();
    let id = world.latest();
    until(|| world.state(id) == State::Delivered).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop(workers).await;
    assert_eq!((world.a.count(Call::Submit), world.b.count(Call::Submit)), (1, 1));
}
