//! Purchases in doubt: enquiries follow a schedule. A doubt ends by evidence or by staff, never
//! because time passed.

use crate::world::*;
use domain::{Capabilities, State};
use expect_test::expect;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubt_of_a_day_goes_to_staff_and_nothing_is_refunded() {
    let world = world().await;
    world.a.answers(unknown(), unknown());
    let id = world.buy("R1", TO_A).await.key.id;
    world.clock.advance(DAY - Duration::from_secs(1));
    world.enquire(&world.a, 1).await;
    assert_eq!(world.state(id), State::InDoubt);
    world.clock.advance(Duration::from_secs(1));
    world.enquire(&world.a, 1).await;
    expect![[r#"
        with_staff v3
        attempt 1 a unknown: no answer
        case doubt: upstream a said unknown: no answer
    "#]]
    .assert_eq(&world.summary(id));
    for _ in 0..3 {
        world.clock.advance(DAY * 30);
        world.enquire(&world.a, 1).await;
    }
    assert_eq!((world.state(id), world.wallet()), (State::WithStaff, (START - TOTAL, TOTAL, 0)));
    // Enquiries go on, and evidence still settles it and closes its case.
    world.a.answers(unknown(), delivered());
    world.enquire(&world.a, 1).await;
    expect![[r#"
        delivered v4
        attempt 1 a delivered: Recharge is successful.
        event 4 delivered
    "#]]
    .assert_eq(&world.summary(id));
    assert_eq!(world.wallet(), (START - TOTAL, 0, COMMISSION));
    world.assert_sound().await;
}

/// An upstream may have its own time for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_says_when_staff_look() {
    let world = world().await;
    let staff_after = Some(DAY / 12);
    *world.a.capabilities.lock().unwrap() = Capabilities { staff_after, ..CAPABILITIES };
    world.a.answers(unknown(), unknown());
    let id = world.buy("R1", TO_A).await.key.id;
    world.clock.advance(DAY / 12 - Duration::from_secs(1));
    world.enquire(&world.a, 1).await;
    assert_eq!(world.state(id), State::InDoubt);
    world.clock.advance(Duration::from_secs(1));
    world.enquire(&world.a, 1).await;
    assert_eq!(world.state(id), State::WithStaff);
}

/// "We are working on it" for a day is as good as no answer: staff must look at it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_for_a_day_goes_to_staff_too() {
    let world = world().await;
    world.a.answers(accepted(), accepted());
    let id = world.buy("R1", TO_A).await.key.id;
    world.clock.advance(DAY / 2);
    world.enquire(&world.a, 1).await;
    assert_eq!(world.state(id), State::Sent);
    world.clock.advance(DAY / 2);
    world.enquire(&world.a, 1).await;
    assert_eq!(world.state(id), State::WithStaff);
    assert_eq!(world.wallet(), (START - TOTAL, TOTAL, 0));
    world.assert_sound().await;
}

#[tokio::test]
async fn without_an_enquiry_a_doubt_goes_to_staff_at_once() {
    let world = world().await;
    world.a.answers(unaskable(), unaskable());
    let id = world.buy("R1", TO_A_B).await.key.id;
    expect![[r#"
        with_staff v2
        attempt 1 a unaskable: it has no enquiry
        case doubt: upstream a said unaskable: it has no enquiry
    "#]]
    .assert_eq(&world.summary(id));
    let settled = world.engine.settle_by_staff(id, false, "rahim", "portal: not there").await;
    assert_eq!(settled.unwrap().state, State::Failed);
    expect![[r#"
        failed v3
        attempt 1 a unaskable: it has no enquiry
        staff rahim said not delivered: portal: not there
        event 3 failed
    "#]]
    .assert_eq(&world.summary(id));
    assert_eq!(world.wallet(), (START, 0, 0));
    world.assert_sound().await;
}

#[tokio::test]
async fn staff_settle_a_doubt_once() {
    let world = world().await;
    world.a.answers(unaskable(), unaskable());
    let id = world.buy("R1", TO_A).await.key.id;
    let settled = world.engine.settle_by_staff(id, true, "rahim", "portal: delivered").await;
    assert_eq!(settled.unwrap().state, State::Delivered);
    assert_eq!(
        (world.wallet(), world.house_balance("float", "a")),
        ((START - TOTAL, 0, COMMISSION), AMOUNT)
    );
    assert_eq!(world.engine.open_cases().unwrap(), []);
    for is_delivered in [true, false] {
        let again = world.engine.settle_by_staff(id, is_delivered, "karim", "no").await;
        assert!(matches!(again, Err(StaffRefused::NotPossible(_))), "{again:?}");
    }
    let refunded = world.engine.refund(id, "rahim", "the customer complained").await.unwrap();
    assert_eq!((refunded.state, world.wallet()), (State::Refunded, (START, 0, 0)));
    assert_eq!((world.house_balance("float", "a"), world.house_balance("fees", "")), (0, 0));
    let again = world.engine.refund(id, "rahim", "again").await;
    assert!(matches!(again, Err(StaffRefused::NotPossible(_))), "{again:?}");
    assert_eq!(world.summary(id).lines().filter(|l| l.starts_with("staff")).count(), 2);
    world.assert_sound().await;
}

/// RELIABILITY 1.4, rule 5: after the first enquiry 15 s, 60 s, then every 5 minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enquiries_follow_the_schedule() {
    let world = world().await;
    world.a.answers(unknown(), unknown());
    let id = world.buy("R1", TO_A).await.key.id;
    // The job must be postponed before the clock moves on.
    let is_postponed_to = |second| {
        let due =
            world.database.sql(&format!("SELECT due_at FROM jobs WHERE purchase_id = {}", id.0));
        due == [NOW.after(Duration::from_secs(second)).0.to_string()]
    };
    let mut enquiries = Vec::new();
    let mut now = 0;
    let mut approvals = Vec::new();
    for n in 0..16 {
        approvals.push(world.buy(&format!("P{n}"), TO_A_AFTER_APPROVAL).await.key.id);
    }
    world.a.on_submit(|_| Reply::With(delivered()));
    let workers = world.engine.start_workers().await.unwrap();
    // The start itself causes one enquiry.
    until(|| world.a.count(Call::Enquire) == 1).await;
    enquiries.push(now);
    until(|| is_postponed_to(15)).await;
    for (wait, next) in [(15, 60), (60, 300), (300, 300), (300, 300)] {
        for (step, is_due) in [(wait - 1, false), (1, true)] {
            // An approval wakes the workers, whether or not the enquiry's job is due.
            now += step;
            world.clock.advance(Duration::from_secs(step));
            let id = approvals.pop().unwrap();
            world.engine.approve(id, "rahim").await.unwrap();
            until(|| world.state(id) == State::Delivered).await;
            if is_due {
                enquiries.push(now);
                until(|| world.a.count(Call::Enquire) >= enquiries.len()).await;
            }
        }
        until(|| is_postponed_to(now + next)).await;
    }
    stop(workers).await;
    assert_eq!(world.a.enquired_at_s(), enquiries);
}
