//! The store cannot write for a while: what upstreams say meanwhile about purchases that are
//! closed, unasked or when they are asked after a callback, is stored once it can.

use crate::world::*;
use domain::{Callback, PurchaseId, State};
use engine::CallbackResult;
use std::time::Duration;

/// Every step that ends a purchase or takes it back writes an event, every clash a case.
const AWAY: &str =
    "ALTER TABLE events RENAME TO events_away; ALTER TABLE cases RENAME TO cases_away";
const BACK: &str =
    "ALTER TABLE events_away RENAME TO events; ALTER TABLE cases_away RENAME TO cases";
/// Within this time what was reported has been tried once.
const TRIED_WITHIN: Duration = Duration::from_millis(700);

fn callback(id: PurchaseId) -> Callback {
    Callback::post(Vec::new(), format!("genuine S{id}-1 taken back").into_bytes())
}

fn clashes(world: &World, id: PurchaseId) -> usize {
    let cases = world.engine.open_cases().unwrap();
    cases.iter().filter(|case| case.key.id == id && case.why == "clash").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_unasked_while_the_store_is_away_is_stored_when_it_is_back() {
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    let mut sold = Vec::new();
    for n in 0..5 {
        sold.push(world.buy(&format!("R{n}"), TO_A).await.key.id);
    }
    world.a.answers(refused(), unknown());
    let late = world.buy("L", TO_A).await.key.id;
    world.a.answers(unknown(), unknown());
    let both = world.buy("B", TO_A).await.key.id;
    assert_eq!((world.state(late), world.state(both)), (State::Failed, State::InDoubt));
    world.database.sql(AWAY);
    for id in &sold {
        world.report(*id, 1, reversed());
    }
    world.report(late, 1, delivered());
    // In this order alone it ends refunded without a case.
    world.report(both, 1, delivered());
    world.report(both, 1, reversed());
    tokio::time::sleep(TRIED_WITHIN).await;
    world.database.sql(BACK);
    until(|| world.state(both) == State::Refunded).await;
    until(|| sold.iter().all(|id| world.state(*id) == State::Refunded)).await;
    until(|| clashes(&world, late) == 1).await;
    assert_eq!((world.state(late), clashes(&world, both)), (State::Failed, 0));
    // What comes later is applied at once.
    world.all_reports_processed("Z").await;
    stop(workers).await;
    world.assert_sound().await;
}

/// The workers stop while updates wait: they are tried once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_when_the_workers_stop_is_tried_once_more() {
    let world = world().await;
    let id = world.buy("R1", TO_A).await.key.id;
    let workers = world.engine.start_workers().await.unwrap();
    world.database.sql(AWAY);
    world.report(id, 1, reversed());
    tokio::time::sleep(TRIED_WITHIN).await;
    world.database.sql(BACK);
    stop(workers).await;
    assert_eq!(world.state(id), State::Refunded);
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_after_a_callback_is_stored_when_the_store_is_back() {
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    let id = world.buy("R1", TO_A).await.key.id;
    world.a.answers(unknown(), reversed());
    world.database.sql(AWAY);
    let result = world.engine.receive_callback("a", &callback(id)).await;
    assert_eq!(result, CallbackResult::Accepted(None));
    until(|| world.a.count(Call::Enquire) >= 1).await;
    tokio::time::sleep(TRIED_WITHIN).await;
    world.database.sql(BACK);
    until(|| world.state(id) == State::Refunded).await;
    stop(workers).await;
    world.assert_sound().await;
}

/// The upstream has called about a closed purchase, and does not answer: it is asked again, also
/// by the next process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_without_an_answer_is_taken_up_after_a_restart() {
    let first = world().await;
    let workers = first.engine.start_workers().await.unwrap();
    let id = first.buy("R1", TO_A).await.key.id;
    first.a.answers(unknown(), unknown());
    let result = first.engine.receive_callback("a", &callback(id)).await;
    assert_eq!(result, CallbackResult::Accepted(None));
    until(|| first.a.count(Call::Enquire) >= 2).await;
    stop(workers).await;
    let merchant = first.merchant;
    let (database, clock, _) = first.closed();
    until(|| database.is_free()).await;
    let second = World { merchant, ..started(database, clock) };
    second.a.answers(unknown(), reversed());
    let workers = second.engine.start_workers().await.unwrap();
    until(|| second.state(id) == State::Refunded).await;
    stop(workers).await;
    second.assert_sound().await;
}
