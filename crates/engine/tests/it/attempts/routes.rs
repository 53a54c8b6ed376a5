//! Rerouting: an order goes to the next upstream only after a definite refusal, never to two at
//! once.

use crate::world::*;
use domain::{Answer, Catalog, EnquiryOutcome, Kind, Route, State};
use expect_test::expect;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn an_order_that_was_not_sent_goes_to_the_next() {
    let world = world().await;
    world.a.answers(not_sent(), unknown());
    let bought = world.buy("R1", TO_A_B).await;
    expect![[r#"
        delivered v4
        attempt 1 a not_sent: connection refused
        attempt 2 b delivered: Recharge is successful.
        event 4 delivered
    "#]]
    .assert_eq(&world.summary(bought.key.id));
    assert_eq!((world.house_balance("float", "a"), world.house_balance("float", "b")), (0, AMOUNT));
    assert_eq!(world.wallet(), (START - TOTAL, 0, COMMISSION));
    world.assert_sound().await;
}

#[tokio::test]
async fn a_final_refusal_is_not_rerouted() {
    let world = world().await;
    world.a.answers(refused(), unknown());
    let bought = world.buy("R1", TO_A_B_C).await;
    assert_eq!(bought.state, State::Failed);
    assert_eq!((world.b.count(Call::Submit), world.wallet()), (0, (START, 0, 0)));
    world.assert_sound().await;
}

#[tokio::test]
async fn when_all_refuse_the_hold_is_released() {
    let world = world().await;
    for upstream in [&world.a, &world.b, &world.c] {
        upstream.answers(elsewhere(), unknown());
    }
    let bought = world.buy("R1", TO_A_B_C).await;
    expect![[r#"
        failed v6
        attempt 1 a refused: we are out of stock
        attempt 2 b refused: we are out of stock
        attempt 3 c refused: we are out of stock
        event 6 failed
    "#]]
    .assert_eq(&world.summary(bought.key.id));
    assert_eq!(world.wallet(), (START, 0, 0));
    world.assert_sound().await;
}

/// An unknown outcome is no refusal: however many enquiries follow, no other upstream gets the
/// order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubt_is_never_rerouted() {
    let world = world().await;
    world.a.answers(unknown(), unknown());
    let bought = world.buy("R1", TO_A_B_C).await;
    for _ in 0..5 {
        world.clock.advance(GRACE);
        world.enquire(&world.a, 1).await;
    }
    assert_eq!(world.state(bought.key.id), State::InDoubt);
    assert_eq!((world.a.count(Call::Submit), world.b.count(Call::Submit)), (1, 0));
    assert_eq!(world.wallet(), (START - TOTAL, TOTAL, 0));
    world.assert_sound().await;
}

/// The upstream has the order, and its connection fails whenever it is asked, also long after its
/// grace. It is neither refunded nor sent to another upstream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_fails_while_it_is_asked_leaves_doubt() {
    let world = world().await;
    world.a.answers(unknown(), not_asked());
    let one = world.buy("R1", TO_A).await.key.id;
    let two = world.buy("R2", TO_A_B).await.key.id;
    for _ in 0..3 {
        world.clock.advance(GRACE);
        world.enquire(&world.a, 2).await;
    }
    for id in [one, two] {
        let summary = world.summary(id);
        assert_eq!(summary, "in_doubt v2\nattempt 1 a unknown: no answer\n");
    }
    assert_eq!(world.wallet(), (START - 2 * TOTAL, 2 * TOTAL, 0));
    assert_eq!(world.b.count(Call::Submit), 0);
    world.a.answers(unknown(), delivered());
    world.clock.advance(GRACE);
    world.enquire(&world.a, 2).await;
    assert_eq!(world.wallet(), (START - 2 * TOTAL, 0, 2 * COMMISSION));
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_found_counts_only_after_the_grace() {
    let world = world().await;
    world.a.answers(unknown(), EnquiryOutcome::NotFound);
    let one = world.buy("R1", TO_A).await.key.id;
    let two = world.buy("R2", TO_A_B).await.key.id;
    world.clock.advance(GRACE - Duration::from_micros(1));
    world.enquire(&world.a, 2).await;
    assert_eq!((world.state(one), world.state(two)), (State::InDoubt, State::InDoubt));
    assert_eq!(world.b.count(Call::Submit), 0);
    world.clock.advance(Duration::from_micros(1));
    world.enquire(&world.a, 2).await;
    // It must be said twice.
    assert_eq!((world.state(one), world.state(two)), (State::InDoubt, State::InDoubt));
    world.clock.advance(Duration::from_secs(1));
    world.enquire(&world.a, 2).await;
    assert_eq!((world.state(one), world.state(two)), (State::Failed, State::Delivered));
    assert_eq!(world.wallet(), (START - TOTAL, 0, COMMISSION));
    world.assert_sound().await;
}

/// An answer that cannot be read, and shows that the upstream has the order, is worth what
/// *accepted* is: nothing is refunded or sent elsewhere because the upstream then does not know it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_found_counts_for_nothing_after_the_upstream_has_shown_that_it_has_the_order() {
    let without_id = || Answer::Unclear { reference: None, reason: "another amount".to_owned() };
    for submit in [unclear(), without_id().into()] {
        let world = world().await;
        world.a.answers(submit, EnquiryOutcome::NotFound);
        let one = world.buy("R1", TO_A).await.key.id;
        let two = world.buy("R2", TO_A_B).await.key.id;
        for _ in 0..3 {
            world.clock.advance(GRACE);
            world.enquire(&world.a, 2).await;
        }
        assert_eq!((world.state(one), world.state(two)), (State::WithStaff, State::WithStaff));
        assert_eq!(world.b.count(Call::Submit), 0);
        assert_eq!(world.wallet(), (START - 2 * TOTAL, 2 * TOTAL, 0));
        world.assert_sound().await;
    }
}

/// Also where an enquiry has shown it, and the next one got no answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_found_counts_for_nothing_after_an_unclear_enquiry() {
    let world = world().await;
    let without_id = Answer::Unclear { reference: None, reason: "odd".to_owned() };
    world.a.answers(unknown(), without_id.into());
    let id = world.buy("R1", TO_A_B).await.key.id;
    for enquiry in [not_asked(), EnquiryOutcome::NotFound, EnquiryOutcome::NotFound] {
        world.clock.advance(GRACE);
        world.enquire(&world.a, 1).await;
        world.a.answers(unknown(), enquiry);
    }
    world.clock.advance(GRACE);
    world.enquire(&world.a, 1).await;
    assert_eq!((world.state(id), world.b.count(Call::Submit)), (State::WithStaff, 0));
    assert_eq!(world.wallet(), (START - TOTAL, TOTAL, 0));
    world.assert_sound().await;
}

/// The grace ends while enquiries are processed: the next enquiry still comes at its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_found_counts_soon_after_the_grace() {
    let world = world().await;
    world.a.answers(unknown(), EnquiryOutcome::NotFound);
    let (step, soon) = (Duration::from_millis(1), Duration::from_secs(1));
    let workers = world.engine.start_workers().await.unwrap();
    let mut bought = Vec::new();
    for n in 0..30 {
        bought.push(world.buy(&format!("R{n}"), TO_A).await.key.id);
        world.clock.advance(3 * step);
    }
    // Their graces end one after the other while enquiries are in flight.
    world.clock.advance_per_read(step);
    world.clock.advance(GRACE - 90 * step);
    until(|| world.a.count(Call::Enquire) >= 30).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.clock.advance_per_read(Duration::ZERO);
    world.clock.advance(soon);
    until(|| {
        world.clock.advance(step);
        bought.iter().all(|id| world.state(*id) == State::Failed)
    })
    .await;
    stop(workers).await;
    world.assert_sound().await;
}

