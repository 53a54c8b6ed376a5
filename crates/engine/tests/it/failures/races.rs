//! Concurrent decisions: one of them takes effect, and only its caller is told that it did.

use crate::world::*;
use domain::{EnquiryOutcome, Purchase, PurchaseId, State};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

type Answer = Result<Purchase, StaffRefused>;

async fn decide(engine: TestEngine, id: PurchaseId, how: usize) -> (usize, Answer) {
    let answer = match how {
        0 => engine.approve(id, "rahim").await,
        1 => engine.reject(id, "karim", "no").await,
        2 => engine.settle_by_staff(id, true, "selim", "by hand").await,
        _ => engine.settle_by_staff(id, false, "jamal", "not done").await,
    };
    (how, answer)
}

/// Approval, rejection, settlement by hand both ways, and expiry, all at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_awaits_approval_is_decided_once() {
    let world = world().await;
    let mut ids = Vec::new();
    for n in 0..200 {
        ids.push(world.buy(&format!("R{n}"), TO_A_AFTER_APPROVAL).await.key.id);
    }
    let mut deciders = JoinSet::new();
    // The workers expire all of them while staff decide.
    world.clock.advance(Duration::from_secs(24 * 3600));
    let workers = world.engine.start_workers().await.unwrap();
    for (n, id) in ids.iter().enumerate() {
        for k in 0..4 {
            deciders.spawn(decide(world.engine.clone(), *id, (n + k) % 4));
        }
    }
    let mut won: Vec<(PurchaseId, usize)> = Vec::new();
    while let Some(decided) = deciders.join_next().await {
        match decided.unwrap() {
            (how, Ok(after)) => won.push((after.key.id, how)),
            (_, Err(refusal)) => {
                assert!(matches!(refusal, StaffRefused::NotPossible(_)), "{refusal:?}");
            }
        }
    }
    until(|| ids.iter().all(|id| world.state(*id).is_final())).await;
    stop(workers).await;
    let mut delivered = 0;
    for id in &ids {
        let mut how: Vec<usize> = won.iter().filter(|(w, _)| w == id).map(|(_, h)| *h).collect();
        how.sort_unstable();
        let now = world.stored(*id);
        // What was approved may still be rejected before it is sent; nothing else is decided twice.
        let sound: &[&[usize]] = match now.state {
            State::Delivered => &[&[0], &[2]],
            State::Rejected => &[&[], &[1], &[3], &[0, 1]],
            State::Quoted
            | State::Awaiting
            | State::Held
            | State::Sent
            | State::InDoubt
            | State::WithStaff
            | State::Failed
            | State::Refunded => &[],
        };
        assert!(sound.contains(&how.as_slice()), "{how:?} {}", world.summary(*id));
        delivered += i64::from(now.state == State::Delivered);
    }
    assert_eq!(world.wallet(), (START - delivered * TOTAL, 0, delivered * COMMISSION));
    world.assert_sound().await;
}

/// One approves it, another settles it as delivered by hand. Both at once would deliver it twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_is_not_settled_by_hand() {
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    for round in 0..10 {
        let mut ids = Vec::new();
        for n in 0..40 {
            ids.push(world.buy(&format!("R{round}-{n}"), TO_A_AFTER_APPROVAL).await.key.id);
        }
        let mut deciders = JoinSet::new();
        for id in &ids {
            deciders.spawn(decide(world.engine.clone(), *id, 0));
            deciders.spawn(decide(world.engine.clone(), *id, 2));
        }
        let mut winners = 0;
        while let Some(decided) = deciders.join_next().await {
            winners += usize::from(decided.unwrap().1.is_ok());
        }
        until(|| ids.iter().all(|id| world.state(*id) == State::Delivered)).await;
        assert_eq!(winners, ids.len());
    }
    stop(workers).await;
    let by_hand = world.house_balance("float", "staff");
    let sent = i64::try_from(world.a.count(Call::Submit)).unwrap();
    assert_eq!(by_hand + sent * AMOUNT, 400 * AMOUNT);
    world.assert_sound().await;
}

/// Staff approve at the last moment: once that is answered, it cannot expire.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_approved_does_not_expire() {
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    for round in 0..20 {
        let mut ids = Vec::new();
        for n in 0..20 {
            ids.push(world.buy(&format!("R{round}-{n}"), TO_A_AFTER_APPROVAL).await.key.id);
        }
        world.clock.advance(Duration::from_secs(24 * 3600));
        // Each approval wakes the workers, which then expire those that are not approved yet.
        let mut deciders = JoinSet::new();
        for (n, id) in (0..).zip(&ids) {
            let (engine, id) = (world.engine.clone(), *id);
            deciders.spawn(async move {
                tokio::time::sleep(Duration::from_micros(n * 150)).await;
                decide(engine, id, 0).await
            });
        }
        while let Some(decided) = deciders.join_next().await {
            match decided.unwrap().1 {
                Ok(after) => {
                    until(|| world.state(after.key.id).is_final()).await;
                    let summary = world.summary(after.key.id);
                    assert_eq!(world.state(after.key.id), State::Delivered, "{summary}");
                }
                Err(refusal) => {
                    assert!(matches!(refusal, StaffRefused::NotPossible(_)), "{refusal:?}");
                }
            }
        }
    }
    stop(workers).await;
    assert_eq!(world.a.count(Call::Enquire), 0);
    world.assert_sound().await;
}

