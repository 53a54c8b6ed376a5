//! What every backend must do. Each test has a world of its own and may end it.

use crate::world::*;
use domain::PurchaseId;
use domain::account::{AccountId, AllowList, Environment, HOUSE, Key, Role};
use domain::catalog::kind::Kind;
use domain::catalog::pricing::{self, PriceRule};
use domain::catalog::product::{
    Category, CategoryId, Field, Part, Pricing, Product, ProductId, ReceiptLine,
};
use domain::catalog::routing::Route;
use domain::catalog::{Limits, OfferForm, Operator};
use domain::ids::{KeyId, UserId};
use domain::ledger::admission::{Denial, ReferenceOwner};
use domain::ledger::journal::{Purpose, Reason};
use domain::money::Currency;
use domain::purchase::lifecycle::{Event, Job, State};
use domain::purchase::settle::{self, Case, CaseKind, Decided, Proof, Source};
use domain::purchase::slip::{Charge, Slip, Token, TokenKind};
use domain::purchase::{Purchase, PurchaseKey, ReferenceScope};
use domain::upstream::UpstreamCode;
use fixtures::usd;
use std::sync::Arc;
use std::time::Duration;
use store::{Change, Done, DueJob, Fault, HaltChange, Setting, StoredReference, User};
use tokio::task::JoinSet;

fn user(id: i64, email: &str) -> Change {
    Change::Set(vec![Setting::User(User {
        id: UserId(id),
        account: AccountId(2),
        email: email.to_owned(),
        mobile: None,
        name: None,
        role: "owner".to_owned(),
        password_hash: "$argon2id$".to_owned(),
        is_active: true,
        created_at: NOW,
    })])
}

