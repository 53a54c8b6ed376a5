//! A halted installation: it enquires and reads. It neither sells, sends nor rejects anything until
//! staff resume it.

use crate::world::*;
use domain::{EnquiryOutcome, State};
use std::time::Duration;
use store::BeginHalt;

/// Restarts the installation, halted.
async fn halted(world: World) -> World {
    let (database, clock, merchant) = world.closed();
    until(|| database.is_free()).await;
    let store = database.open();
    let why = "restored from the backup of yesterday".to_owned();
    store.commit(BeginHalt { why, at: NOW }).await.unwrap();
    World { merchant, ..started_on(store, database, clock, Services::default()) }
}

fn is_halted<T, R: From<Halted> + PartialEq>(answer: Result<T, R>) -> bool {
    answer.is_err_and(|refused| refused == Halted { retry_after_s: 300 }.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sold_until_staff_resume() {
    let world = world().await;
    let known = world.buy("R1", TO_A).await;
    let quote = world.engine.quote(world.request("Q1", TO_A)).await.unwrap();
    let world = halted(world).await;
    let engine = &world.engine;
    assert_eq!(engine.halt().unwrap().why, "restored from the backup of yesterday");
    assert!(is_halted(engine.purchase(world.request("R2", TO_A)).await));
    assert!(is_halted(engine.quote(world.request("Q2", TO_A)).await));
    assert!(is_halted(engine.authorise(&world.caller(), quote.purchase.key.id).await));
    // What was bought before can be read.
    let again = engine.purchase(world.request("R1", TO_A)).await.unwrap_err();
    assert_eq!(again, ReferenceKnown { first: Some(Box::new(known)) }.into());
    assert_eq!(world.wallet(), (START - TOTAL, 0, COMMISSION));

    for (by, evidence) in [("", "the statement"), ("rahim", " ")] {
        assert!(matches!(engine.resume(by, evidence).await, Err(StaffRefused::Invalid(_))));
    }
    assert!(is_halted(engine.purchase(world.request("R2", TO_A)).await));
    engine.resume("rahim", "nothing on a's statement").await.unwrap();
    let twice = engine.resume("karim", "again").await;
    assert!(matches!(twice, Err(StaffRefused::NotPossible(_))), "{twice:?}");
    assert_eq!(world.buy("R2", TO_A).await.state, State::Delivered);
    let accepted = engine.authorise(&world.caller(), quote.purchase.key.id).await.unwrap();
    assert_eq!(accepted.state, State::Delivered);
    assert_eq!(world.a.count(Call::Submit), 2);
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_is_enquired_about_and_what_is_held_waits() {
    let world = world().await;
    world.a.answers(unknown(), unknown());
    let delivered_since = world.buy("R1", TO_A).await.key.id;
    let never_received = world.buy("R2", TO_A_B).await.key.id;
    let waits = world.buy("R3", TO_A_AFTER_APPROVAL).await.key.id;
    let approved = world.buy("R4", TO_A_AFTER_APPROVAL).await.key.id;
    let world = halted(world).await;
    world.a.on_enquire(move |order| {
        Reply::With(match order.attempt.purchase == delivered_since.number() {
            true => delivered(),
            false => EnquiryOutcome::NotFound,
        })
    });
    assert_eq!(world.engine.approve(approved, "rahim").await.unwrap().state, State::Held);
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.state(delivered_since) == State::Delivered).await;
    // Past every deadline: the grace of "not found", a day for approval.
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(24 * 3600));
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    until(|| world.state(never_received) == State::Held).await;
    assert_eq!((world.state(waits), world.state(approved)), (State::Awaiting, State::Held));
    assert_eq!(world.wallet(), (START - 4 * TOTAL, 3 * TOTAL, COMMISSION));
    assert_eq!((world.a.count(Call::Submit), world.b.count(Call::Submit)), (0, 0));

    world.engine.approve(waits, "karim").await.unwrap();
    // Staff find one of them on the upstream's statement: it is not sent.
    let found = world.engine.settle_by_staff(approved, true, "karim", "line 7").await.unwrap();
    assert_eq!(found.state, State::Delivered);
    world.a.answers(delivered(), unknown());
    world.engine.resume("rahim", "compared with the statements of a and b").await.unwrap();
    until(|| [never_received, waits].iter().all(|id| world.state(*id) == State::Delivered)).await;
    stop(workers).await;
    assert_eq!((world.a.count(Call::Submit), world.b.count(Call::Submit)), (1, 1));
    assert_eq!(world.wallet(), (START - 4 * TOTAL, 0, 4 * COMMISSION));
    world.assert_sound().await;
}

/// Without a halt a held purchase is about to be sent: staff cannot settle it as delivered.
#[tokio::test]
async fn staff_settle_what_is_held_only_during_a_halt() {
    let world = world().await;
    let id = world.buy("R1", TO_A_AFTER_APPROVAL).await.key.id;
    world.engine.approve(id, "rahim").await.unwrap();
    let early = world.engine.settle_by_staff(id, true, "karim", "line 7").await;
    assert!(matches!(early, Err(StaffRefused::NotPossible(_))), "{early:?}");
    let world = halted(world).await;
    let denied = world.engine.settle_by_staff(id, false, "karim", "no line").await;
    assert!(matches!(denied, Err(StaffRefused::NotPossible(_))), "{denied:?}");
    world.engine.settle_by_staff(id, true, "karim", "line 7").await.unwrap();
    world.assert_sound().await;
}
