//! A client that hangs up, and a process that ends, at the worst moment.

use crate::world::*;
use domain::purchase::settle::ASK_AFTER;
use domain::{EnquiryOutcome, State};
use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

/// The client hangs up while the submit is in flight: the purchase is settled all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_changes_nothing() {
    let world = world().await;
    let gate = world.a.submits_wait(delivered());
    let impatient = world.engine.purchase(world.request("R1", TO_A));
    let cut = tokio::time::timeout(Duration::from_millis(200), impatient).await;
    assert!(cut.is_err());
    let id = world.latest();
    assert_eq!(world.state(id), State::Sent);
    gate.add_permits(1);
    until(|| world.state(id) == State::Delivered).await;
    world.assert_sound().await;
}

/// The client hangs up during the first commit: what was committed is also sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_during_the_commit_changes_nothing() {
    let world = world().await;
    world.a.on_submit(|_| Reply::With(delivered()));
    world.keep_a_number(TO_A).await;
    let mut hasty = Box::pin(world.engine.purchase(world.request("R1", TO_A)));
    // The first poll puts the change in the writer's queue (or the work in a task); then the client
    // is gone.
    assert!(hasty.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(hasty);
    until(|| world.a.count(Call::Submit) == 2).await;
    let id = world.latest();
    until(|| world.state(id) == State::Delivered).await;
    world.assert_sound().await;
}

/// As above, at each step while a quote is accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_while_accepting_changes_nothing() {
    let world = world().await;
    for polls in 1..4 {
        let quote =
            world.engine.quote(world.request(&format!("Q{polls}"), TO_A)).await.unwrap().purchase;
        let caller = world.caller();
        let mut hasty = Box::pin(world.engine.authorise(&caller, quote.key.id));
        for _ in 0..polls {
            let polled = hasty.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            tokio::time::sleep(Duration::from_millis(30)).await;
            if polled.is_ready() {
                break;
            }
        }
        drop(hasty);
        // If it is held, a worker sends it; if it was sent, it is not sent again.
        world.work_until(|| world.state(quote.key.id) == State::Delivered).await;
        assert_eq!(world.a.count(Call::Submit), polls);
    }
    assert_eq!(world.a.count(Call::Enquire), 0);
    world.assert_sound().await;
}

/// The upstream never answers: after 20 s the attempt is in doubt and the client has its answer.
#[tokio::test]
async fn an_upstream_that_never_answers_leaves_doubt() {
    let world = world().await;
    world.a.on_submit(|_| Reply::Never);
    let buying = world.spawn_purchase(world.request("R1", TO_A));
    until(|| world.a.count(Call::Submit) == 1).await;
    // From here on everything waits for timers only.
    tokio::time::pause();
    let bought = bought(buying.await.unwrap());
    assert!(matches!(bought.state, State::Sent | State::InDoubt));
    until(|| world.state(bought.key.id) == State::InDoubt).await;
    assert_eq!(world.wallet(), (START - TOTAL, TOTAL, 0));
    world.assert_sound().await;
}

/// The process ends with a submit in flight. The next one enquires and never submits again.
#[test]
fn after_a_crash_it_enquires_and_never_submits_again() {
    let almost = GRACE - Duration::from_micros(1);
    let answers: [(EnquiryOutcome, Duration, State); 6] = [
        (delivered(), Duration::ZERO, State::Delivered),
        (refused(), Duration::ZERO, State::Failed),
        (unknown(), Duration::ZERO, State::InDoubt),
        (EnquiryOutcome::NotFound, Duration::ZERO, State::InDoubt),
        (EnquiryOutcome::NotFound, almost, State::InDoubt),
        (EnquiryOutcome::NotFound, GRACE, State::Failed),
    ];
    for (answer, quiet, end) in answers {
        let process = tokio::runtime::Runtime::new().unwrap();
        let world = process.block_on(async {
            let world = world().await;
            world.a.on_submit(|_| Reply::Never);
            let buying = world.engine.purchase(world.request("R1", TO_A));
            let _ = tokio::time::timeout(Duration::from_millis(100), buying).await;
            until(|| world.a.count(Call::Submit) == 1).await;
            world
        });
        drop(process);
        let (database, clock, merchant) = world.closed();
        assert!(database.is_free(), "a task of the ended process still has the engine");
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let mut world = started(database, clock);
            world.merchant = merchant;
            let id = world.latest();
            assert_eq!(world.state(id), State::Sent);
            world.a.answers(delivered(), answer.clone());
            // "Not found" counts only after the grace. On SQLite it begins when this process
            // starts; on a shared database, when another node's call must have ended.
            if world.database.is_shared() && answer == EnquiryOutcome::NotFound {
                world.enquire(&world.a, 1).await;
                world.clock.advance(ASK_AFTER);
            }
            world.clock.advance(quiet);
            world.enquire(&world.a, 1).await;
            if end == State::Failed && answer == EnquiryOutcome::NotFound {
                // It must be said twice.
                assert_eq!(world.state(id), State::InDoubt);
                world.clock.advance(Duration::from_secs(1));
                world.enquire(&world.a, 1).await;
            }
            assert_eq!(world.state(id), end, "{answer:?}");
            assert_eq!(world.a.count(Call::Submit), 0, "{answer:?}");
            assert_eq!(world.buy("R2", TO_A).await.state, State::Delivered);
            world.assert_sound().await;
            world.closed();
        });
    }
}