/// An upstream that a route names and that does not exist is skipped (CONTRACT A-46).
#[tokio::test]
async fn what_nothing_can_deliver_is_refused_and_the_reference_stays_free() {
    let world = world().await;
    let nowhere = world.engine.purchase(world.request("R1", TO_NOBODY)).await;
    assert_eq!(nowhere.unwrap_err(), NoRoute.into());
    let quoted = world.engine.quote(world.bill("B1", TO_NOBODY)).await;
    assert_eq!(quoted.unwrap_err(), NoRoute.into());
    assert_eq!(world.wallet(), (START, 0, 0));
    // Each refusal is counted, for metrics; a change of the catalog forgets none.
    let counts = || -> Vec<(Kind, u64)> {
        let all = world.engine.unrouted().into_iter();
        all.map(|(unrouted, count)| (unrouted.kind, count)).collect()
    };
    let counted = counts();
    assert_eq!(counted.iter().map(|(_, count)| count).sum::<u64>(), 2, "{counted:?}");
    world.engine.set_catalog(catalog()).await.unwrap();
    assert_eq!(counts(), counted);
    assert_eq!(world.buy("R1", TO_A).await.state, State::Delivered);
    // A reference that is used up is refused as such.
    let known = world.engine.purchase(world.request("R1", TO_NOBODY)).await;
    assert_eq!(known.unwrap_err().code(), "DUPLICATE_REFERENCE");
    world.assert_sound().await;
}

