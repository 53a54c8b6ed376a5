//! The wall clock decides nothing alone: it jumps while the engine runs, over a restart, on one of
//! two nodes; it is years off at a start.

use crate::world::*;
use domain::refusal::StaffRefused;
use domain::{Clock, EnquiryOutcome, Month, State};
use std::fmt::Debug;
use std::time::Duration;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// Time for a few rounds of the workers, and for a look at the clock.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(1500)).await;
}

/// The wall clock has been steady for a minute, and is adopted.
async fn adopted(world: &World) {
    a_moment().await;
    world.clock.advance(Duration::from_secs(61));
    until(|| world.engine.now().0.abs_diff(world.clock.now().0) < 1_000_000).await;
}

async fn restarted(world: World) -> World {
    let (database, clock, merchant) = world.closed();
    until(|| database.is_free()).await;
    World { merchant, ..started(database, clock) }
}

/// As [`restarted`], by an operator who says that the clock is right.
async fn restarted_accepting(world: World) -> World {
    let (database, clock, merchant) = world.closed();
    until(|| database.is_free()).await;
    let services = Services { is_clock_accepted: true, ..Services::default() };
    World { merchant, ..started_with(database, clock, services) }
}

fn is_unavailable<T, E: Debug>(answer: &Result<T, E>) -> bool {
    answer.as_ref().is_err_and(|refused| format!("{refused:?}").starts_with("Unavailable"))
}

/// How much of the job's wait is left, in seconds.
fn job_due_in_s(world: &World) -> i64 {
    let due: i64 = world.database.sql("SELECT due_at FROM jobs")[0].parse().unwrap();
    (due - world.engine.now().0) / 1_000_000
}

fn newest_month(world: &World) -> String {
    world.database.sql("SELECT max(month) FROM journals")[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_for_seconds_rejects_nothing() {
    let world = world().await;
    let id = world.buy("R1", TO_A_AFTER_APPROVAL).await.key.id;
    let quote = world.engine.quote(world.request("Q1", TO_A)).await.unwrap().purchase.key.id;
    let workers = world.engine.start_workers().await.unwrap();
    world.clock.jump(2 * DAY);
    a_moment().await;
    world.clock.advance(Duration::from_millis(2500));
    a_moment().await;
    world.clock.jump(-2 * DAY);
    a_moment().await;
    assert_eq!((world.state(id), world.state(quote)), (State::Awaiting, State::Quoted));
    assert_eq!(world.wallet(), (START - TOTAL, TOTAL, 0));
    assert_eq!(
        world.engine.authorise(&world.caller(), quote).await.unwrap().state,
        State::Delivered
    );
    // Only the time that passed ends it.
    world.clock.advance(Duration::from_secs(24 * 3600));
    until(|| world.state(id) == State::Rejected).await;
    stop(workers).await;
    world.assert_sound().await;
}

/// The same over a restart with another clock, and when the clock stays where it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_with_another_clock_ends_nothing() {
    let world = world().await;
    world.a.answers(unknown(), unknown());
    let waits = world.buy("R1", TO_A_AFTER_APPROVAL).await.key.id;
    let doubt = world.buy("R2", TO_A).await.key.id;
    world.work_until(|| true).await;
    world.clock.jump(3 * DAY);
    let world = restarted(world).await;
    world.a.answers(unknown(), unknown());
    world.enquire(&world.a, 1).await;
    a_moment().await;
    assert_eq!((world.state(waits), world.state(doubt)), (State::Awaiting, State::InDoubt));
    // While it runs, too.
    let workers = world.engine.start_workers().await.unwrap();
    world.clock.jump(3 * DAY);
    adopted(&world).await;
    a_moment().await;
    until_asked(&world, Duration::from_secs(5 * 60)).await;
    a_moment().await;
    assert_eq!((world.state(waits), world.state(doubt)), (State::Awaiting, State::InDoubt));
    // Each jump counts for an hour at most.
    world.clock.advance(Duration::from_secs(23 * 3600));
    until(|| world.state(waits) == State::Rejected).await;
    stop(workers).await;
    world.assert_sound().await;
}

/// Lets this much time pass, and the upstream be asked. On a busy machine the enquiry before may
/// be put off only after the first step of the clock; then the second one reaches the next.
async fn until_asked(world: &World, wait: Duration) {
    let asked = world.a.count(Call::Enquire);
    let is_asked = || world.a.count(Call::Enquire) > asked;
    world.clock.advance(wait);
    if tokio::time::timeout(Duration::from_secs(10), until(is_asked)).await.is_err() {
        world.clock.advance(wait);
        until(is_asked).await;
    }
}

/// The server ran six hours ahead; then its clock is put right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_put_right_leaves_the_schedule() {
    for is_restarted in [false, true] {
        let clock = std::sync::Arc::new(TestClock::default());
        clock.jump(6 * HOUR);
        let mut world = world_with(clock, Services::default()).await;
        world.a.answers(unknown(), unknown());
        let id = world.buy("R1", TO_A).await.key.id;
        let mut workers = world.engine.start_workers().await.unwrap();
        // Until the waits are five minutes.
        for wait in [5, 15, 60, 300] {
            until_asked(&world, Duration::from_secs(wait)).await;
            a_moment().await;
        }
        let planned = job_due_in_s(&world);
        assert!((250..=300).contains(&planned), "{planned}");
        world.clock.jump(-6 * HOUR);
        if is_restarted {
            stop(workers).await;
            world = restarted(world).await;
            world.a.answers(unknown(), unknown());
            workers = world.engine.start_workers().await.unwrap();
            // What a start takes over is due at once; then the schedule begins anew. A job that
            // runs is due when its lease ends, after a minute.
            let is_set = || (1..=30).contains(&job_due_in_s(&world));
            until(|| world.a.count(Call::Enquire) > 0 && is_set()).await;
        } else {
            adopted(&world).await;
            let right = planned - 63..=planned - 59;
            until(|| right.contains(&job_due_in_s(&world))).await;
        }
        world.a.answers(unknown(), delivered());
        world.clock.advance(Duration::from_secs(240 + 30));
        until(|| world.state(id) == State::Delivered).await;
        stop(workers).await;
        world.assert_sound().await;
    }
}

