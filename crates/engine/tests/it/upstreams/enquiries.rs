//! When, and how many at once: enquiries at an upstream that hangs, is silent, or has a schedule of
//! its own.

use super::{TO_X, new, world_with_x};
use crate::world::*;
use domain::retry::RetrySchedule;
use domain::{Capabilities, Catalog, Clock as _, PurchaseId, State};
use std::time::Duration;

const TO_Y: &str = "01712345676";
/// More than jobs run at once.
const MANY: usize = 70;
const SECOND: Duration = Duration::from_secs(1);

async fn add_y(world: &World) {
    world.engine.add_upstream(new("y")).await.unwrap();
    let route = fixtures::route(30, &["y"]);
    let route = domain::Route { recipient_ends: Some("6".to_owned()), ..route };
    let catalog = Catalog { routes: vec![route], ..Catalog::default() };
    world.engine.set_catalog(catalog).await.unwrap();
}

/// When its job is due, in microseconds; a job that runs is due when its lease ends.
fn due_at(world: &World, id: PurchaseId) -> i64 {
    let due = world.database.sql(&format!("SELECT due_at FROM jobs WHERE purchase_id = {}", id.0));
    due[0].parse().unwrap()
}

/// How often it was put off: it changes when an enquiry is over and the next one is set.
fn tries(world: &World, id: PurchaseId) -> u32 {
    let tries = format!("SELECT tries FROM jobs WHERE purchase_id = {}", id.0);
    world.database.sql(&tries)[0].parse().unwrap()
}

/// Else a dead upstream's enquiries hold every worker until they time out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_hangs_leaves_others_their_enquiries_and_is_asked_one_thing_at_a_time() {
    let world = world_with_x().await;
    add_y(&world).await;
    let (x, y) = (world.factory.upstream("x"), world.factory.upstream("y"));
    x.answers(accepted(), unknown());
    y.answers(accepted(), delivered());
    let mut at_x = Vec::new();
    for n in 0..MANY {
        at_x.push(world.buy(&format!("X{n}"), TO_X).await.key.id);
    }
    let at_y = world.buy("Y", TO_Y).await.key.id;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let permits = gate.clone();
    x.on_enquire(move |_| Reply::After(permits.clone(), unknown()));
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.state(at_y) == State::Delivered).await;
    let asked = x.count(Call::Enquire);
    assert!((1..=48).contains(&asked), "{asked} enquiries hang at x");
    // All end without an answer, after a while. From then on one at a time is tried.
    until(|| x.count(Call::Enquire) == 48).await;
    world.clock.advance(6 * SECOND);
    gate.add_permits(48);
    for _ in 0..4 {
        world.clock.advance(20 * SECOND);
        until(|| x.count(Call::Enquire) == 49).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(x.count(Call::Enquire), 49);
    }
    // It answers again: within a minute everything is known.
    x.on_enquire(|_| Reply::With(delivered()));
    gate.add_permits(1);
    for _ in 0..3 {
        world.clock.advance(20 * SECOND);
        let due = "SELECT count(*) FROM jobs WHERE due_at <=";
        until(|| world.database.sql(&format!("{due} {}", world.clock.now().0)) == ["0"]).await;
    }
    until(|| at_x.iter().all(|id| world.state(*id) == State::Delivered)).await;
    stop(workers).await;
    world.assert_sound().await;
}

/// However long it was silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_is_found_within_a_minute_after_a_silent_upstream_answers_again() {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    x.answers(unknown(), unknown());
    let lost = world.buy("R1", TO_X).await.key.id;
    let workers = world.engine.start_workers().await.unwrap();
    // A job that runs is due when its lease ends, after a minute.
    let is_set = || (1..=20_000_000).contains(&(due_at(&world, lost) - world.clock.now().0));
    for n in 1..=12 {
        until(|| x.count(Call::Enquire) == n && is_set()).await;
        world.clock.advance(20 * SECOND);
    }
    until(|| x.count(Call::Enquire) == 13 && is_set()).await;
    x.answers(delivered(), delivered());
    world.clock.advance(20 * SECOND);
    until(|| world.state(lost) == State::Delivered).await;
    stop(workers).await;
}

/// However often it was asked about before: each start asks, and what was answered then decided
/// nothing yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_was_often_asked_about_is_asked_again_soon_after_a_lost_answer() {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    x.answers(unknown(), unknown());
    let lost = world.buy("R1", TO_X).await.key.id;
    world.database.sql("UPDATE jobs SET tries = 12");
    x.on_submit(|_| Reply::With(delivered()));
    world.buy("R2", TO_X).await;
    world.clock.advance(6 * SECOND);
    let workers = world.engine.start_workers().await.unwrap();
    until(|| tries(&world, lost) == 13).await;
    assert_eq!(due_at(&world, lost) - world.clock.now().0, 20_000_000);
    stop(workers).await;
}

/// An order that alone gets no answer for half an hour is asked about by the schedule.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_without_an_answer_is_asked_about_by_the_schedule() {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    x.answers(unknown(), unknown());
    let mute = world.buy("R1", TO_X).await.key.id;
    x.on_submit(|_| Reply::With(delivered()));
    let workers = world.engine.start_workers().await.unwrap();
    let mut waits = Vec::new();
    for n in 0..12 {
        until(|| tries(&world, mute) == n + 1).await;
        let wait = (due_at(&world, mute) - world.clock.now().0) / 1_000_000;
        waits.push(wait);
        // Others are answered meanwhile.
        world.buy(&format!("D{n}"), TO_X).await;
        let before = x.count(Call::Enquire);
        let more = if n == 7 { 1_800 } else { 0 };
        world.clock.advance((u32::try_from(wait).unwrap() + more) * SECOND);
        until(|| x.count(Call::Enquire) > before).await;
    }
    assert_eq!(waits, [15, 20, 20, 20, 20, 20, 20, 20, 1_800, 1_800, 1_800, 1_800]);
    stop(workers).await;
}

/// From its first enquiry on.
#[tokio::test]
async fn an_upstream_is_asked_by_its_own_schedule() {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    const WAITS: [Duration; 2] = [Duration::from_secs(40), Duration::from_secs(90)];
    let enquiries = RetrySchedule::new(&WAITS);
    *x.capabilities.lock().unwrap() = Capabilities { enquiries, ..CAPABILITIES };
    x.answers(accepted(), accepted());
    let bought = world.buy("R1", TO_X).await.key.id;
    let due = NOW.after(Duration::from_secs(40));
    assert_eq!(due_at(&world, bought), due.0);
}

/// Also after an enquiry that was answered "accepted": it is no new attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_an_enquiry_finds_accepted_is_asked_about_by_the_schedule() {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    x.answers(unknown(), accepted());
    let lost = world.buy("R1", TO_X).await.key.id;
    world.clock.advance(6 * SECOND);
    world.enquire(&x, 1).await;
    until(|| world.state(lost) == State::Sent).await;
    assert_eq!(due_at(&world, lost) - world.clock.now().0, 5_000_000);
}
