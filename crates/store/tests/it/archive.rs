//! Months: closed once nothing of them is open, and unchanged from then on.

use crate::world::*;
use domain::Month;
use domain::admission::Denial;
use domain::clock::Timestamp;
use domain::journal::{Journal, Reason};
use domain::lifecycle::{Event, State};
use domain::purchase::Space;
use domain::settle::{self, Decided};
use domain::{AccountId, Environment, Purchase};
use store::{ArchiveChange, ArchiveDone, Change, Closing, Done, Posting, Store};

pub fn month(text: &str) -> Month {
    text.parse().unwrap()
}

/// `days` into a month.
pub fn day(month: Month, days: i64) -> Timestamp {
    Timestamp(month.starts_at().0 + days * 86_400_000_000)
}

/// The `n`th purchase of a month, opened on its 10th day.
pub fn bought(account: i64, in_month: Month, n: i64, state: State) -> Purchase {
    let at = day(in_month, 10);
    let id = in_month.first_id() + ((10 * 86_400_000) << 12) + n;
    Purchase { opened_at: at, updated_at: at, ..purchase(account, id, state) }
}

pub fn paid_in(account: i64, minor: i64, text: &str, at: Timestamp) -> Change {
    let journal =
        Journal::funding(Reason::Deposit, AccountId(account), Environment::Live, bdt(minor))
            .unwrap();
    let reference = reference(account, Space::Desk, text);
    Change::Post(Box::new(Posting { journal, reference, note: format!("paper {text}"), at }))
}

/// Takes a purchase's next step at a moment.
pub async fn steps(store: &Store, purchase: &Purchase, event: Event, at: Timestamp) -> Answer {
    let now = store.purchase(&purchase.key).unwrap().unwrap();
    let proof = upstream_says(&now, "heard");
    let decided = settle::decide(&now, event, proof, at);
    let Decided::Move(step) = decided else { panic!("{decided:?}") };
    store.write(Change::Step(step)).await
}

pub async fn done(store: &Store, change: Change) -> Done {
    store.write(change).await.unwrap().unwrap()
}

pub async fn close(store: &Store, closing: &Closing) -> ArchiveDone {
    let closed = done(store, Change::Archive(ArchiveChange::Close(closing.clone()))).await;
    let Done::Archive(done) = closed else { panic!("{closed:?}") };
    done
}

/// April and May with a delivered, a failed and a refunded purchase each; one of April is settled in
/// May only.
pub async fn two_months(store: &Store) -> (Month, Month) {
    let (april, may) = (month("2026-04"), month("2026-05"));
    for month in [april, may] {
        let (at, soon) = (day(month, 9), day(month, 11));
        done(store, paid_in(2, 100 * TOTAL, &format!("{month}"), at)).await;
        let ends = [(1, Event::Deliver), (2, Event::Refuse), (3, Event::Deliver)];
        for (n, event) in ends {
            let purchase = bought(2, month, n, State::Sent);
            done(store, open(purchase.clone())).await;
            steps(store, &purchase, event, soon).await.unwrap().unwrap();
        }
        steps(store, &bought(2, month, 3, State::Sent), Event::Reverse, soon)
            .await
            .unwrap()
            .unwrap();
    }
    (april, may)
}

pub async fn a_month_is_closed_once_nothing_of_it_is_open(world: World) {
    let store = &world.store;
    let (april, may) = two_months(store).await;
    let late = bought(3, april, 9, State::Sent);
    done(store, paid_in(3, TOTAL, "in", day(may, 20))).await;
    done(store, open(Purchase { updated_at: day(may, 20), ..late.clone() })).await;
    let june = may.next();
    assert_eq!(store.next_to_archive(april, NOW).unwrap(), None);
    let closing = store.next_to_archive(june, NOW).unwrap().unwrap();
    // In, 3 holds, 3 ends, 1 refund.
    assert_eq!((closing.month, closing.journals, closing.ids_from), (april, (1, 8), 0));
    assert_eq!(
        close(store, &closing).await,
        ArchiveDone::NotYet("1 purchases are open".to_owned())
    );
    steps(store, &late, Event::Deliver, day(may, 21)).await.unwrap().unwrap();
    assert_eq!(close(store, &closing).await, ArchiveDone::Written);
    // Again, as after a crash: the same month is next, and closing it changes nothing.
    assert_eq!(store.next_to_archive(june, Timestamp(0)).unwrap(), Some(closing.clone()));
    assert_eq!(close(store, &closing).await, ArchiveDone::Written);
    world.assert_sound();
}

pub async fn a_closed_month_changes_no_more(world: World) {
    let store = &world.store;
    let (april, may) = two_months(store).await;
    let closing = store.next_to_archive(may, NOW).unwrap().unwrap();
    assert_eq!(close(store, &closing).await, ArchiveDone::Written);
    let at = day(may, 25);
    let of_april = bought(2, april, 1, State::Sent);
    assert_eq!(steps(store, &of_april, Event::Reverse, at).await.unwrap(), Err(Denial::Closed));
    let proof = upstream_says(&of_april, "delivered");
    let word = Change::Keep { key: of_april.key, proof, case: None, at };
    assert_eq!(store.write(word).await.unwrap(), Err(Denial::Closed));
    let new = bought(2, april, 77, State::Sent);
    assert_eq!(store.write(open(new)).await.unwrap(), Err(Denial::Closed));
    // What was bought later goes on.
    let of_may = bought(2, may, 1, State::Sent);
    steps(store, &of_may, Event::Reverse, at).await.unwrap().unwrap();
    world.assert_sound();
    // It is known after a restart too.
    let world = world.reopened();
    let refused = steps(&world.store, &of_april, Event::Reverse, at).await.unwrap();
    assert_eq!(refused, Err(Denial::Closed));
    world.assert_sound();
}

pub async fn what_a_clock_far_behind_writes_is_of_the_open_month(world: World) {
    let store = &world.store;
    let (april, may) = two_months(store).await;
    let closing = store.next_to_archive(may, NOW).unwrap().unwrap();
    close(store, &closing).await;
    done(store, paid_in(3, TOTAL, "behind", day(april.previous(), 3))).await;
    world.assert_sound();
    assert_eq!(store.next_to_archive(may, NOW).unwrap(), Some(closing));
}
