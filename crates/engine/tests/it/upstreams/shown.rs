//! The first refusals of an upstream whose replies a file reads: staff see them before money goes
//! back.

use super::{TO_X, TO_X_B, world_with_x};
use crate::world::*;
use domain::{Capabilities, State};
use engine::UpstreamChange;

/// An upstream `x` of which two refusals are shown.
async fn world_with_two_shown() -> World {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    *x.capabilities.lock().unwrap() = Capabilities { refusals_shown: 2, ..CAPABILITIES };
    x.answers(refused(), refused());
    world
}

#[tokio::test]
async fn the_first_refusals_wait_for_staff_with_the_money_held() {
    let world = world_with_two_shown().await;
    let before = world.wallet();
    let mut shown = Vec::new();
    for n in 0..3 {
        shown.push(world.buy(&format!("R{n}"), TO_X).await.key.id);
        assert_eq!(world.state(shown[n]), State::WithStaff, "{n}");
    }
    assert_eq!(world.wallet().0, before.0 - 3 * TOTAL);
    let cases = world.engine.open_cases().unwrap();
    assert_eq!(cases.len(), 3, "each has its case: {cases:?}");
    // Not confirmed, they count for nothing: the third one waited too.
    for id in shown[..2].iter().copied() {
        world.engine.settle_by_staff(id, false, "Mina", "not on their statement").await.unwrap();
    }
    assert_eq!(world.wallet().0, before.0 - TOTAL);
    let believed = world.buy("R9", TO_X).await.key.id;
    assert_eq!(world.state(believed), State::Failed);
    world.assert_sound().await;
}

/// The rule was wrong: from then on all refusals are shown again.
#[tokio::test]
async fn a_refusal_that_was_none_begins_the_count_anew() {
    let world = world_with_two_shown().await;
    for (n, is_delivered) in [false, true, false, false].into_iter().enumerate() {
        let id = world.buy(&format!("R{n}"), TO_X).await.key.id;
        assert_eq!(world.state(id), State::WithStaff, "{n}");
        world.engine.settle_by_staff(id, is_delivered, "Mina", "their statement").await.unwrap();
    }
    let believed = world.buy("R9", TO_X).await.key.id;
    assert_eq!(world.state(believed), State::Failed);
    world.assert_sound().await;
}

/// Another file may be wrong in another way.
#[tokio::test]
async fn new_settings_begin_the_count_anew() {
    let world = world_with_two_shown().await;
    for n in 0..2 {
        let id = world.buy(&format!("R{n}"), TO_X).await.key.id;
        world.engine.settle_by_staff(id, false, "Mina", "their statement").await.unwrap();
    }
    let same = UpstreamChange { calls_at_once: Some(9), ..UpstreamChange::default() };
    world.engine.change_upstream("x", same).await.unwrap();
    let believed = world.buy("R8", TO_X).await.key.id;
    assert_eq!(world.state(believed), State::Failed);
    let own = Some("line = 2\n".to_owned());
    let other = UpstreamChange { own, ..UpstreamChange::default() };
    world.engine.change_upstream("x", other).await.unwrap();
    world.engine.resume_upstream_as("x", "Rahima").await.unwrap();
    let shown = world.buy("R9", TO_X).await.key.id;
    assert_eq!(world.state(shown), State::WithStaff);
}

/// One person alone may be wrong about what a panel means.
#[tokio::test]
async fn a_new_file_gets_no_orders_before_another_person_has_looked_at_it() {
    let world = world_with_two_shown().await;
    let change = |line: u32| UpstreamChange {
        own: Some(format!("line = {line}\n")),
        ..UpstreamChange::default()
    };
    let limits = UpstreamChange { calls_at_once: Some(9), ..UpstreamChange::default() };
    assert_eq!(world.engine.change_upstream("x", limits.clone()).await, Ok(false));
    assert_eq!(world.engine.change_upstream("x", change(2)).await, Ok(true));
    let refused = world.engine.purchase(world.request("R1", TO_X)).await;
    assert!(matches!(refused, Err(BuyRefused::UpstreamUnavailable(_))), "{refused:?}");
    // Neither what else is changed or said, nor the same person, ends that.
    assert_eq!(world.engine.change_upstream("x", limits).await, Ok(true));
    assert!(world.engine.pause_upstream("x").await.is_err());
    for by in ["tests", " TESTS ", ""] {
        assert!(world.engine.resume_upstream_as("x", by).await.is_err(), "{by}");
    }
    assert!(world.engine.purchase(world.request("R2", TO_X)).await.is_err());
    world.engine.resume_upstream_as("x", "Rahima").await.unwrap();
    world.buy("R3", TO_X).await;
    // A reason in the same words is one like any other: who gave it may end it.
    world.engine.pause_upstream_for("x", "a new file by Rahima").await.unwrap();
    world.engine.resume_upstream_as("x", "Rahima").await.unwrap();
    // Where it is known what replies mean, one person is enough.
    let x = world.factory.upstream("x");
    *x.capabilities.lock().unwrap() = CAPABILITIES;
    assert_eq!(world.engine.change_upstream("x", change(3)).await, Ok(false));
    world.buy("R4", TO_X).await;
    world.assert_sound().await;
}

/// Nor does it go elsewhere: it may have been delivered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_is_not_sent_elsewhere_and_a_second_refusal_does_not_refund_it() {
    let world = world_with_two_shown().await;
    let x = world.factory.upstream("x");
    x.answers(elsewhere(), refused());
    let id = world.buy("R1", TO_X_B).await.key.id;
    assert_eq!(world.state(id), State::WithStaff);
    assert_eq!(world.factory.upstream("b").count(Call::Submit), 0);
    // Said again, it is still no reason to refund; reports are read in order.
    let workers = world.engine.start_workers().await.unwrap();
    world.report(id, 1, refused());
    world.report(id, 1, delivered());
    until(|| world.state(id) == State::Delivered).await;
    stop(workers).await;
    world.assert_sound().await;
}
