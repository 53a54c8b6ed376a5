//! The workers: they run side by side and survive a connector's bug. Also deposits by staff.

use crate::world::*;
use domain::{Clock as _, State};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The replies come only once 64 enquiries are in flight: one after the other they never would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enquiries_run_side_by_side() {
    let world = world().await;
    world.a.answers(unknown(), unknown());
    let mut ids = Vec::new();
    for n in 0..100 {
        ids.push(world.buy(&format!("R{n}"), TO_A).await.key.id);
    }
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    world.a.on_enquire(move |_| Reply::After(held.clone(), delivered()));
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.a.count(Call::Enquire) == 64).await;
    gate.add_permits(1_000);
    until(|| ids.iter().all(|id| world.state(*id) == State::Delivered)).await;
    stop(workers).await;
    assert_eq!(world.a.count(Call::Enquire), 100);
    world.assert_sound().await;
}

/// A connector's bug delays its own purchase and no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connector_that_panics_delays_its_purchase_only() {
    let world = world().await;
    world.a.on_submit(|_| Reply::Panic);
    let bought = world.buy("R1", TO_A).await;
    assert_eq!((bought.state, world.wallet()), (State::Sent, (START - TOTAL, TOTAL, 0)));
    let id = bought.key.id;
    world.a.on_enquire(|_| Reply::Panic);
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.a.count(Call::Enquire) == 1).await;
    world.a.answers(delivered(), delivered());
    assert_eq!(world.buy("R2", TO_A).await.state, State::Delivered);
    // The job's lease must end first.
    world.clock.advance(Duration::from_secs(60));
    until(|| world.state(id) == State::Delivered).await;
    assert_eq!(world.a.count(Call::Submit), 2);
    stop(workers).await;
    world.assert_sound().await;
}

/// More panics than there are slots: each one frees its slot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_frees_its_slot() {
    let world = world().await;
    world.a.answers(unknown(), unknown());
    for n in 0..80 {
        world.buy(&format!("R{n}"), TO_A).await;
    }
    world.a.on_enquire(|_| Reply::Panic);
    world.enquire(&world.a, 80).await;
    world.a.answers(unknown(), delivered());
    world.enquire(&world.a, 80).await;
    assert_eq!(world.wallet(), (START - 80 * TOTAL, 0, 80 * COMMISSION));
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_waits_for_calls_in_flight() {
    let world = world().await;
    let gate = world.a.submits_wait(delivered());
    let buying = world.spawn_purchase(world.request("R1", TO_A));
    until(|| world.a.count(Call::Submit) == 1).await;
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.a.count(Call::Enquire) <= 1).await;
    let stopping = tokio::spawn(workers.stop(Duration::from_secs(10)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!stopping.is_finished());
    gate.add_permits(1);
    stopping.await.unwrap();
    assert_eq!(bought(buying.await.unwrap()).state, State::Delivered);
    // The wait has a timeout: what is left stays pending.
    world.a.on_submit(|_| Reply::Never);
    let hanging = world.spawn_purchase(world.request("R2", TO_A));
    until(|| world.a.count(Call::Submit) == 2).await;
    let workers = world.engine.start_workers().await.unwrap();
    workers.stop(Duration::from_millis(50)).await;
    hanging.abort();
}

/// Approved purchases are submitted while enquiries at a dead upstream hang.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_upstream_delays_no_other() {
    let world = world().await;
    world.b.answers(delivered(), delivered());
    world.a.on_submit(|_| Reply::With(unknown()));
    world.a.on_enquire(|_| Reply::Never);
    for n in 0..40 {
        world.buy(&format!("R{n}"), TO_A).await;
    }
    let waits = world.buy("A", TO_A_AFTER_APPROVAL).await.key.id;
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.a.count(Call::Enquire) == 40).await;
    world.a.on_submit(|_| Reply::With(delivered()));
    world.engine.approve(waits, "rahim").await.unwrap();
    until(|| world.state(waits) == State::Delivered).await;
    workers.stop(Duration::from_millis(50)).await;
}

/// As many journals as are listed at once, after the last one.
const MANY_JOURNALS: &str = "INSERT INTO journals (seq, account_id, environment, purchase_id,
        reason, note, at, hash, listed, month)
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 8000)
    SELECT j.seq + n, j.account_id, j.environment, NULL, 'deposit', NULL, j.at, j.hash, NULL,
        j.month
    FROM n CROSS JOIN journals j WHERE j.seq = (SELECT max(seq) FROM journals)";

/// What has become much is listed; what is little is left for later. In PostgreSQL a list is an
/// index, which has everything at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_accounts_are_filled_behind_the_journals() {
    let world = world().await;
    let up_to = || world.database.sql("SELECT CAST(up_to AS TEXT) FROM lists ORDER BY name");
    let count = |table| world.database.sql(&format!("SELECT CAST(count(*) AS TEXT) FROM {table}"));
    world.database.sql(MANY_JOURNALS);
    if world.database.is_shared() {
        assert_eq!(count("listed_journals"), count("journals"));
        return;
    }
    assert_eq!(up_to(), ["0", "0"]);
    let workers = world.engine.start_workers().await.unwrap();
    let last = world.database.sql("SELECT CAST(max(seq) AS TEXT) FROM journals").remove(0);
    until(|| up_to() == [last.clone(), last.clone()]).await;
    stop(workers).await;
    assert_eq!(count("listed_journals"), count("journals"));
}

#[tokio::test]
async fn staff_book_a_deposit_once() {
    use domain::{Environment, Reason};
    let world = world().await;
    let (account, environment) = (world.merchant, Environment::Live);
    let fund = async |reason, minor, reference| {
        let note = Note { reference, note: "bank" };
        world.engine.fund(reason, account, environment, bdt(minor), note).await
    };
    assert_eq!(fund(Reason::Deposit, 500, "B1").await, Ok(bdt(START + 500)));
    let known = || PaymentKnown { account, at: world.clock.now() };
    for typed in ["B1", "b1", " B 1"] {
        assert_eq!(fund(Reason::Deposit, 500, typed).await, Err(known().into()), "{typed}");
    }
    // Nor for anybody else, and the refusal says who has it.
    let other = world.account("Other").await;
    let theirs = Note { reference: "b1", note: "bank" };
    let again = world.engine.fund(Reason::Deposit, other, environment, bdt(500), theirs).await;
    assert_eq!(again, Err(known().into()));
    assert_eq!(fund(Reason::Withdraw, 500, "B2").await, Ok(bdt(START)));
    let short = Err(InsufficientBalance { available: bdt(START) }.into());
    assert_eq!(fund(Reason::Withdraw, START + 1, "B3").await, short);
    for (reason, minor, reference) in [
        (Reason::Deposit, 0, "B4"),
        (Reason::Deposit, -5, "B5"),
        (Reason::Hold, 5, "B6"),
        (Reason::Deposit, 5, "B7\u{9f3}"),
        (Reason::Deposit, i64::MAX, "B8"),
    ] {
        let refusal = fund(reason, minor, reference).await.unwrap_err();
        assert_eq!(refusal.code(), "VALIDATION_ERROR", "{reference}");
    }
    assert_eq!(world.wallet(), (START, 0, 0));
    world.assert_sound().await;
}
