//! Doubt: it is asked about by a schedule, and ends by evidence or with staff, never by a clock.

use crate::world::*;
use domain::purchase::lifecycle::State;
use domain::refusal::Refusal;
use domain::upstream::Outcome;
use expect_test::expect;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_day_in_vain_staff_are_called_and_nothing_is_refunded() {
    let world = world().await;
    world.a.answers(unknown(), unknown());
    let id = world.buy("R1", TO_A).await.key.id;
    world.clock.advance(DAY - Duration::from_secs(1));
    world.ask(&world.a, 1).await;
    assert_eq!(world.state(id), State::InDoubt);
    world.clock.advance(Duration::from_secs(1));
    world.ask(&world.a, 1).await;
    expect![[r#"
        with_staff v3
        attempt 1 a unknown: no answer
        case doubt: upstream a said unknown: no answer
    "#]]
    .assert_eq(&world.told(id));
    for _ in 0..3 {
        world.clock.advance(DAY * 30);
        world.ask(&world.a, 1).await;
    }
    assert_eq!((world.state(id), world.wallet()), (State::WithStaff, (START - TOTAL, TOTAL, 0)));
    // It is still asked about, and evidence still ends it and its case.
    world.a.answers(unknown(), delivered());
    world.ask(&world.a, 1).await;
    expect![[r#"
        delivered v4
        attempt 1 a delivered: Recharge is successful.
        event 4 delivered
    "#]]
    .assert_eq(&world.told(id));
    assert_eq!(world.wallet(), (START - TOTAL, 0, COMMISSION));
    world.assert_sound().await;
}

/// "We are working on it" for a day is no better than no answer: somebody must look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_works_for_ever_is_doubt_too() {
    let world = world().await;
    let accepted = Outcome::Accepted { reference: None };
    world.a.answers(accepted.clone(), accepted);
    let id = world.buy("R1", TO_A).await.key.id;
    world.clock.advance(DAY / 2);
    world.ask(&world.a, 1).await;
    assert_eq!(world.state(id), State::Sent);
    world.clock.advance(DAY / 2);
    world.ask(&world.a, 1).await;
    assert_eq!(world.state(id), State::WithStaff);
    assert_eq!(world.wallet(), (START - TOTAL, TOTAL, 0));
    world.assert_sound().await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_with_staff_at_once() {
    let world = world().await;
    world.a.answers(unaskable(), unaskable());
    let id = world.buy("R1", TO_A_B).await.key.id;
    expect![[r#"
        with_staff v2
        attempt 1 a unaskable: it has no enquiry
        case doubt: upstream a said unaskable: it has no enquiry
    "#]]
    .assert_eq(&world.told(id));
    let settled = world.engine.settle_by_staff(id, false, "rahim", "portal: not there").await;
    assert_eq!(settled.unwrap().state, State::Failed);
    expect![[r#"
        failed v3
        attempt 1 a unaskable: it has no enquiry
        staff rahim said not delivered: portal: not there
        event 3 failed
    "#]]
    .assert_eq(&world.told(id));
    assert_eq!(world.wallet(), (START, 0, 0));
    world.assert_sound().await;
}

#[tokio::test]
async fn staff_settle_with_evidence_once() {
    let world = world().await;
    world.a.answers(unaskable(), unaskable());
    let id = world.buy("R1", TO_A).await.key.id;
    let settled = world.engine.settle_by_staff(id, true, "rahim", "portal: delivered").await;
    assert_eq!(settled.unwrap().state, State::Delivered);
    assert_eq!(
        (world.wallet(), world.house("float", "a")),
        ((START - TOTAL, 0, COMMISSION), AMOUNT)
    );
    assert_eq!(world.engine.open_cases().unwrap(), []);
    for is_delivered in [true, false] {
        let again = world.engine.settle_by_staff(id, is_delivered, "karim", "no").await;
        assert!(matches!(again, Err(Refusal::NotPossible { .. })), "{again:?}");
    }
    let refunded = world.engine.refund(id, "rahim", "the customer complained").await.unwrap();
    assert_eq!((refunded.state, world.wallet()), (State::Refunded, (START, 0, 0)));
    assert_eq!((world.house("float", "a"), world.house("fees", "")), (0, 0));
    let again = world.engine.refund(id, "rahim", "again").await;
    assert!(matches!(again, Err(Refusal::NotPossible { .. })), "{again:?}");
    assert_eq!(world.told(id).lines().filter(|l| l.starts_with("staff")).count(), 2);
    world.assert_sound().await;
}

/// RELIABILITY 1.4, rule 5: after the first enquiry 15 s, 60 s, then every 5 minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubt_is_asked_about_by_the_schedule() {
    let world = world().await;
    world.a.answers(unknown(), unknown());
    let id = world.buy("R1", TO_A).await.key.id;
    // What is under way puts the job off before the clock moves on.
    let is_put_off_to = |second| {
        let due = world.home.sql(&format!("SELECT due_at FROM jobs WHERE purchase_id = {}", id.0));
        due == [NOW.after(Duration::from_secs(second)).0.to_string()]
    };
    let mut asked = Vec::new();
    let mut now = 0;
    let mut pokes = Vec::new();
    for n in 0..16 {
        pokes.push(world.buy(&format!("P{n}"), TO_A_AFTER_APPROVAL).await.key.id);
    }
    world.a.on_submit(|_| Reply::Say(delivered()));
    let workers = world.engine.start_workers().await.unwrap();
    // The start itself asks once.
    until(|| world.a.count(What::Enquire) == 1).await;
    asked.push(now);
    until(|| is_put_off_to(15)).await;
    for (wait, next) in [(15, 60), (60, 300), (300, 300), (300, 300)] {
        for (step, is_asked) in [(wait - 1, false), (1, true)] {
            // Both the enquiry's job and this one are due, or only this one.
            now += step;
            world.clock.advance(Duration::from_secs(step));
            let poke = pokes.pop().unwrap();
            world.engine.approve(poke, "rahim").await.unwrap();
            until(|| world.state(poke) == State::Delivered).await;
            if is_asked {
                asked.push(now);
                until(|| world.a.count(What::Enquire) >= asked.len()).await;
            }
        }
        until(|| is_put_off_to(now + next)).await;
    }
    stop(workers).await;
    assert_eq!(world.a.asked_at_s(), asked);
}