/// One purchase while the clock says 2031.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_bought_years_ahead_is_refused_and_nothing_is_stored() {
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    let quote = world.engine.quote(world.request("Q1", TO_A)).await.unwrap().purchase.key.id;
    let month = newest_month(&world);
    world.clock.jump(5 * YEAR);
    for _ in 0..2 {
        let sold = world.engine.purchase(world.request("R1", TO_A)).await;
        assert!(is_unavailable(&sold), "{sold:?}");
        assert!(is_unavailable(&world.engine.quote(world.request("Q2", TO_A)).await));
        assert!(is_unavailable(&world.engine.authorise(&world.caller(), quote).await));
        // It is never adopted, however long it is steady.
        a_moment().await;
        world.clock.advance(Duration::from_secs(120));
        a_moment().await;
    }
    assert_eq!(world.wallet(), (START, 0, 0));
    world.clock.jump(-5 * YEAR);
    assert_eq!(world.buy("R1", TO_A).await.state, State::Delivered);
    assert_eq!(newest_month(&world), month);
    assert_eq!(newest_month(&world), Month::of(NOW).number().to_string());
    stop(workers).await;
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_years_behind_or_ahead_sells_nothing_and_settles() {
    for years in [-40, 2] {
        let world = world().await;
        world.a.answers(unknown(), unknown());
        let doubt = world.buy("R1", TO_A).await.key.id;
        world.work_until(|| true).await;
        let month = newest_month(&world);
        world.clock.jump(years * YEAR);
        let world = restarted(world).await;
        world.a.answers(delivered(), delivered());
        assert!(is_unavailable(&world.engine.purchase(world.request("R2", TO_A)).await));
        // What was sold before is settled, and filed where it belongs.
        world.work_until(|| world.state(doubt) == State::Delivered).await;
        assert_eq!(newest_month(&world), month);
        assert!(is_unavailable(&world.engine.purchase(world.request("R2", TO_A)).await));
        // The clock is put right.
        world.clock.jump(-years * YEAR);
        assert_eq!(world.buy("R2", TO_A).await.state, State::Delivered);
        world.assert_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_clock_sells_and_stays_accepted() {
    for seconds in [-40 * YEAR, -3 * DAY, 2 * YEAR] {
        let world = world().await;
        let waits = world.buy("R1", TO_A_AFTER_APPROVAL).await.key.id;
        world.work_until(|| true).await;
        world.clock.jump(seconds);
        let world = restarted_accepting(world).await;
        let workers = world.engine.start_workers().await.unwrap();
        assert_eq!(world.engine.now(), world.clock.now());
        assert_eq!(world.buy("R2", TO_A).await.state, State::Delivered);
        a_moment().await;
        assert_eq!(world.state(waits), State::Awaiting);
        stop(workers).await;
        let world = restarted(world).await;
        assert_eq!(world.buy("R3", TO_A).await.state, State::Delivered);
        // Only the time that passed ends it.
        let workers = world.engine.start_workers().await.unwrap();
        world.clock.advance(Duration::from_secs(24 * 3600));
        until(|| world.state(waits) == State::Rejected).await;
        stop(workers).await;
        world.assert_sound().await;
    }
}

/// An installation that rested, a clock that is put right, a machine that was suspended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smaller_jumps_never_stop_sales() {
    let mut world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    for (n, seconds) in [-DAY, DAY, 3 * DAY, -5 * MINUTE, 5 * MINUTE, -10].into_iter().enumerate() {
        world.clock.jump(seconds);
        assert_eq!(world.buy(&format!("R{n}"), TO_A).await.state, State::Delivered);
        adopted(&world).await;
        assert_eq!(world.buy(&format!("S{n}"), TO_A).await.state, State::Delivered);
    }
    stop(workers).await;
    world.clock.jump(40 * DAY);
    world = restarted(world).await;
    assert_eq!(world.engine.now(), world.clock.now());
    assert_eq!(world.buy("T", TO_A).await.state, State::Delivered);
    world.assert_sound().await;
}

/// A battery dies while the machine runs. It is not followed, so being right again is no jump.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_falls_back_by_years_is_not_followed() {
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    let month = newest_month(&world);
    world.clock.jump(-40 * YEAR);
    for n in 0..2 {
        assert_eq!(world.buy(&format!("R{n}"), TO_A).await.state, State::Delivered);
        a_moment().await;
        world.clock.advance(Duration::from_secs(120));
        a_moment().await;
    }
    let opened = world.buy("S", TO_A).await.opened_at;
    assert_eq!(opened, NOW.after(Duration::from_secs(240)));
    world.clock.jump(40 * YEAR);
    assert_eq!(world.buy("T", TO_A).await.state, State::Delivered);
    assert_eq!((world.engine.now(), newest_month(&world)), (world.clock.now(), month));
    stop(workers).await;
    world.assert_sound().await;
}

