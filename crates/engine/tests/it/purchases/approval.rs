//! Purchases that await approval: approved, rejected, settled by hand, or expired.

use crate::world::*;
use domain::{Decider, State};
use std::time::Duration;

fn is_not_possible<T>(answer: &Result<T, StaffRefused>) -> bool {
    matches!(answer, Err(StaffRefused::NotPossible(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_approved_is_sent_once() {
    let world = world().await;
    let waits = world.buy("R1", TO_A_AFTER_APPROVAL).await;
    assert_eq!((waits.state, world.a.count(Call::Submit)), (State::Awaiting, 0));
    assert_eq!(world.wallet(), (START - TOTAL, TOTAL, 0));
    let id = waits.key.id;
    let workers = world.engine.start_workers().await.unwrap();
    assert_eq!(world.engine.approve(id, "rahim").await.unwrap().state, State::Held);
    until(|| world.state(id) == State::Delivered).await;
    assert!(is_not_possible(&world.engine.approve(id, "karim").await));
    assert!(is_not_possible(&world.engine.reject(id, "karim", "too late").await));
    assert_eq!(world.a.count(Call::Submit), 1);
    assert_eq!(world.stored(id).decider, Some(Decider::Staff));
    assert_eq!(world.wallet(), (START - TOTAL, 0, COMMISSION));
    stop(workers).await;
    world.assert_sound().await;
}

#[tokio::test]
async fn what_is_rejected_is_never_sent() {
    let world = world().await;
    let id = world.buy("R1", TO_A_AFTER_APPROVAL).await.key.id;
    assert_eq!(world.engine.reject(id, "rahim", "fraud").await.unwrap().state, State::Rejected);
    assert_eq!((world.wallet(), world.a.count(Call::Submit)), ((START, 0, 0), 0));
    assert!(is_not_possible(&world.engine.approve(id, "karim").await));
    assert!(is_not_possible(&world.engine.settle_by_staff(id, true, "karim", "x").await));
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_decided_expires_after_a_day() {
    let world = world().await;
    let id = world.buy("R1", TO_A_AFTER_APPROVAL).await.key.id;
    let early = world.engine.start_workers().await.unwrap();
    world.clock.advance(Duration::from_secs(24 * 3600 - 1));
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop(early).await;
    assert_eq!(world.state(id), State::Awaiting);
    world.clock.advance(Duration::from_secs(1));
    world.work_until(|| world.state(id) == State::Rejected).await;
    assert_eq!((world.wallet(), world.a.count(Call::Submit)), ((START, 0, 0), 0));
    assert_eq!(world.summary(id), "rejected v2\nclock said expire\nevent 2 rejected\n");
    world.assert_sound().await;
}

#[tokio::test]
async fn without_an_upstream_it_is_settled_by_hand() {
    let world = world().await;
    world.leave_to_staff().await;
    let id = world.buy("R1", TO_NOBODY).await.key.id;
    assert!(is_not_possible(&world.engine.approve(id, "rahim").await));
    assert_eq!(world.state(id), State::Awaiting);
    let denied = world.engine.settle_by_staff(id, false, "rahim", "could not").await.unwrap();
    assert_eq!((denied.state, world.wallet()), (State::Rejected, (START, 0, 0)));
    world.assert_sound().await;
}

#[tokio::test]
async fn staff_cannot_decide_what_was_sent() {
    let world = world().await;
    world.a.answers(accepted(), unknown());
    let id = world.buy("R1", TO_A).await.key.id;
    for is_delivered in [true, false] {
        let answer = world.engine.settle_by_staff(id, is_delivered, "rahim", "x").await;
        assert!(is_not_possible(&answer));
    }
    assert!(is_not_possible(&world.engine.reject(id, "rahim", "x").await));
    assert!(is_not_possible(&world.engine.refund(id, "rahim", "x").await));
    let nobody = world.engine.approve(domain::PurchaseId(404), "rahim").await;
    assert_eq!(nobody.unwrap_err(), PurchaseUnknown.into());
    assert_eq!(world.state(id), State::Sent);
    world.assert_sound().await;
}
