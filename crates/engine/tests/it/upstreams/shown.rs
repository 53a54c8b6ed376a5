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
    let shown = world.buy("R9", TO_X).await.key.id;
    assert_eq!(world.state(shown), State::WithStaff);
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
