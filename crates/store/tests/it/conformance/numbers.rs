//! Numbers: small, given once, and the way from a number to its purchase.

use super::archive::{day, month};
use crate::harness::world::*;
use domain::{Day, Month, PurchaseId, PurchaseNumber, Sequence};
use std::collections::BTreeSet;
use store::TakeNumbers;

pub async fn a_number_is_given_once(world: World) {
    let take = |of, count| TakeNumbers { of, count, at: NOW };
    let (first, second) = tokio::join!(
        world.store.commit(take(Sequence::Purchase, 3)),
        world.store.commit(take(Sequence::Purchase, 5)),
    );
    let mut given = BTreeSet::new();
    for (taken, count) in [(first.unwrap(), 3), (second.unwrap(), 5)] {
        given.extend(taken.first..taken.first + count);
    }
    assert_eq!(given, (1..=8).collect());
    // Each kind has its own; of accounts three are there.
    assert_eq!(world.store.commit(take(Sequence::Key, 1)).await.unwrap().first, 1);
    let world = world.reopened();
    for (of, next) in [(Sequence::Purchase, 9), (Sequence::Key, 2), (Sequence::Endpoint, 1)] {
        assert_eq!(world.store.commit(take(of, 1)).await.unwrap().first, next, "{of:?}");
    }
    world.assert_sound();
}

pub async fn a_number_tells_its_purchase(world: World) {
    let store = &world.store;
    let april = month("2026-04");
    let id = |day, number| PurchaseId::given_on(day, PurchaseNumber(number));
    let days = [day(april, 3), day(april, 3), day(april, 9), day(april, 1)];
    let mut given = Vec::new();
    for at in days {
        let taken = TakeNumbers { of: Sequence::Purchase, count: 10, at };
        given.push(store.commit(taken).await.unwrap());
    }
    // A clock that steps back gives ids of the day that had begun.
    let of = [day(april, 3), day(april, 3), day(april, 9), day(april, 9)].map(Day::of);
    let found: Vec<_> = given.iter().map(|taken| (taken.first, taken.day)).collect();
    assert_eq!(found, [(1, of[0]), (11, of[1]), (21, of[2]), (31, of[3])]);
    for (number, day) in [(1, of[0]), (20, of[0]), (21, of[2]), (40, of[2])] {
        let found = store.purchase_id(PurchaseNumber(number)).unwrap();
        assert_eq!(found, Some(id(day, number)), "{number}");
        assert_eq!(Month::of_id(id(day, number)), april);
    }
    for nothing in [0, -1, id(of[0], 1).0] {
        assert_eq!(store.purchase_id(PurchaseNumber(nothing)).unwrap(), None, "{nothing}");
    }
}