/// 64 merchants buy, settle and pay in at once; now and then one of them sends rubbish.
pub async fn many_writers_are_each_answered_and_the_books_add_up(world: World) {
    people(&world.store, 64).await;
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
                assert_eq!(opened, Ok(Done::Opened { available_after: left }));
                let now = store.purchase(&key(merchant, id)).unwrap().unwrap();
                assert_eq!(now.available_after, bdt(left));
                let event =
                    [Event::Deliver, Event::Refuse, Event::LoseTrack, Event::Pend][n as usize % 4];
                if let Some(next) = step(&now, event) {
                    assert_eq!(store.write(Change::Step(next)).await.unwrap(), Ok(Done::Written));
                }
                left += if event == Event::Refuse { TOTAL } else { 0 };
                if n % 5 == 0 {
                    let rubbish = store.write(user(merchant * 100 + n, "")).await;
                    assert!(matches!(rubbish, Err(Fault::Database(_))), "{rubbish:?}");
                }
                let again = store.write(open(purchase(merchant, id, State::Sent))).await.unwrap();
                let by = ReferenceOwner { purchase: Some(key(merchant, id)) };
                assert!(
                    matches!(again, Err(Denial::ReferenceTaken { by: b, .. }) if b == by),
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

/// The writer is busy with the first change while the others queue, so they share a commit.
pub async fn a_bad_change_does_not_sink_its_batch(world: World) {
    let store = &world.store;
    let mut changes = vec![user(10, "taken@example.org")];
    for n in 0..40 {
        changes.push(fund(Reason::Deposit, 2, 100, &format!("in {n}")));
    }
    changes.insert(11, user(11, "taken@example.org"));
    changes.insert(22, user(12, ""));
    let lost = key(2, 999);
    changes.insert(33, Change::Keep { key: lost, proof: staff_say("who?"), case: None, at: NOW });
    let answers = write_all(store, changes).await;
    let failed: Vec<usize> =
        (0..).zip(&answers).filter(|(_, a)| a.is_err()).map(|(i, _)| i).collect();
    assert_eq!(failed, [11, 22, 33]);
    let booked: Vec<i64> = answers
        .iter()
        .filter_map(|a| match a {
            Ok(Ok(Done::Posted { available_after })) => Some(*available_after),
            _ => None,
        })
        .collect();
    assert_eq!(booked, (1..=40).map(|n| n * 100).collect::<Vec<_>>());
    assert_eq!(wallet(store, 2), (4_000, 0, 0));
    assert_eq!(world.assert_sound().journals, 40);
}

pub async fn a_reference_has_one_winner(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    let changes = (0..64)
        .map(|n| Purchase { reference: "ONE".to_owned(), ..purchase(2, 100 + n, State::Sent) })
        .map(open)
        .collect();
    let answers = write_all(store, changes).await;
    let won = (0..).zip(&answers).filter(|(_, a)| matches!(a, Ok(Ok(Done::Opened { .. }))));
    let winners: Vec<i64> = won.map(|(n, _)| 100 + n).collect();
    assert_eq!(winners.len(), 1);
    let winner = key(2, winners[0]);
    let denied = Denial::ReferenceTaken {
        reference: reference(2, ReferenceScope::Irecharge, "ONE"),
        by: ReferenceOwner { purchase: Some(winner) },
    };
    assert_eq!(answers.iter().filter(|a| matches!(a, Ok(Err(d)) if *d == denied)).count(), 63);
    let stored_reference =
        store.stored_reference(&reference(2, ReferenceScope::Irecharge, "ONE")).unwrap();
    assert_eq!(stored_reference, Some(StoredReference { purchase: Some(winner), digest: None }));
    assert_eq!(wallet(store, 2), (99 * TOTAL, TOTAL, 0));
    world.assert_sound();
}

/// Money for N, asked for 4 N times, from several threads: N get it and nobody else.
pub async fn exactly_what_is_affordable_is_opened(world: World) {
    let n = 25;
    deposit(&world.store, 2, n * TOTAL + TOTAL - 1, "in").await;
    let world = Arc::new(world);
    let mut buyers = JoinSet::new();
    for id in 0..4 * n {
        let world = world.clone();
        buyers.spawn(async move {
            world.store.write(open(purchase(2, 1_000 + id, State::Sent))).await.unwrap()
        });
    }
    let mut left = Vec::new();
    let mut short = 0;
    while let Some(answer) = buyers.join_next().await {
        match answer.unwrap() {
            Ok(Done::Opened { available_after }) => left.push(available_after),
            Err(Denial::Short { available }) => {
                assert_eq!(available, TOTAL - 1);
                short += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    left.sort_unstable();
    let expected: Vec<i64> = (0..n).map(|k| k * TOTAL + TOTAL - 1).collect();
    assert_eq!((left, short), (expected, 3 * n));
    assert_eq!(wallet(&world.store, 2), (TOTAL - 1, n * TOTAL, 0));
    world.assert_sound();
}

pub async fn a_version_is_left_once(world: World) {
    let store = &world.store;
    deposit(store, 2, 10 * TOTAL, "in").await;
    let sent = live(store, purchase(2, 7, State::Sent), &[]).await;
    let rivals = [Event::Deliver, Event::Refuse, Event::LoseTrack, Event::GiveUp];
    let changes =
        (0..64).map(|n| Change::Step(step(&sent, rivals[n % 4]).unwrap())).collect::<Vec<_>>();
    let answers = write_all(store, changes).await;
    let won: Vec<_> = answers.iter().filter(|a| matches!(a, Ok(Ok(Done::Written)))).collect();
    assert_eq!(won.len(), 1);
    let now = store.purchase(&sent.key).unwrap().unwrap();
    let moved = Denial::Moved { now: Some((now.state, 2)) };
    assert_eq!(answers.iter().filter(|a| matches!(a, Ok(Err(d)) if *d == moved)).count(), 63);
    let nobody = Purchase { key: key(2, 404), ..sent };
    let answer = store.write(Change::Step(step(&nobody, Event::Deliver).unwrap())).await.unwrap();
    assert_eq!(answer, Err(Denial::Moved { now: None }));
    world.assert_sound();
}

pub async fn a_payment_is_booked_once(world: World) {
    let store = &world.store;
    let papers = (0..32).map(|_| fund(Reason::Deposit, 2, 500, "BANK-1")).collect();
    let answers = write_all(store, papers).await;
    assert_eq!(answers.iter().filter(|a| matches!(a, Ok(Ok(Done::Posted { .. })))).count(), 1);
    assert_eq!(wallet(store, 2), (500, 0, 0));
    // The same paper is no withdrawal either; another account's paper is another paper.
    let again = store.write(fund(Reason::Withdraw, 2, 500, "BANK-1")).await.unwrap();
    let by = ReferenceOwner { purchase: None };
    assert_eq!(
        again,
        Err(Denial::ReferenceTaken {
            reference: reference(2, ReferenceScope::Staff, "BANK-1"),
            by
        })
    );
    assert_eq!(deposit(store, 3, 700, "BANK-1").await, 700);
    world.assert_sound();
}

pub async fn a_payment_needs_a_wallet_and_stays_in_range(world: World) {
    let store = &world.store;
    let stranger = store.write(fund(Reason::Deposit, 99, 1, "x")).await.unwrap();
    assert!(
        matches!(&stranger, Err(Denial::NoLedgerAccount(a)) if a.purpose == Purpose::Available),
        "{stranger:?}"
    );
    assert_eq!(deposit(store, 2, i64::MAX - 10, "much").await, i64::MAX - 10);
    let more = store.write(fund(Reason::Deposit, 2, 11, "more")).await.unwrap();
    assert_eq!(more, Err(Denial::TooLarge));
    let out = store.write(fund(Reason::Withdraw, 3, 1, "out")).await.unwrap();
    assert_eq!(out, Err(Denial::Short { available: 0 }));
    let report = world.assert_sound();
    assert_eq!(report.journals, 1);
}

pub async fn claim(store: &store::Store, after: Duration, limit: u32) -> Vec<DueJob> {
    let claim = Change::LeaseJobs { now: NOW.after(after), lease: Duration::from_secs(60), limit };
    match store.write(claim).await.unwrap() {
        Ok(Done::Leased(jobs)) => jobs,
        other => panic!("{other:?}"),
    }
}

const fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

pub async fn a_job_has_one_taker_until_its_lease_ends(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    assert_eq!(store.next_due().unwrap(), None);
    for id in 1..=20 {
        live(store, purchase(2, id, State::Sent), &[]).await;
    }
    assert_eq!(store.next_due().unwrap(), Some(NOW.after(seconds(25))));
    assert_eq!(claim(store, seconds(24), 100).await, []);
    let takers = (0..8)
        .map(|_| Change::LeaseJobs { now: NOW.after(seconds(25)), lease: seconds(60), limit: 4 })
        .collect();
    let mut taken: Vec<DueJob> = write_all(store, takers)
        .await
        .into_iter()
        .flat_map(|answer| match answer {
            Ok(Ok(Done::Leased(jobs))) => jobs,
            other => panic!("{other:?}"),
        })
        .collect();
    taken.sort_by_key(|job| job.key);
    let ids: Vec<i64> = taken.iter().map(|job| job.key.id.0).collect();
    assert_eq!(ids, (1..=20).collect::<Vec<_>>());
    assert!(taken.iter().all(|j| (j.job, j.tries, j.epoch) == (Job::Query, 0, 1)), "{taken:?}");
    assert_eq!(claim(store, seconds(84), 100).await, []);
    let again = claim(store, seconds(85), 100).await;
    assert!(again.len() == 20 && again.iter().all(|job| job.epoch == 2));
    // A step ends the job, whoever holds it.
    let one = store.purchase(&key(2, 1)).unwrap().unwrap();
    store.write(Change::Step(step(&one, Event::Deliver).unwrap())).await.unwrap().unwrap();
    assert_eq!(claim(store, seconds(10_000), 100).await.len(), 19);
    world.assert_sound();
}

pub async fn whoever_lost_a_job_cannot_put_it_off(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    let sent = live(store, purchase(2, 1, State::Sent), &[]).await;
    let put_off = async |job: DueJob, s| {
        let change = Change::PutOff { job, until: NOW.after(seconds(s)) };
        assert_eq!(store.write(change).await.unwrap(), Ok(Done::Written));
        store.next_due().unwrap().unwrap()
    };
    let first = claim(store, seconds(25), 1).await[0];
    let second = claim(store, seconds(85), 1).await[0];
    assert_eq!(put_off(first, 1_000).await, NOW.after(seconds(145)));
    assert_eq!(put_off(second, 1_000).await, NOW.after(seconds(1_000)));
    let third = claim(store, seconds(1_000), 1).await[0];
    assert_eq!((third.tries, third.epoch, third.version), (1, 3, 1));
    // A step puts the next job in place: the old one cannot touch it.
    store.write(Change::Step(step(&sent, Event::LoseTrack).unwrap())).await.unwrap().unwrap();
    assert_eq!(put_off(third, 5_000).await, NOW.after(seconds(5)));
    let next = claim(store, seconds(5), 1).await[0];
    assert_eq!((next.job, next.tries, next.version), (Job::Query, 0, 2));
    world.assert_sound();
}

pub async fn a_start_makes_enquiries_due(mut world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    live(store, purchase(2, 1, State::Sent), &[]).await;
    live(store, purchase(2, 2, State::Sent), &[Event::GiveUp]).await;
    live(store, purchase(2, 3, State::Quoted), &[]).await;
    live(store, purchase(2, 4, State::Awaiting), &[]).await;
    // Somebody has them under a lease and died.
    assert_eq!(claim(store, seconds(25), 10).await.len(), 1);
    world = world.reopened();
    let store = &world.store;
    store
        .write(Change::TakeOver { dead: Vec::new(), is_start: false, now: NOW.after(seconds(30)) })
        .await
        .unwrap()
        .unwrap();
    let due = claim(store, seconds(30), 10).await;
    let mut ids: Vec<(i64, Job)> = due.iter().map(|job| (job.key.id.0, job.job)).collect();
    ids.sort_by_key(|(id, _)| *id);
    assert_eq!(ids, [(1, Job::Query), (2, Job::Query)]);
}

/// What waited to be sent is due when the halt ends, and nobody's any more; the rest stays put off.
pub async fn a_halt_lasts_until_it_is_ended(world: World) {
    let store = &world.store;
    assert_eq!(store.halt().unwrap(), None);
    deposit(store, 2, 2 * TOTAL, "in").await;
    live(store, purchase(2, 1, State::Awaiting), &[Event::Approve]).await;
    live(store, purchase(2, 2, State::Sent), &[Event::LoseTrack]).await;
    for day in ["monday", "tuesday"] {
        let begin = HaltChange::Begin { why: format!("restored from {day}"), at: NOW };
        assert_eq!(store.write(Change::Halt(begin)).await.unwrap(), Ok(Done::Written));
    }
    let job = claim(store, seconds(0), 1).await[0];
    let put_off = Change::PutOff { job, until: NOW.after(seconds(60)) };
    store.write(put_off.clone()).await.unwrap().unwrap();
    let world = world.reopened();
    let store = &world.store;
    let halt = store.halt().unwrap().unwrap();
    assert_eq!((halt.why.as_str(), halt.since), ("restored from tuesday", NOW));
    let end = || {
        let (by, evidence) = ("rahim".to_owned(), "the statement".to_owned());
        Change::Halt(HaltChange::End { by, evidence, at: NOW.after(seconds(3)) })
    };
    assert!(claim(store, seconds(3), 9).await.is_empty());
    for _ in 0..2 {
        assert_eq!(store.write(end()).await.unwrap(), Ok(Done::Written));
        assert_eq!(store.halt().unwrap(), None);
    }
    store.write(put_off).await.unwrap().unwrap();
    let due = claim(store, seconds(3), 9).await;
    assert_eq!(due.iter().map(|job| job.key.id.0).collect::<Vec<_>>(), [1]);
    world.assert_sound();
}

pub async fn a_first_answer_is_kept_for_ever(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    let asked = reference(2, ReferenceScope::IrechargeKey, "K-1");
    let remember = |status, body: &str| Change::Remember {
        reference: asked.clone(),
        status,
        body: body.to_owned(),
    };
    // Nobody used this key yet: there is nothing to keep an answer for.
    assert!(matches!(store.write(remember(200, "{}")).await, Err(Fault::Database(_))));
    let digest = Some([7; 32]);
    let Change::Open { mut reference_keys, opening, .. } = open(purchase(2, 1, State::Sent)) else {
        panic!()
    };
    reference_keys.push(asked.clone());
    store.write(Change::Open { reference_keys, digest, opening }).await.unwrap().unwrap();
    let by = Some(StoredReference { purchase: Some(key(2, 1)), digest });
    assert_eq!(store.stored_reference(&asked).unwrap(), by);
    assert_eq!(store.stored_reference(&reference(2, ReferenceScope::Irecharge, "R1")).unwrap(), by);
    assert_eq!(store.replay(&asked).unwrap(), None);
    store.write(remember(200, "{\"a\": \"é\"}")).await.unwrap().unwrap();
    store.write(remember(500, "later")).await.unwrap().unwrap();
    assert_eq!(store.replay(&asked).unwrap(), Some((200, "{\"a\": \"é\"}".to_owned())));
    let world = world.reopened();
    assert_eq!(world.store.replay(&asked).unwrap(), Some((200, "{\"a\": \"é\"}".to_owned())));
}

pub async fn a_second_doubt_opens_its_case_again(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    let take = async |event| {
        let now = store.purchase(&key(2, 1)).unwrap().unwrap();
        store.write(Change::Step(step(&now, event).unwrap())).await.unwrap().unwrap();
        let cases = store.open_cases().unwrap();
        cases.iter().map(|case| case.why.clone()).collect::<Vec<_>>().join(",")
    };
    live(store, purchase(2, 1, State::Sent), &[]).await;
    assert_eq!(take(Event::GiveUp).await, "doubt");
    assert_eq!(take(Event::Reroute).await, "");
    assert_eq!(take(Event::Submit).await, "");
    assert_eq!(take(Event::GiveUp).await, "doubt");
    assert_eq!(take(Event::Deny).await, "");
    let said = upstream_says(&store.purchase(&key(2, 1)).unwrap().unwrap(), "delivered");
    for _ in 0..3 {
        let case = Some(Case { why: CaseKind::Clash, proof: said.clone() });
        let keep = Change::Keep { key: key(2, 1), proof: said.clone(), case, at: NOW };
        store.write(keep).await.unwrap().unwrap();
    }
    let cases = store.open_cases().unwrap();
    let shown: Vec<_> = cases.iter().map(|c| (c.key, c.why.as_str(), c.text.as_str())).collect();
    let text = "upstream sim-2 said delivered: delivered, says the upstream";
    assert_eq!(shown, [(key(2, 1), "clash", text)]);
    assert_eq!(store.evidence(&key(2, 1)).unwrap().len(), 1 + 3);
    world.assert_sound();
}

pub async fn everything_is_there_after_a_restart(world: World) {
    deposit(&world.store, 2, 100 * TOTAL, "in").await;
    let path = [Event::Reroute, Event::Submit, Event::LoseTrack, Event::GiveUp, Event::Deliver];
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
    assert_eq!(world.store.highest_id().unwrap(), 4);
    // The chain goes on where it was.
    deposit(&world.store, 2, 1, "after").await;
    let world = world.reopened();
    assert_eq!(world.assert_sound().journals, before.3.journals + 1);
}

pub async fn environments_and_accounts_do_not_meet(world: World) {
    let store = &world.store;
    deposit(store, 2, 10 * TOTAL, "in").await;
    live(store, purchase(2, 1, State::Sent), &[]).await;
    let elsewhere = [
        PurchaseKey { environment: Environment::Sandbox, ..key(2, 1) },
        PurchaseKey { account: AccountId(3), ..key(2, 1) },
        key(2, 2),
    ];
    for stranger in elsewhere {
        assert_eq!(store.purchase(&stranger).unwrap(), None);
        assert_eq!(store.attempts(&stranger).unwrap(), []);
    }
    assert_eq!(store.any_purchase(PurchaseId(1)).unwrap().unwrap().key, key(2, 1));
    // The live money buys nothing in the sandbox, nor for a neighbour; the reference is free there.
    let mut sandbox = purchase(2, 5, State::Sent);
    sandbox.key.environment = Environment::Sandbox;
    sandbox.reference = "R1".to_owned();
    let neighbours = Purchase { reference: "R1".to_owned(), ..purchase(3, 6, State::Sent) };
    for broke in [sandbox, neighbours] {
        let answer = store.write(open(broke)).await.unwrap();
        assert_eq!(answer, Err(Denial::Short { available: 0 }));
    }
    assert_eq!(store.available(AccountId(2), Environment::Live, Currency::USD).unwrap(), None);
    assert_eq!(wallet(store, 3), (0, 0, 0));
    world.assert_sound();
}

/// Paid in, bought, delivered, paid out, all in one commit.
pub async fn a_batch_sees_its_own_changes(world: World) {
    let store = &world.store;
    let sent = purchase(2, 1, State::Sent);
    let deliver = step(&sent, Event::Deliver).unwrap();
    let reverse = step(&deliver.after, Event::Reverse).unwrap();
    let first = open(Purchase { reference: "X".to_owned(), ..purchase(2, 9, State::Awaiting) });
    let answers = write_all(
        store,
        vec![
            first,
            fund(Reason::Deposit, 2, TOTAL, "in"),
            open(sent),
            open(purchase(2, 2, State::Sent)),
            Change::Step(deliver),
            Change::Step(reverse),
            fund(Reason::Withdraw, 2, TOTAL, "out"),
            fund(Reason::Withdraw, 2, 1, "out again"),
        ],
    )
    .await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let short = Err(Denial::Short { available: 0 });
    assert_eq!(
        answers,
        [
            short.clone(),
            Ok(Done::Posted { available_after: TOTAL }),
            Ok(Done::Opened { available_after: 0 }),
            short.clone(),
            Ok(Done::Written),
            Ok(Done::Written),
            Ok(Done::Posted { available_after: 0 }),
            short,
        ]
    );
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
                let event = [Event::Deliver, Event::Refuse, Event::LoseTrack][n as usize % 3];
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

/// A quote is accepted: what is stored as left over is what was left then, not at the quote.
pub async fn a_hold_at_acceptance_tells_what_is_left(world: World) {
    let store = &world.store;
    deposit(store, 2, 3 * TOTAL, "in").await;
    live(store, purchase(2, 1, State::Quoted), &[]).await;
    live(store, purchase(2, 2, State::Sent), &[]).await;
    let quoted = store.purchase(&key(2, 1)).unwrap().unwrap();
    store.write(Change::Step(step(&quoted, Event::Authorise).unwrap())).await.unwrap().unwrap();
    assert_eq!(store.purchase(&key(2, 1)).unwrap().unwrap().available_after, bdt(TOTAL));
}

pub async fn the_catalog_is_read_back(world: World) {
    let store = &world.store;
    let country = fixtures::bangladesh();
    let operator = Operator {
        aliases: vec!["grameenphone".into(), "gp \"quoted\"".into()],
        name: "Grameenphone".into(),
        logo: "gp.svg".into(),
        prepaid: Some(fixtures::limits(1_000, 100_000)),
        offers: Some(OfferForm::Campaign),
        ..fixtures::operator(1, "GP")
    };
    let price = PriceRule {
        id: 1,
        charge: pricing::Charge::Fee,
        account: Some(AccountId(2)),
        plan: Some("business".into()),
        operator: Some("GP".into()),
        kind: Some(Kind::Offer),
        from: Some(NOW),
        until: Some(NOW.after(seconds(1))),
        flat: bdt(50),
        share_ppm: 5_000,
        least: Some(bdt(1)),
        most: Some(bdt(9)),
    };
    let route = Route {
        id: 1,
        environment: Environment::Sandbox,
        operator: None,
        kind: Some(Kind::Recharge),
        recipient_ends: Some("105".into()),
        upstreams: vec![UpstreamCode::new("a"), UpstreamCode::new("b")],
        needs_approval: true,
    };
    set(store, Setting::Country(country.clone())).await;
    set(store, Setting::Operator(operator.clone())).await;
    let category = Category { id: CategoryId(3), ..fixtures::category() };
    set(store, Setting::Category(category.clone())).await;
    let products = products();
    for product in &products {
        set(store, Setting::Product(product.clone())).await;
    }
    set(store, Setting::Price(price.clone())).await;
    set(store, Setting::Route(route.clone())).await;
    let catalog = store.catalog().unwrap();
    assert_eq!((&catalog.countries, &catalog.operators), (&vec![country], &vec![operator]));
    assert_eq!((&catalog.prices, &catalog.routes), (&vec![price], &vec![route]));
    assert_eq!((&catalog.categories, &catalog.products), (&vec![category], &products));
}

fn products() -> Vec<Product> {
    let power = Product {
        id: ProductId(7),
        title: "ZETDC Prepaid".into(),
        description: "Electricity \"tokens\"".into(),
        ref_name: "zetdc".into(),
        operator: "ZETDC".into(),
        category: CategoryId(3),
        price: Pricing::Range(Limits { least: usd(100), most: usd(50_000) }),
        fields: vec![Field { label: "Months".into(), ..fixtures::field("months") }],
        checks_bill: true,
        receipt: vec![
            ReceiptLine { label: "Token".into(), part: Part::Tokens },
            ReceiptLine { label: "Months".into(), part: Part::Field("months".into()) },
        ],
        logo: "zetdc.png".into(),
        is_active: false,
        ..fixtures::product("zetdc_prepaid_usd")
    };
    let bundle = Product {
        id: ProductId(8),
        name: "econet_data_1gb".into(),
        kind: Kind::Bundle,
        price: Pricing::Fixed(usd(500)),
        fields: Vec::new(),
        checks_bill: false,
        receipt: Vec::new(),
        is_active: true,
        ..power.clone()
    };
    vec![power, bundle]
}

/// Upstreams send what they like; not every database takes it as it is.
pub async fn a_nul_in_a_text_stops_nothing(world: World) {
    let store = &world.store;
    let Change::PostJournal(mut posting) = fund(Reason::Deposit, 2, 2 * TOTAL, "in") else {
        panic!()
    };
    posting.note = "pa\0per".to_owned();
    store.write(Change::PostJournal(posting)).await.unwrap().unwrap();
    let sent = live(store, purchase(2, 1, State::Sent), &[]).await;
    let proof = upstream_says(&sent, "delivered").saying("don\0e");
    let Decided::Move(delivers) = settle::decide(&sent, Event::Deliver, proof, NOW) else {
        panic!("it delivers");
    };
    store.write(Change::Step(delivers)).await.unwrap().unwrap();
    let said = store.attempts(&key(2, 1)).unwrap()[0].text.clone().unwrap();
    assert_eq!(said.replace(['\0', '\u{fffd}'], "?"), "don?e");
    world.assert_sound();
}

/// A slip is written with the word that brought it, by a step, as evidence or later: the first of
/// each upstream stays.
pub async fn a_slip_is_kept_with_its_word(world: World) {
    let store = &world.store;
    deposit(store, 2, TOTAL, "in").await;
    let sim = UpstreamCode::new("sim");
    let slip = |digit: &str| {
        let token = |kind| Token::new(&digit.repeat(20), Some("4.5".into()), kind).unwrap();
        let mut slip = Slip::of_tokens(vec![token(TokenKind::Credit), token(TokenKind::KeyChange)]);
        slip.charges = vec![Charge { label: "RE levy".into(), amount: bdt(6) }];
        slip.tariff = Some("Domestic".into());
        slip
    };
    let opened = live(store, purchase(2, 1, State::Sent), &[]).await;
    let proof = Proof { slip: Some(Box::new(slip("1"))), ..upstream_says(&opened, "delivered") };
    let Decided::Move(delivers) = settle::decide(&opened, Event::Deliver, proof, NOW) else {
        panic!("it delivers");
    };
    assert_eq!(store.slip(&key(2, 1), &sim).unwrap(), None);
    store.write(Change::Step(delivers)).await.unwrap().unwrap();
    assert_eq!(store.slip(&key(2, 1), &sim).unwrap(), Some(slip("1")));
    // Another upstream's is kept apart, and nothing takes the first one's place.
    let other = UpstreamCode::new("other");
    let source = Source::Upstream { attempt: 1, upstream: other.clone() };
    let proof = Proof { slip: Some(Box::new(slip("2"))), ..Proof::new(source, "delivered") };
    let keep = Change::Keep { key: key(2, 1), proof, case: None, at: NOW };
    store.write(keep).await.unwrap().unwrap();
    for (upstream, digit) in [(&sim, "3"), (&other, "4")] {
        let (upstream, slip) = (upstream.clone(), Box::new(slip(digit)));
        let later = Change::KeepSlip { key: key(2, 1), upstream, slip, at: NOW };
        store.write(later).await.unwrap().unwrap();
    }
    assert_eq!(store.slip(&key(2, 1), &sim).unwrap(), Some(slip("1")));
    assert_eq!(store.slip(&key(2, 1), &other).unwrap(), Some(slip("2")));
    assert_eq!(store.slip(&key(3, 1), &sim).unwrap(), None);
}

pub async fn keys_and_accounts_are_read_back(world: World) {
    let store = &world.store;
    let key = Key {
        id: KeyId(77),
        account: AccountId(2),
        environment: Environment::Sandbox,
        open_key: "ok_test_1".into(),
        secret_digest: [9; 32],
        secret_tail: "tail".into(),
        allow_list: AllowList::parse(["10.0.0.0/24", "2001:db8::1"]).unwrap(),
        revoked_at: None,
    };
    set(store, Setting::Key(key.clone(), NOW)).await;
    let holder = store.key_holder("ok_test_1").unwrap().unwrap();
    assert_eq!((&holder.key, &holder.account), (&key, &account(AccountId(2), Role::Merchant)));
    assert_eq!(store.key_holder("ok_test_2").unwrap(), None);
    // Replaced: what may change changes, what a key is stays.
    let revoked = Key { revoked_at: Some(NOW), ..key.clone() };
    let other = Key { secret_digest: [1; 32], environment: Environment::Live, ..revoked.clone() };
    set(store, Setting::Key(other, NOW)).await;
    assert_eq!(store.keys_of(AccountId(2)).unwrap(), [revoked]);
    let ids: Vec<AccountId> = store.accounts().unwrap().iter().map(|a| a.id).collect();
    assert_eq!(ids, [HOUSE, AccountId(2), AccountId(3)]);
    assert_eq!(store.highest_id().unwrap(), 77);
}
