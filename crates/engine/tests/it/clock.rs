//! Clocks that step and commits that stall: an order in one upstream's hands is never given to
//! another, nor its money back, because time seems to have passed.

use crate::world::*;
use domain::purchase::lifecycle::State;
use domain::upstream::Outcome;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// A step of the wall clock (NTP, a resumed machine) while the submit is out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_the_clock_sends_nothing_twice() {
    let world = world().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    world.a.on_submit(move |_| Reply::When(held.clone(), delivered()));
    world.a.on_enquire(|_| Reply::Say(Outcome::NotFound));
    let engine = world.engine.clone();
    let request = world.request("R1", TO_A_B);
    let buying = tokio::spawn(async move { engine.purchase(request).await });
    until(|| world.a.count(What::Submit) == 1).await;
    let id = world.engine.latest_purchases(None, 1).unwrap()[0].key.id;
    world.clock.advance(Duration::from_secs(3600));
    let workers = world.engine.start_workers().await.unwrap();
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(world.a.count(What::Enquire), 0, "asked about a submit that is out");
    gate.add_permits(1);
    let _ = buying.await;
    until(|| world.state(id) == State::Delivered).await;
    stop(workers).await;
    assert_eq!(world.b.count(What::Submit), 0, "sent to B while A had it in its hands");
}

/// The same with one route only: the money stays held while the order is on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_the_clock_gives_no_money_back() {
    let world = world().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    world.a.on_submit(move |_| Reply::When(held.clone(), delivered()));
    world.a.on_enquire(|_| Reply::Say(Outcome::NotFound));
    let engine = world.engine.clone();
    let request = world.request("R1", TO_A);
    let buying = tokio::spawn(async move { engine.purchase(request).await });
    until(|| world.a.count(What::Submit) == 1).await;
    let id = world.engine.latest_purchases(None, 1).unwrap()[0].key.id;
    world.clock.advance(Duration::from_secs(3600));
    let workers = world.engine.start_workers().await.unwrap();
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(world.state(id), State::Sent);
    gate.add_permits(1);
    let _ = buying.await;
    until(|| world.state(id) == State::Delivered).await;
    stop(workers).await;
}

/// The commit takes longer than an attempt is left alone (a disk that stalls): it is not sent any
/// more, and the next route delivers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_stalls_sends_nothing_late() {
    let world = world().await;
    world.a.on_submit(|_| Reply::Say(delivered()));
    world.b.on_submit(|_| Reply::Say(delivered()));
    world.a.on_enquire(|_| Reply::Say(Outcome::NotFound));
    let workers = world.engine.start_workers().await.unwrap();
    let stall = world.home.stall();
    let engine = world.engine.clone();
    let request = world.request("R1", TO_A_B);
    let buying = tokio::spawn(async move { engine.purchase(request).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.clock.advance(Duration::from_secs(90));
    stall.let_go();
    buying.await.unwrap().unwrap();
    let id = world.engine.latest_purchases(None, 1).unwrap()[0].key.id;
    until(|| world.state(id) == State::Delivered).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop(workers).await;
    assert_eq!((world.a.count(What::Submit), world.b.count(What::Submit)), (0, 1));
}
