//! The archive: a closed month leaves the database. Its references stay used up, and late updates
//! on its purchases reach staff.

use crate::world::*;
use domain::{Callback, Month};
use engine::CallbackResult;
use std::time::Duration;

pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// Archives every month but this one and the previous one.
pub async fn archive(world: &World, folder: &std::path::Path) -> Vec<Month> {
    let before = Month::of(world.engine.now()).previous();
    let mut months = Vec::new();
    while let Some(closing) = world.engine.next_to_archive(before).unwrap() {
        world.engine.close_month(&closing).await.unwrap();
        let name = format!("{}.db", closing.month);
        let filed = world.engine.write_archive(&closing, &folder.join(&name), &|| true).unwrap();
        world.engine.file_month(filed, name).await.unwrap();
        world.engine.remove_archived().await.unwrap();
        months.push(closing.month);
    }
    months
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_is_refused_after_four_hundred_days() {
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    let first = world.buy("R1", TO_A).await;
    let quote = world.engine.quote(world.bill("Q1", "41234563101")).await;
    assert_eq!(quote.unwrap_err().code(), BillUnknown.code());
    world.clock.advance(400 * DAY);
    assert!(world.engine.purchase(world.request("R1", TO_A)).await.is_err());
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(archive(&world, folder.path()).await, ["2026-04".parse().unwrap()]);
    let report = world.assert_sound().await;
    assert_eq!((report.archived, report.purchases), (1, 0));
    // The purchase is gone; its reference is still used up.
    let again = world.engine.purchase(world.request("R1", TO_A)).await.unwrap_err();
    assert_eq!(again, ReferenceKnown { first: None }.into());
    let (caller, scope) = (world.caller(), domain::purchase::ReferenceScope::Irecharge);
    let read = world.engine.purchase_by_reference(&caller, scope, "R1").await;
    assert_eq!(read.unwrap_err(), PurchaseUnknown.into());
    let now = world.buy("R2", TO_A).await;
    assert!(now.key.id > first.key.id);

    // The upstream reverses it long after: no money moves, and staff get a case.
    let wallet = world.wallet();
    for _ in 0..3 {
        world.report(first.key.id, 1, reversed());
    }
    until(|| world.engine.late_outcomes().unwrap().len() == 1).await;
    assert_eq!(world.engine.late_outcomes().unwrap()[0].word, "reversed");
    assert_eq!(world.wallet(), wallet);
    world.engine.close_case(first.key.id, "rahim", "on the statement").await.unwrap();
    assert!(world.engine.late_outcomes().unwrap().is_empty());
    let unknown = world.engine.close_case(first.key.id, "rahim", "again").await.unwrap_err();
    assert_eq!(unknown, PurchaseUnknown.into());

    // A callback does the same.
    let text = format!("genuine S{}-1 taken back", first.key.id);
    let callback = Callback::post(Vec::new(), text.into_bytes());
    for _ in 0..3 {
        assert_eq!(
            world.engine.receive_callback("a", &callback).await,
            CallbackResult::Accepted(None)
        );
    }
    let late = world.engine.late_outcomes().unwrap();
    assert_eq!((late.len(), late[0].word.as_str()), (1, "callback"));
    assert_eq!(late[0].text.as_deref(), Some("taken back"));
    assert_eq!(world.wallet(), wallet);
    stop(workers).await;
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_month_and_the_previous_one_stay() {
    let world = world().await;
    world.buy("R1", TO_A).await;
    let this = Month::of(world.engine.now());
    let refused = world.engine.next_to_archive(this).unwrap_err();
    assert!(matches!(refused, StaffRefused::NotPossible(_)), "{refused:?}");
    assert_eq!(world.engine.next_to_archive(this.previous()).unwrap(), None);
}

/// An open purchase keeps its month in the database, and those after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_purchase_keeps_its_month() {
    let world = world().await;
    world.a.answers(unknown(), unknown());
    let open = world.buy("R1", TO_A).await;
    world.clock.advance(100 * DAY);
    let before = Month::of(world.engine.now()).previous();
    let closing = world.engine.next_to_archive(before).unwrap().unwrap();
    let refused = world.engine.close_month(&closing).await.unwrap_err();
    assert_eq!(
        refused,
        NotPossible { because: "2026-04 stays as it is: 1 purchases are open.".to_owned() }.into()
    );
    let settled = world.engine.settle_by_staff(open.key.id, true, "rahim", "on the statement");
    settled.await.unwrap();
    world.engine.close_month(&closing).await.unwrap();
}
