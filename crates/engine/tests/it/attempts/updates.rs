//! Status updates that an upstream sends unasked: late, repeated, about unknown attempts, or
//! against what is on record.

use crate::world::*;
use domain::purchase::settle;
use domain::{
    AttemptRef, Decision, EnquiryOutcome, Event, Proof, PurchaseId, PurchaseNumber, Source, State,
    StatusUpdate, UpstreamCode,
};
use expect_test::{expect, expect_file};
use std::time::Duration;
use store::TakeStep;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_settles_and_its_repeat_changes_nothing() {
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    world.a.answers(unknown(), unknown());
    let id = world.buy("R1", TO_A).await.key.id;
    for _ in 0..5 {
        world.report(id, 1, delivered());
    }
    world.all_reports_processed("Z1").await;
    expect![[r#"
        delivered v3
        attempt 1 a delivered: Recharge is successful.
        event 3 delivered
    "#]]
    .assert_eq(&world.summary(id));
    for _ in 0..5 {
        world.report(id, 1, reversed());
    }
    world.all_reports_processed("Z2").await;
    expect![[r#"
        refunded v4
        attempt 1 a reversed: taken back
        event 3 delivered
        event 4 refunded
    "#]]
    .assert_eq(&world.summary(id));
    // Two other purchases were delivered; of this one nothing remains, not even its commission.
    assert_eq!(world.wallet(), (START - 2 * TOTAL, 0, 2 * COMMISSION));
    stop(workers).await;
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivered_after_a_refund_opens_a_case() {
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    world.a.answers(refused(), unknown());
    let id = world.buy("R1", TO_A).await.key.id;
    assert_eq!((world.state(id), world.wallet()), (State::Failed, (START, 0, 0)));
    world.report(id, 1, delivered());
    world.all_reports_processed("Z1").await;
    expect![[r#"
        failed v2
        attempt 1 a refused: no such number
        upstream a said delivered: Recharge is successful.
        event 2 failed
        case clash: upstream a said delivered: Recharge is successful.
    "#]]
    .assert_eq(&world.summary(id));
    assert_eq!(world.wallet(), (START - TOTAL, 0, COMMISSION));
    stop(workers).await;
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_about_unknown_attempts_change_nothing() {
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    let awaiting = world.buy("R1", TO_A_AFTER_APPROVAL).await.key.id;
    let delivered_one = world.buy("R2", TO_A).await.key.id;
    for (_, outcome) in enquiry_outcomes() {
        world.report(PurchaseId(404), 1, outcome.clone());
        world.report(awaiting, 0, outcome.clone());
        world.report(awaiting, 1, outcome.clone());
        world.report(delivered_one, 0, outcome.clone());
        world.report(delivered_one, 2, outcome.clone());
        world.report(delivered_one, u32::MAX, outcome);
    }
    world.all_reports_processed("Z1").await;
    assert_eq!(world.state(awaiting), State::Awaiting);
    assert_eq!(world.state(delivered_one), State::Delivered);
    assert_eq!(world.engine.open_cases().unwrap(), []);
    stop(workers).await;
    world.assert_sound().await;
}

/// Attempt 1 was refused, and attempt 2 is in flight or has ended: "delivered" for attempt 1 opens
/// a case, and every other update on it changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_delivery_moves_no_money() {
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    let mut out = String::new();
    for (name, second) in submit_outcomes() {
        world.a.on_submit(|_| Reply::With(elsewhere()));
        world.b.answers(second, unknown());
        let id = world.buy(name, TO_A_B).await.key.id;
        let before = world.state(id);
        for quiet in [refused(), unknown(), unaskable(), reversed(), EnquiryOutcome::NotFound] {
            world.report(id, 1, quiet);
        }
        world.all_reports_processed(&format!("Z1 {name}")).await;
        let cases = world.engine.open_cases().unwrap();
        let clashes = cases.iter().filter(|c| c.key.id == id && c.why == "clash").count();
        assert_eq!((world.state(id), clashes), (before, 0));
        world.report(id, 1, delivered());
        world.all_reports_processed(&format!("Z2 {name}")).await;
        assert_eq!(world.state(id), before);
        let cases = world.engine.open_cases().unwrap();
        let mine: Vec<_> =
            cases.iter().filter(|c| c.key.id == id).map(|c| c.why.as_str()).collect();
        out += &format!("{name}: {}, {}\n", before.code(), mine.join(" and "));
    }
    stop(workers).await;
    world.assert_sound().await;
    expect![[r#"
        delivered: delivered, clash
        accepted: sent, clash
        refused: failed, clash
        elsewhere: failed, clash
        not_sent: failed, clash
        unknown: in_doubt, clash
        unclear: in_doubt, clash
        unaskable: with_staff, clash and doubt
    "#]]
    .assert_eq(&out);
}

/// An update arrives before the submit's reply, which has the same outcome, or another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_may_overtake_the_reply() {
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    let mut out = String::new();
    for (m, (update_name, update)) in enquiry_outcomes().into_iter().enumerate() {
        for (n, (name, answer)) in (m * 8..).zip(submit_outcomes()) {
            let gate = world.a.submits_wait(answer);
            let request = world.request(&format!("{update_name}~{name}"), TO_A);
            let engine = world.engine.clone();
            let buying = tokio::spawn(async move { engine.purchase(request).await });
            until(|| world.a.count(Call::Submit) == n + 1).await;
            let id = world.latest();
            world.report(id, 1, update.clone());
            world.all_reports_processed(&format!("Z {update_name}~{name}")).await;
            gate.add_permits(1);
            let bought = bought(buying.await.unwrap());
            let cases = world.engine.open_cases().unwrap();
            let mine: Vec<_> =
                cases.iter().filter(|c| c.key.id == id).map(|c| c.why.as_str()).collect();
            let cases =
                if mine.is_empty() { String::new() } else { format!(", {}", mine.join(" and ")) };
            out += &format!("{update_name} then {name}: {}{cases}\n", bought.state.code());
        }
    }
    stop(workers).await;
    world.assert_sound().await;
    expect_file!["./updates.txt"].assert_eq(&out);
}

/// Two attempts were refused and a third is due when the first turns out to be delivered: from then
/// on the first attempt counts, and updates on the second change nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_attempt_that_delivered_is_the_one_that_counts() {
    let prepared = world().await;
    let request = prepared.request("R1", TO_A_B_C);
    let quote = prepared.engine.quote(request).await.unwrap().purchase;
    let merchant = prepared.merchant;
    let (database, clock, _) = prepared.closed();
    until(|| database.is_free()).await;
    let store = database.open();
    let mut now = store.purchase(&quote.key).unwrap().unwrap();
    for (event, attempt, upstream) in [
        (Event::Authorise, 0, ""),
        (Event::Submit, 1, "a"),
        (Event::Reroute, 1, "a"),
        (Event::Submit, 2, "b"),
        (Event::Reroute, 2, "b"),
    ] {
        let upstream = UpstreamCode::new(upstream);
        let source =
            if attempt == 0 { Source::Owner } else { Source::Upstream { attempt, upstream } };
        let proof = Proof::new(source, "x");
        let Decision::Move(step) = settle::decide(&now, event, proof, NOW) else { panic!() };
        now = step.after.clone();
        store.write(TakeStep(step)).await.unwrap().unwrap();
    }
    let mut world = started_on(store, database, clock, Services::default());
    world.merchant = merchant;
    let id = quote.key.id;
    // Its job is due later than now, so that no worker submits it during the test. A start makes
    // every job due, except those that expire a purchase.
    let later = NOW.after(Duration::from_secs(3600)).0;
    world.database.sql(&format!(
        "UPDATE jobs SET job = 'expire', due_at = {later} WHERE purchase_id = {}",
        id.0
    ));
    let workers = world.engine.start_workers().await.unwrap();
    assert_eq!(world.state(id), State::Held);
    let updates = [
        (1, delivered(), State::Delivered),
        (1, delivered(), State::Delivered),
        (2, elsewhere(), State::Delivered),
        (2, reversed(), State::Delivered),
        (1, reversed(), State::Refunded),
        (1, reversed(), State::Refunded),
    ];
    for (n, (attempt, outcome, state)) in updates.into_iter().enumerate() {
        world.report(id, attempt, outcome);
        world.all_reports_processed(&format!("Z{n}")).await;
        assert_eq!((n, world.state(id)), (n, state));
        assert_eq!((n, world.engine.open_cases().unwrap()), (n, vec![]));
    }
    assert_eq!(world.house_balance("float", "b"), 0);
    stop(workers).await;
    world.assert_sound().await;
}

/// Updates that are queued when the workers stop are still processed: upstreams do not repeat them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_updates_are_processed_before_the_end() {
    let world = world().await;
    let ids: Vec<PurchaseId> = {
        let mut ids = Vec::new();
        for n in 0..40 {
            ids.push(world.buy(&format!("R{n}"), TO_A).await.key.id);
        }
        ids
    };
    let workers = world.engine.start_workers().await.unwrap();
    for id in &ids {
        world.report(*id, 1, reversed());
    }
    stop(workers).await;
    let missed = ids.iter().filter(|id| world.state(**id) != State::Refunded).count();
    assert_eq!(missed, 0);
    world.assert_sound().await;
}

/// The queue is bounded: updates beyond its limit are dropped, and the engine goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_updates_is_dropped() {
    let world = world().await;
    world.a.answers(unknown(), delivered());
    let id = world.buy("R1", TO_A).await.key.id;
    for n in 0..12_000 {
        let attempt = AttemptRef { purchase: PurchaseNumber(n), number: 9 };
        world.listener.on_update(StatusUpdate { attempt, outcome: delivered() });
    }
    world.report(id, 1, delivered());
    world.enquire(&world.a, 1).await;
    assert_eq!(world.state(id), State::Delivered);
    world.assert_sound().await;
}