/// Whatever a route says: a simulator would be paid for what it does not deliver.
#[tokio::test]
async fn no_live_order_reaches_a_simulator_of_an_installation_that_sells() {
    let services = Services { sells_for_real: true, ..Services::default() };
    let world = world_with(Arc::default(), services).await;
    let refused = world.engine.purchase(world.request("R1", TO_A)).await;
    assert_eq!(refused.unwrap_err(), NoRoute.into());
    let refused = world.engine.quote(world.request("Q1", TO_A)).await;
    assert_eq!(refused.unwrap_err(), NoRoute.into());
    assert_eq!((world.wallet(), world.a.count(Call::Submit)), ((START, 0, 0), 0));
    world.assert_sound().await;
}

/// Its route may be taken away after a quote.
#[tokio::test]
async fn a_quote_without_a_route_is_not_accepted() {
    let world = world().await;
    let quote = world.engine.quote(world.request("Q1", TO_A)).await.unwrap();
    let routes = catalog().routes.into_iter();
    let gone = routes.map(|route| Route { upstreams: Vec::new(), ..route }).collect();
    world.engine.set_catalog(Catalog { routes: gone, ..catalog() }).await.unwrap();
    let caller = world.caller();
    let id = quote.purchase.key.id;
    let refused = world.engine.authorise(&caller, id).await;
    assert_eq!(refused.unwrap_err(), NoRoute.into());
    assert_eq!((world.wallet(), world.state(id)), ((START, 0, 0), State::Quoted));
    world.engine.set_catalog(catalog()).await.unwrap();
    assert_eq!(world.engine.authorise(&caller, id).await.unwrap().state, State::Delivered);
    world.assert_sound().await;
}

/// Without an upstream staff deliver by hand, where the route says that staff decide.
#[tokio::test]
async fn a_purchase_for_staff_without_an_upstream_is_settled_by_hand() {
    let world = world().await;
    world.leave_to_staff().await;
    let bought = world.buy("R1", TO_NOBODY).await;
    assert_eq!((bought.state, bought.attempts), (State::Awaiting, 0));
    assert_eq!(world.wallet(), (START - TOTAL, TOTAL, 0));
    let by_hand = world.engine.settle_by_staff(bought.key.id, true, "rahim", "receipt 7").await;
    assert_eq!(by_hand.unwrap().state, State::Delivered);
    assert_eq!(
        (world.wallet(), world.house_balance("float", "staff")),
        ((START - TOTAL, 0, COMMISSION), AMOUNT)
    );
    expect![[r#"
        delivered v2
        staff rahim said delivered: receipt 7
        event 2 delivered
    "#]]
    .assert_eq(&world.summary(bought.key.id));
    world.assert_sound().await;
}
