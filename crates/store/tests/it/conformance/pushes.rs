//! Pushes: who holds one, and what a take-over makes due.

use super::people::{anna, entry};
use crate::harness::world::*;
use domain::Event::Deliver;
use domain::State;
use store::{DuePush, EndPush, Lease, Pushes, PutOff, Setting, Store, TakeOver};

/// A delivered purchase of an account with one device: one push, due at `NOW`.
pub async fn pushed(store: &Store) {
    set(store, Setting::User(anna())).await;
    store.commit(entry(301, 1, NOW)).await.unwrap();
    deposit(store, 2, TOTAL, "for the push").await;
    live(store, purchase(2, 1, State::Sent), &[Deliver]).await;
    assert_eq!(store.next_due::<Pushes>().unwrap(), Some(NOW));
}

/// Leases due pushes some seconds after `NOW`, for half a minute.
pub async fn lease(store: &Store, after_s: u64) -> Vec<DuePush> {
    let now = NOW.after(seconds(after_s));
    store.commit(Lease::<Pushes>::new(now, seconds(30), 10)).await.unwrap()
}

async fn take_over(store: &Store, after_s: u64) {
    let now = NOW.after(seconds(after_s));
    store.commit(TakeOver { dead: Vec::new(), is_start: false, now }).await.unwrap();
}

pub async fn a_run_that_died_loses_its_push_before_the_lease_ends(world: World) {
    pushed(&world.store).await;
    let held = lease(&world.store, 0).await;
    assert_eq!((held.len(), held[0].tries, held[0].epoch), (1, 0, 1));
    // A live run keeps its lease. The runs of a data folder are not listed: it has one process.
    if world.count("nodes") > 0 {
        take_over(&world.store, 1).await;
    }
    assert_eq!(lease(&world.store, 1).await, []);

    let world = world.reopened();
    let store = &world.store;
    assert_eq!(lease(store, 2).await, [], "the lease has not ended");
    take_over(store, 2).await;
    let taken = lease(store, 2).await;
    assert_eq!(taken, [DuePush { epoch: 3, ..held[0] }]);
    // What the dead run still says does not count.
    store
        .commit(PutOff::<Pushes> { due: held[0], until: NOW.after(seconds(9_999)) })
        .await
        .unwrap();
    store.commit(EndPush(held[0])).await.unwrap();
    assert_eq!(store.next_due::<Pushes>().unwrap(), Some(NOW.after(seconds(32))));
    store.commit(EndPush(taken[0])).await.unwrap();
    assert_eq!((store.next_due::<Pushes>().unwrap(), world.count("pushes")), (None, 0));
}

/// It is under no lease that a take-over could end.
pub async fn a_push_that_was_put_off_keeps_its_time(world: World) {
    pushed(&world.store).await;
    let due = lease(&world.store, 0).await[0];
    let put_off = PutOff::<Pushes> { due, until: NOW.after(seconds(20)) };
    world.store.commit(put_off).await.unwrap();
    let world = world.reopened();
    take_over(&world.store, 1).await;
    assert_eq!(lease(&world.store, 19).await, []);
    assert_eq!(lease(&world.store, 20).await, [DuePush { tries: 1, epoch: 2, ..due }]);
}