/// A worker leases the job of a purchase that the client's own task is rerouting: that job is
/// stale, and no enquiry goes out while the submit is in flight.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_enquiry_goes_out_during_a_submit() {
    let world = Arc::new(world().await);
    let workers = world.engine.start_workers().await.unwrap();
    world.a.on_submit(|order| {
        Reply::With(if order.recipient == TO_A_B { elsewhere() } else { delivered() })
    });
    let mut buyers = JoinSet::new();
    for buyer in 0..16 {
        let world = world.clone();
        buyers.spawn(async move {
            for n in 0..25 {
                // Each approval wakes the workers.
                let waits = world.buy(&format!("A{buyer}-{n}"), TO_A_AFTER_APPROVAL).await;
                world.engine.approve(waits.key.id, "rahim").await.unwrap();
                let bought = world.buy(&format!("R{buyer}-{n}"), TO_A_B).await;
                assert!(matches!(bought.state, State::Held | State::Sent | State::Delivered));
            }
        });
    }
    while let Some(buyer) = buyers.join_next().await {
        buyer.unwrap();
    }
    until(|| world.wallet() == (START - 800 * TOTAL, 0, 800 * COMMISSION)).await;
    stop(workers).await;
    assert_eq!((world.a.count(Call::Enquire), world.b.count(Call::Enquire)), (0, 0));
    world.assert_sound().await;
}

/// A status update, staff and a refund race for a purchase that is with staff.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_doubt_is_settled_once() {
    let world = world().await;
    world.a.answers(unaskable(), unaskable());
    let workers = world.engine.start_workers().await.unwrap();
    let mut ids = Vec::new();
    for n in 0..150 {
        ids.push(world.buy(&format!("R{n}"), TO_A).await.key.id);
    }
    let mut deciders = JoinSet::new();
    for (n, id) in ids.iter().enumerate() {
        let updates: [EnquiryOutcome; 3] = [delivered(), reversed(), refused()];
        world.report(*id, 1, updates[n % 3].clone());
        deciders.spawn(decide(world.engine.clone(), *id, 2 + n % 2));
        deciders.spawn(decide(world.engine.clone(), *id, 3 - n % 2));
        let engine = world.engine.clone();
        let id = *id;
        deciders.spawn(async move { (9, engine.refund(id, "rahim", "undo").await) });
    }
    while let Some(decided) = deciders.join_next().await {
        let (_, answer) = decided.unwrap();
        let is_refused = matches!(answer, Err(StaffRefused::NotPossible(_)));
        assert!(answer.is_ok() || is_refused, "{answer:?}");
    }
    world.all_reports_processed("Z").await;
    let mut spent = 1;
    for id in &ids {
        let history = world.engine.history(id.number()).unwrap().unwrap();
        let state = history.purchase.state;
        assert!(state.is_final(), "{}", world.summary(*id));
        spent += i64::from(state == State::Delivered);
        let events: Vec<State> = history.events.iter().map(|e| e.state).collect();
        let undone = [State::Delivered, State::Refunded];
        let expected = if state == State::Refunded { &undone[..] } else { &[state] };
        assert_eq!(events, expected);
    }
    assert_eq!(world.wallet(), (START - spent * TOTAL, 0, spent * COMMISSION));
    let cases = world.engine.open_cases().unwrap();
    assert!(cases.iter().all(|case| case.why == "clash"), "{cases:?}");
    stop(workers).await;
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_is_charged_and_sent_once() {
    let world = world().await;
    for round in 0..10 {
        let mut buyers = JoinSet::new();
        for _ in 0..32 {
            let (engine, request) =
                (world.engine.clone(), world.request(&format!("R{round}"), TO_A));
            buyers.spawn(async move { engine.purchase(request).await });
        }
        let mut ids = Vec::new();
        let mut winners = 0;
        while let Some(outcome) = buyers.join_next().await {
            match outcome.unwrap() {
                Ok(outcome) => {
                    winners += 1;
                    ids.push(bought(Ok(outcome)).key.id);
                }
                Err(BuyRefused::ReferenceKnown(ReferenceKnown { first: Some(first) })) => {
                    ids.push(first.key.id);
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        ids.dedup();
        assert_eq!((winners, ids.len()), (1, 1));
    }
    assert_eq!(world.a.count(Call::Submit), 10);
    assert_eq!(world.wallet(), (START - 10 * TOTAL, 0, 10 * COMMISSION));
    world.assert_sound().await;
}
