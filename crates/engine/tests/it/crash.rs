//! The end of a client, and of a process, at the worst moment.

use crate::world::*;
use domain::purchase::lifecycle::State;
use domain::purchase::settle::ASK_AFTER;
use domain::upstream::Outcome;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The client hangs up while the upstream works: the purchase is settled all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_changes_nothing() {
    let world = world().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    world.a.on_submit(move |_| Reply::When(held.clone(), delivered()));
    let impatient = world.engine.purchase(world.request("R1", TO_A));
    let cut = tokio::time::timeout(Duration::from_millis(200), impatient).await;
    assert!(cut.is_err());
    let id = world.engine.latest_purchases(None, 1).unwrap()[0].key.id;
    assert_eq!(world.state(id), State::Sent);
    gate.add_permits(1);
    until(|| world.state(id) == State::Delivered).await;
    world.assert_sound().await;
}

/// The client hangs up while the first commit is on its way: what is on record is also sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_during_the_commit_changes_nothing() {
    let world = world().await;
    let mut hasty = Box::pin(world.engine.purchase(world.request("R1", TO_A)));
    // One look puts the change in the writer's queue (or the work in a task); then it is gone.
    assert!(hasty.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(hasty);
    until(|| world.a.count(What::Submit) == 1).await;
    let id = world.engine.latest_purchases(None, 1).unwrap()[0].key.id;
    until(|| world.state(id) == State::Delivered).await;
    world.assert_sound().await;
}

/// As above, at each step of the acceptance of a quote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_while_accepting_changes_nothing() {
    let world = world().await;
    for looks in 1..4 {
        let quote =
            world.engine.quote(world.request(&format!("Q{looks}"), TO_A)).await.unwrap().purchase;
        let caller = world.caller();
        let mut hasty = Box::pin(world.engine.authorise(&caller, quote.key.id));
        for _ in 0..looks {
            let look = hasty.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            tokio::time::sleep(Duration::from_millis(30)).await;
            if look.is_ready() {
                break;
            }
        }
        drop(hasty);
        // Held, it is the worker's to send; sent, it is sent.
        world.work_until(|| world.state(quote.key.id) == State::Delivered).await;
        assert_eq!(world.a.count(What::Submit), looks);
    }
    assert_eq!(world.a.count(What::Enquire), 0);
    world.assert_sound().await;
}

/// An upstream that never answers: the attempt is in doubt after 20 s, and the client is told.
#[tokio::test]
async fn an_upstream_that_never_answers_leaves_doubt() {
    let world = world().await;
    world.a.on_submit(|_| Reply::Hang);
    let (engine, request) = (world.engine.clone(), world.request("R1", TO_A));
    let buying = tokio::spawn(async move { engine.purchase(request).await });
    until(|| world.a.count(What::Submit) == 1).await;
    // From here on nothing but time is waited for.
    tokio::time::pause();
    let bought = bought(buying.await.unwrap());
    assert!(matches!(bought.state, State::Sent | State::InDoubt));
    until(|| world.state(bought.key.id) == State::InDoubt).await;
    assert_eq!(world.wallet(), (START - TOTAL, TOTAL, 0));
    world.assert_sound().await;
}

/// The process dies with a submit out. The next one asks, and never sends again.
#[test]
fn after_a_crash_we_ask_and_never_send_again() {
    let almost = GRACE - Duration::from_micros(1);
    let answers: [(Outcome, Duration, State); 6] = [
        (delivered(), Duration::ZERO, State::Delivered),
        (refused(), Duration::ZERO, State::Failed),
        (unknown(), Duration::ZERO, State::InDoubt),
        (Outcome::NotFound, Duration::ZERO, State::InDoubt),
        (Outcome::NotFound, almost, State::InDoubt),
        (Outcome::NotFound, GRACE, State::Failed),
    ];
    for (answer, quiet, end) in answers {
        let process = tokio::runtime::Runtime::new().unwrap();
        let world = process.block_on(async {
            let world = world().await;
            world.a.on_submit(|_| Reply::Hang);
            let buying = world.engine.purchase(world.request("R1", TO_A));
            let _ = tokio::time::timeout(Duration::from_millis(100), buying).await;
            until(|| world.a.count(What::Submit) == 1).await;
            world
        });
        drop(process);
        let (home, clock, merchant) = world.closed();
        assert!(home.is_free(), "something of the dead process lives");
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let mut world = started(home, clock);
            world.merchant = merchant;
            let id = world.engine.latest_purchases(None, 1).unwrap()[0].key.id;
            assert_eq!(world.state(id), State::Sent);
            world.a.answers(delivered(), answer.clone());
            // "Never received" counts once it was quiet for the grace: here, since this process
            // started; where others may have sent it, since their call must have ended.
            if world.home.is_shared() && answer == Outcome::NotFound {
                world.ask(&world.a, 1).await;
                world.clock.advance(ASK_AFTER);
            }
            world.clock.advance(quiet);
            world.ask(&world.a, 1).await;
            assert_eq!(world.state(id), end, "{answer:?}");
            assert_eq!(world.a.count(What::Submit), 0, "{answer:?}");
            assert_eq!(world.buy("R2", TO_A).await.state, State::Delivered);
            world.assert_sound().await;
            world.closed();
        });
    }
}
