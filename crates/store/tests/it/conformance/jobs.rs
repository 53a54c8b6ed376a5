//! Jobs and halts: what is due, who holds it, and what a start or the end of a halt makes due.

use crate::harness::world::*;
use domain::{Event, Job, State};
use std::time::Duration;
use store::{BeginHalt, DueJob, EndHalts, Jobs, Lease, PutOff, TakeOver, TakeStep};

/// Leases due jobs at `NOW` plus `after`, for a minute.
pub async fn lease(store: &store::Store, after: Duration, limit: u32) -> Vec<DueJob> {
    store.commit(Lease::<Jobs>::new(NOW.after(after), seconds(60), limit)).await.unwrap()
}

pub async fn a_job_has_one_holder_until_its_lease_ends(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    assert_eq!(store.next_due::<Jobs>().unwrap(), None);
    for id in 1..=20 {
        live(store, purchase(2, id, State::Sent), &[]).await;
    }
    assert_eq!(store.next_due::<Jobs>().unwrap(), Some(NOW.after(seconds(25))));
    assert_eq!(lease(store, seconds(24), 100).await, []);
    let leases = vec![Lease::<Jobs>::new(NOW.after(seconds(25)), seconds(60), 4); 8];
    let mut leased: Vec<DueJob> = write_all(store, leases)
        .await
        .into_iter()
        .flat_map(|answer| answer.unwrap().unwrap())
        .collect();
    leased.sort_by_key(|job| job.key);
    let ids: Vec<i64> = leased.iter().map(|job| job.key.id.0).collect();
    assert_eq!(ids, (1..=20).collect::<Vec<_>>());
    assert!(leased.iter().all(|j| (j.job, j.tries, j.epoch) == (Job::Query, 0, 1)), "{leased:?}");
    assert_eq!(lease(store, seconds(84), 100).await, []);
    let again = lease(store, seconds(85), 100).await;
    assert!(again.len() == 20 && again.iter().all(|job| job.epoch == 2));
    // A step ends the job, also while it is under a lease.
    let one = store.purchase(&key(2, 1)).unwrap().unwrap();
    store.write(TakeStep(step(&one, Event::Deliver).unwrap())).await.unwrap().unwrap();
    assert_eq!(lease(store, seconds(10_000), 100).await.len(), 19);
    world.assert_sound();
}

pub async fn a_job_whose_lease_was_lost_cannot_be_put_off(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    let sent = live(store, purchase(2, 1, State::Sent), &[]).await;
    let put_off = async |due: DueJob, s| {
        store.commit(PutOff::<Jobs> { due, until: NOW.after(seconds(s)) }).await.unwrap();
        store.next_due::<Jobs>().unwrap().unwrap()
    };
    let first = lease(store, seconds(25), 1).await[0];
    let second = lease(store, seconds(85), 1).await[0];
    assert_eq!(put_off(first, 1_000).await, NOW.after(seconds(145)));
    assert_eq!(put_off(second, 1_000).await, NOW.after(seconds(1_000)));
    let third = lease(store, seconds(1_000), 1).await[0];
    assert_eq!((third.tries, third.epoch, third.version), (1, 3, 1));
    // A step replaces the job: who held the old one cannot put off the new one.
    store.write(TakeStep(step(&sent, Event::Doubt).unwrap())).await.unwrap().unwrap();
    assert_eq!(put_off(third, 5_000).await, NOW.after(seconds(5)));
    let next = lease(store, seconds(5), 1).await[0];
    assert_eq!((next.job, next.tries, next.version), (Job::Query, 0, 2));
    world.assert_sound();
}

pub async fn a_start_makes_queries_due(mut world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    live(store, purchase(2, 1, State::Sent), &[]).await;
    live(store, purchase(2, 2, State::Sent), &[Event::Escalate]).await;
    live(store, purchase(2, 3, State::Quoted), &[]).await;
    live(store, purchase(2, 4, State::Awaiting), &[]).await;
    // The process that held this lease has died.
    assert_eq!(lease(store, seconds(25), 10).await.len(), 1);
    world = world.reopened();
    let store = &world.store;
    let now = NOW.after(seconds(30));
    store.commit(TakeOver { dead: Vec::new(), is_start: false, now }).await.unwrap();
    let due = lease(store, seconds(30), 10).await;
    let mut ids: Vec<(i64, Job)> = due.iter().map(|job| (job.key.id.0, job.job)).collect();
    ids.sort_by_key(|(id, _)| *id);
    assert_eq!(ids, [(1, Job::Query), (2, Job::Query)]);
}

/// When a halt ends, what was to be submitted is due and its lease is over; other jobs keep their
/// time.
pub async fn a_halt_lasts_until_it_is_ended(world: World) {
    let store = &world.store;
    assert_eq!(store.halt().unwrap(), None);
    deposit(store, 2, 2 * TOTAL, "in").await;
    live(store, purchase(2, 1, State::Awaiting), &[Event::Approve]).await;
    live(store, purchase(2, 2, State::Sent), &[Event::Doubt]).await;
    for day in ["monday", "tuesday"] {
        let begin = BeginHalt { why: format!("restored from {day}"), at: NOW };
        store.commit(begin).await.unwrap();
    }
    let due = lease(store, seconds(0), 1).await[0];
    let put_off = PutOff::<Jobs> { due, until: NOW.after(seconds(60)) };
    store.commit(put_off).await.unwrap();
    let world = world.reopened();
    let store = &world.store;
    let halt = store.halt().unwrap().unwrap();
    assert_eq!((halt.why.as_str(), halt.since), ("restored from tuesday", NOW));
    let end = || {
        let (by, evidence) = ("rahim".to_owned(), "the statement".to_owned());
        EndHalts { by, evidence, at: NOW.after(seconds(3)) }
    };
    assert!(lease(store, seconds(3), 9).await.is_empty());
    for _ in 0..2 {
        store.commit(end()).await.unwrap();
        assert_eq!(store.halt().unwrap(), None);
    }
    store.commit(put_off).await.unwrap();
    let due = lease(store, seconds(3), 9).await;
    assert_eq!(due.iter().map(|job| job.key.id.0).collect::<Vec<_>>(), [1]);
    world.assert_sound();
}
