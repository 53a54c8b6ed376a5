//! Batches: many clients at once, bad changes among good ones, an audit beside the writer.

use crate::harness::world::*;
use domain::ids::UserId;
use domain::{AccountId, Event, OpeningDenied, Purchase, Reason, ReferenceOwner, State};
use std::fmt::Debug;
use std::iter;
use std::sync::Arc;
use store::{Commit, Fault, KeepEvidence, SetAll, Setting, TakeStep, User};
use tokio::task::JoinSet;

fn user(id: i64, email: &str) -> SetAll {
    SetAll(vec![Setting::User(User {
        id: UserId(id),
        account: AccountId(2),
        email: email.to_owned(),
        mobile: None,
        name: None,
        role: "owner".to_owned(),
        password_hash: "$argon2id$".to_owned(),
        is_active: true,
        created_at: NOW,
        confirmed_at: Some(NOW),
        language: "en".to_owned(),
    })])
}

/// A change whose answer is read as text.
fn shown<C: Commit<Done: Debug, Denied: Debug>>(change: C) -> AnyChange<String> {
    AnyChange::new(change, |answer| format!("{answer:?}"))
}

/// 64 merchants deposit, buy and settle at once; some of them also send invalid changes.
pub async fn many_clients_are_each_answered_and_the_ledger_balances(world: World) {
    open_accounts(&world.store, 64).await;
    let world = Arc::new(world);
    let mut writers = JoinSet::new();
    for merchant in 2..66_i64 {
        let world = world.clone();
        writers.spawn(async move {
            let store = &world.store;
            assert_eq!(deposit(store, merchant, 10 * TOTAL, "in").await, 10 * TOTAL);
            let mut left = 10 * TOTAL;
            for n in 0..10 {
                let id = merchant * 1_000 + n;
                let opened = store.write(open(purchase(merchant, id, State::Sent))).await.unwrap();
                left -= TOTAL;
                assert_eq!(opened, Ok(left));
                let now = store.purchase(&key(merchant, id)).unwrap().unwrap();
                assert_eq!(now.available_after, bdt(left));
                let event = [Event::Deliver, Event::Refuse, Event::Doubt, Event::Acknowledge]
                    [n as usize % 4];
                if let Some(next) = step(&now, event) {
                    assert!(store.write(TakeStep(next)).await.unwrap().is_ok());
                }
                left += if event == Event::Refuse { TOTAL } else { 0 };
                if n % 5 == 0 {
                    let invalid = store.write(user(merchant * 100 + n, "")).await;
                    assert!(matches!(invalid, Err(Fault::Database(_))), "{invalid:?}");
                }
                let again = store.write(open(purchase(merchant, id, State::Sent))).await.unwrap();
                let by = ReferenceOwner { purchase: Some(key(merchant, id)) };
                assert!(
                    matches!(&again, Err(OpeningDenied::ReferenceUsed(used)) if used.by == by),
                    "{again:?}"
                );
            }
            assert_eq!(wallet(store, merchant), (left, 10 * TOTAL - left - 3 * TOTAL, 3 * 150));
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let report = world.assert_sound();
    assert_eq!((report.purchases, report.journals), (640, 64 + 640 + 64 * 6));
}

/// The other changes queue while the writer commits the first one, so they share a commit.
pub async fn a_bad_change_does_not_sink_its_batch(world: World) {
    let store = &world.store;
    let mut changes = vec![shown(user(10, "taken@example.org"))];
    for n in 0..40 {
        changes.push(shown(fund(Reason::Deposit, 2, 100, &format!("in {n}"))));
    }
    changes.insert(11, shown(user(11, "taken@example.org")));
    changes.insert(22, shown(user(12, "")));
    let lost = KeepEvidence { key: key(2, 999), proof: staff_say("who?"), case: None, at: NOW };
    changes.insert(33, shown(lost));
    let answers = write_any(store, changes).await;
    let failed: Vec<usize> =
        (0..).zip(&answers).filter(|(_, a)| a.is_err()).map(|(i, _)| i).collect();
    assert_eq!(failed, [11, 22, 33]);
    let written: Vec<String> = answers.into_iter().flatten().collect();
    let booked = (1..=40).map(|n| format!("Ok({})", n * 100));
    assert_eq!(written, iter::once("Ok(())".to_owned()).chain(booked).collect::<Vec<_>>());
    assert_eq!(wallet(store, 2), (4_000, 0, 0));
    assert_eq!(world.assert_sound().journals, 40);
}

pub async fn everything_is_there_after_a_restart(world: World) {
    deposit(&world.store, 2, 100 * TOTAL, "in").await;
    let path = [Event::Reroute, Event::Submit, Event::Doubt, Event::Escalate, Event::Deliver];
    let delivered = live(&world.store, purchase(2, 1, State::Sent), &path).await;
    live(&world.store, purchase(2, 2, State::Quoted), &[]).await;
    live(&world.store, purchase(2, 3, State::Awaiting), &[Event::Reject]).await;
    live(&world.store, purchase(2, 4, State::Sent), &[Event::Deliver, Event::Reverse]).await;
    let all = |world: &World| {
        let store = &world.store;
        let of = |id| {
            let key = key(2, id);
            (
                store.purchase(&key).unwrap(),
                store.attempts(&key).unwrap(),
                store.events(&key).unwrap(),
                store.evidence(&key).unwrap(),
            )
        };
        let latest = store.latest_purchases(None, 10).unwrap();
        (wallet(store, 2), (1..=4).map(of).collect::<Vec<_>>(), latest, world.assert_sound())
    };
    let before = all(&world);
    assert_eq!(before.1[0].0.as_ref(), Some(&delivered));
    assert_eq!((before.1[0].1.len(), before.1[0].2.len(), before.1[3].2.len()), (2, 1, 2));
    let world = world.reopened();
    assert_eq!(all(&world), before);
    // The hash chain continues from its last journal.
    deposit(&world.store, 2, 1, "after").await;
    let world = world.reopened();
    assert_eq!(world.assert_sound().journals, before.3.journals + 1);
}

/// A deposit, a purchase, its delivery and refund, and a withdrawal, all in one commit.
pub async fn a_batch_sees_its_own_changes(world: World) {
    let store = &world.store;
    let sent = purchase(2, 1, State::Sent);
    let deliver = step(&sent, Event::Deliver).unwrap();
    let reverse = step(&deliver.after, Event::Reverse).unwrap();
    let first = open(Purchase { reference: "X".to_owned(), ..purchase(2, 9, State::Awaiting) });
    let changes = vec![
        shown(first),
        shown(fund(Reason::Deposit, 2, TOTAL, "in")),
        shown(open(sent)),
        shown(open(purchase(2, 2, State::Sent))),
        shown(TakeStep(deliver)),
        shown(TakeStep(reverse)),
        shown(fund(Reason::Withdraw, 2, TOTAL, "out")),
        shown(fund(Reason::Withdraw, 2, 1, "out again")),
    ];
    let answers = write_any(store, changes).await;
    let answers: Vec<String> = answers.into_iter().map(Result::unwrap).collect();
    let (deposited, returned) = (format!("Ok({TOTAL})"), format!("Ok(Some({TOTAL}))"));
    let short = "Err(Money(InsufficientBalance { available: 0 }))";
    assert_eq!(answers, [short, &deposited, "Ok(0)", short, "Ok(None)", &returned, "Ok(0)", short]);
    assert_eq!(world.assert_sound().journals, 5);
}

pub async fn an_audit_beside_the_writer_sees_whole_commits(world: World) {
    deposit(&world.store, 2, 1_000 * TOTAL, "in").await;
    let world = Arc::new(world);
    let mut writers = JoinSet::new();
    for writer in 0..4_i64 {
        let world = world.clone();
        writers.spawn(async move {
            for n in 0..25 {
                let event = [Event::Deliver, Event::Refuse, Event::Doubt][n as usize % 3];
                let id = 1 + writer * 100 + n;
                live(&world.store, purchase(2, id, State::Sent), &[event]).await;
            }
        });
    }
    let mut audits = 0;
    while !writers.is_empty() {
        let seen = world.clone();
        tokio::task::spawn_blocking(move || seen.assert_sound()).await.unwrap();
        audits += 1;
        while let Some(ended) = writers.try_join_next() {
            ended.unwrap();
        }
    }
    assert!(audits > 0);
    assert_eq!(world.assert_sound().purchases, 100);
}