/// A month that is closed stays closed, so a clock that was ahead for an hour closes none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_closes_no_month() {
    let world = world().await;
    world.buy("R1", TO_A).await;
    let workers = world.engine.start_workers().await.unwrap();
    world.clock.jump(100 * DAY);
    adopted(&world).await;
    let month = Month::of(world.engine.now()).previous();
    let refused = world.engine.next_to_archive(month).map(|_| ());
    assert!(matches!(refused, Err(StaffRefused::NotPossible(_))), "{refused:?}");
    // A day later it was no slip.
    world.clock.advance(Duration::from_secs(24 * 3600));
    let month = Month::of(world.engine.now()).previous();
    assert_eq!(world.engine.next_to_archive(month).unwrap().unwrap().month, Month::of(NOW));
    stop(workers).await;
    world.assert_sound().await;
}

/// Time is in order while the wall clock is off by a little, and is the wall clock's again.
#[tokio::test]
async fn a_little_off_is_followed_without_a_step_back() {
    let world = world().await;
    let mut last = world.engine.now();
    for seconds in [2, -4, 3, -4, 4, -1] {
        world.clock.jump(seconds);
        for _ in 0..6 {
            let now = world.engine.now();
            assert!(now >= last, "{now:?} after {last:?}");
            last = now;
            world.clock.advance(Duration::from_secs(1));
        }
    }
    assert_eq!(world.engine.now(), world.clock.now());
}

/// One of two nodes is a week ahead and makes a call: the limit stays exact for all nodes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_ahead_uses_up_nobodys_calls() {
    let world = world().await;
    let calls = async |world: &World, count: usize| {
        let pair = world.engine.make_key(world.merchant, domain::Environment::Live).await;
        let pair = pair.unwrap().1;
        let mut passed = 0;
        for _ in 0..count {
            let from = std::net::IpAddr::from([10, 0, 0, 7]);
            let access = world.engine.authenticate(Some(&pair.open), Some(&pair.secret), from);
            passed += usize::from(access.await.caller.is_ok());
        }
        passed
    };
    assert_eq!(calls(&world, 3).await, 3);
    world.clock.jump(7 * DAY);
    assert_eq!(calls(&world, 1).await, 1);
    world.clock.advance(Duration::from_secs(12));
    world.clock.jump(-7 * DAY);
    world.clock.advance(Duration::from_secs(61));
    // Each node may be off by a fortieth of the limit.
    for _ in 0..2 {
        let passed = calls(&world, 130).await;
        assert!((117..=123).contains(&passed), "{passed}");
        world.clock.advance(Duration::from_secs(61));
    }
    world.assert_sound().await;
}

/// A submit is not asked about because the clock jumps and is adopted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_leased_stays_leased() {
    let world = world().await;
    world.a.answers(unknown(), EnquiryOutcome::NotFound);
    world.buy("R1", TO_A).await;
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.a.count(Call::Enquire) > 0).await;
    a_moment().await;
    let (asked, planned) = (world.a.count(Call::Enquire), job_due_in_s(&world));
    world.clock.jump(5 * HOUR);
    a_moment().await;
    assert_eq!((world.a.count(Call::Enquire), job_due_in_s(&world)), (asked, planned));
    stop(workers).await;
}
