//! Archives: a month is closed once nothing of it is open, and does not change from then on.

use crate::harness::world::*;
use domain::purchase::settle;
use domain::{
    AccountId, Day, Decision, Environment, Event, Journal, Month, MonthClosed, OpeningDenied,
    Purchase, PurchaseId, PurchaseNumber, Reason, Sequence, State, StepDenied, Timestamp,
};
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use store::{
    AccountList, ArchiveDone, CloseLateOutcomes, CloseMonth, Closing, Commit, KeepEvidence,
    KeepLateOutcome, LateOutcome, Posting, PruneArchived, RecordFile, Store, TakeNumbers, TakeStep,
    audit_month,
};

pub fn month(text: &str) -> Month {
    text.parse().unwrap()
}

/// `days` into a month.
pub fn day(month: Month, days: i64) -> Timestamp {
    Timestamp(month.starts_at().0 + days * 86_400_000_000)
}

/// The numbers of a month that a test may use begin after this.
fn number_before(month: Month) -> i64 {
    (month.number() - 202_604) * 100
}

/// Gives the numbers of April, May and June.
pub async fn give_numbers(store: &Store) {
    let april = month("2026-04");
    for month in [april, april.next(), april.next().next()] {
        let take = TakeNumbers { of: Sequence::Purchase, count: 100, at: day(month, 10) };
        assert_eq!(store.commit(take).await.unwrap().first, number_before(month) + 1);
    }
}

/// The `n`th purchase of a month, opened on its 10th day.
pub fn bought(account: i64, in_month: Month, n: i64, state: State) -> Purchase {
    let at = day(in_month, 10);
    let id = PurchaseId::given_on(Day::of(at), PurchaseNumber(number_before(in_month) + n)).0;
    Purchase { opened_at: at, updated_at: at, ..purchase(account, id, state) }
}

/// The same, from before there were numbers.
pub fn bought_before(account: i64, in_month: Month, n: i64, state: State) -> Purchase {
    let at = day(in_month, 10);
    let id = in_month.first_old_id() + ((10 * 86_400_000) << 12) + n;
    Purchase { opened_at: at, updated_at: at, ..purchase(account, id, state) }
}

pub fn paid_in(account: i64, minor: i64, text: &str, at: Timestamp) -> Posting {
    let journal =
        Journal::funding(Reason::Deposit, AccountId(account), Environment::Live, bdt(minor))
            .unwrap();
    let payment = payment(account, text);
    Posting { journal, account: AccountId(account), payment, note: format!("paper {text}"), at }
}

/// Makes the step that an event causes, at this time.
pub async fn steps(
    store: &Store,
    purchase: &Purchase,
    event: Event,
    at: Timestamp,
) -> Answer<TakeStep> {
    let now = store.purchase(&purchase.key).unwrap().unwrap();
    let proof = upstream_says(&now, outcome_of(event));
    let decided = settle::decide(&now, event, proof, at);
    let Decision::Move(step) = decided else { panic!("{decided:?}") };
    store.write(TakeStep(step)).await
}

pub async fn done<C: Commit<Denied: Debug>>(store: &Store, change: C) -> C::Done {
    store.write(change).await.unwrap().unwrap()
}

pub async fn close(store: &Store, closing: &Closing) -> ArchiveDone {
    done(store, CloseMonth(closing.clone())).await
}

/// April and May, each with a delivered, a failed and a refunded purchase.
pub async fn two_months(store: &Store) -> (Month, Month) {
    let (april, may) = (month("2026-04"), month("2026-05"));
    give_numbers(store).await;
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
    // A deposit, 3 holds, 3 settlements or releases, 1 refund.
    assert_eq!((closing.month, closing.journals, closing.ids_from), (april, (1, 8), 0));
    assert_eq!(
        close(store, &closing).await,
        ArchiveDone::NotYet("1 purchases are open".to_owned())
    );
    steps(store, &late, Event::Deliver, day(may, 21)).await.unwrap().unwrap();
    assert_eq!(close(store, &closing).await, ArchiveDone::Written);
    // As after a crash: the same month is next again, and closing it again changes nothing.
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
    assert_eq!(steps(store, &of_april, Event::Reverse, at).await.unwrap(), Err(StepDenied::Closed));
    let proof = upstream_says(&of_april, "delivered");
    let update = KeepEvidence { key: of_april.key, proof, case: None, at };
    assert_eq!(store.write(update).await.unwrap(), Err(MonthClosed));
    let new = bought(2, april, 77, State::Sent);
    assert_eq!(store.write(open(new)).await.unwrap(), Err(OpeningDenied::Closed));
    // Later purchases can still change.
    let of_may = bought(2, may, 1, State::Sent);
    steps(store, &of_may, Event::Reverse, at).await.unwrap().unwrap();
    world.assert_sound();
    // The month is still closed after a restart.
    let world = world.reopened();
    let refused = steps(&world.store, &of_april, Event::Reverse, at).await.unwrap();
    assert_eq!(refused, Err(StepDenied::Closed));
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

/// Archives the next month into the folder; returns the file.
pub async fn archive(store: &Store, before: Month, folder: &Path) -> PathBuf {
    let closing = store.next_to_archive(before, NOW).unwrap().unwrap();
    assert_eq!(close(store, &closing).await, ArchiveDone::Written);
    let name = format!("{}.db", closing.month);
    let file = folder.join(&name);
    let filed = store.write_archive(&closing, &file, &|| true).unwrap();
    let audit = audit_month(&file).unwrap();
    assert_eq!((audit.report.findings_count, &audit.report.findings), (0, &Vec::new()));
    let noted = RecordFile { filed: Box::new(filed), name, at: NOW };
    assert_eq!(done(store, noted).await, ArchiveDone::Written);
    file
}

/// Removes archived rows, one at a time where there are no partitions. The audit finds nothing at
/// any point in between.
pub async fn remove(world: &World) {
    world.assert_sound();
    world.store.drop_archived().unwrap();
    while done(&world.store, PruneArchived { rows: 1 }).await {
        world.assert_sound();
    }
}

/// What is read for a list, and archived and removed before it is added, is not added.
pub async fn what_was_archived_meanwhile_is_not_listed(world: World) {
    if world.is_on_postgresql() {
        return;
    }
    let store = &world.store;
    let (_, may) = two_months(store).await;
    let read = AccountList::ALL.map(|list| store.list_parts(list, 1, 1_000).unwrap());
    let folder = tempfile::tempdir().unwrap();
    archive(store, may.next(), folder.path()).await;
    remove(&world).await;
    for part in read.into_iter().flatten() {
        assert!(store.commit(part).await.unwrap());
    }
    for (listed, missing) in [
        ("listed_journals", "seq NOT IN (SELECT seq FROM journals)"),
        ("listed_purchases", "purchase_id NOT IN (SELECT id FROM purchases)"),
        ("listed_recipients", "purchase_id NOT IN (SELECT id FROM purchases)"),
    ] {
        let count = |and: &str| world.count(&format!("{listed} WHERE {and}"));
        assert_eq!(count(missing), 0, "{listed}");
        assert!(count("1 = 1") > 0, "{listed}");
    }
}

fn sound(store: &Store, files: &[PathBuf]) -> u64 {
    let audit = store.audit_archives(files).unwrap();
    let findings: Vec<_> = audit.months.iter().flat_map(|(_, _, r)| r.findings.clone()).collect();
    assert!(audit.is_sound(), "{:?} {findings:?}", audit.findings);
    assert_eq!(audit.months.len(), files.len());
    audit.unjudged
}

pub async fn an_archived_month_is_in_its_file_and_nowhere_else(world: World) {
    let store = &world.store;
    let (april, may) = two_months(store).await;
    // Bought in April, settled in May.
    let late = bought(3, april, 9, State::Sent);
    done(store, paid_in(3, 2 * TOTAL, "in", day(april, 10))).await;
    // May has begun, and months never decrease along the chain, so this hold belongs to May.
    done(store, open(late.clone())).await;
    steps(store, &late, Event::Deliver, day(may, 12)).await.unwrap().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let before = world.assert_sound();
    let wallets = (wallet(store, 2), wallet(store, 3));
    let first = archive(store, may.next(), folder.path()).await;
    remove(&world).await;
    let report = world.assert_sound();
    assert_eq!((report.archived, report.purchases, report.journals), (1, 3, before.journals - 8));
    assert_eq!((wallet(store, 2), wallet(store, 3)), wallets);
    for n in [1, 2, 3] {
        assert_eq!(store.purchase(&bought(2, april, n, State::Sent).key).unwrap(), None);
    }
    assert_eq!(sound(store, std::slice::from_ref(&first)), 0);
    // Its references stay used up.
    let again = bought(2, may, 50, State::Sent);
    let used = bought(2, april, 1, State::Sent);
    let again = Purchase { reference: used.reference, ..again };
    let refused = store.write(open(again)).await.unwrap();
    assert!(matches!(refused, Err(OpeningDenied::ReferenceUsed(_))), "{refused:?}");

    let world = world.reopened();
    let store = &world.store;
    let second = archive(store, may.next(), folder.path()).await;
    remove(&world).await;
    let report = world.assert_sound();
    assert_eq!((report.archived, report.purchases, report.journals), (2, 0, 0));
    assert_eq!(store.next_to_archive(may.next(), NOW).unwrap(), None);
    // The late purchase can be audited only with both files.
    assert_eq!(sound(store, std::slice::from_ref(&first)), 1);
    assert_eq!(sound(store, &[second, first]), 0);
    // The chain continues from the end of the last archive.
    done(store, paid_in(2, TOTAL, "later", day(may.next(), 3))).await;
    let june = bought(2, may.next(), 1, State::Sent);
    live(store, june, &[Event::Deliver]).await;
    world.assert_sound();
    let names: Vec<_> = store.archives().unwrap().into_iter().map(|a| a.file).collect();
    assert_eq!(names, ["2026-04.db", "2026-05.db"]);
}

/// In the month of the upgrade purchases have ids of before and numbers; the months before it have
/// only the former, those after it only the latter.
pub async fn months_with_ids_of_before_are_archived_too(world: World) {
    let store = &world.store;
    let (april, may) = (month("2026-04"), month("2026-05"));
    give_numbers(store).await;
    done(store, paid_in(2, 100 * TOTAL, "in", day(april, 9))).await;
    let sold = [
        bought_before(2, april, 1, State::Sent),
        bought_before(2, may, 2, State::Sent),
        bought(2, may, 3, State::Sent),
        bought(2, may.next(), 4, State::Sent),
    ];
    for purchase in &sold {
        live(store, purchase.clone(), &[Event::Deliver]).await;
    }
    let latest = store.latest_purchases(None, 9).unwrap();
    let latest: Vec<_> = latest.iter().rev().map(|p| p.key).collect();
    assert_eq!(latest, sold.each_ref().map(|p| p.key));
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for left in [3, 1] {
        files.push(archive(store, may.next(), folder.path()).await);
        remove(&world).await;
        assert_eq!(world.assert_sound().purchases, left);
    }
    assert_eq!(sound(store, &files), 0);
    let closed = sold.each_ref().map(|p| store.is_closed(p.key.id).unwrap());
    assert_eq!(closed, [true, true, true, false]);
}

pub async fn an_update_about_an_archived_purchase_waits_for_staff(world: World) {
    let store = &world.store;
    let (april, may) = two_months(store).await;
    let folder = tempfile::tempdir().unwrap();
    archive(store, may, folder.path()).await;
    remove(&world).await;
    let purchase = bought(2, april, 1, State::Sent).key.id;
    assert!(store.is_closed(purchase).unwrap());
    assert!(!store.is_closed(bought(2, may, 1, State::Sent).key.id).unwrap());
    let said = LateOutcome {
        purchase,
        attempt: 1,
        word: "reversed".to_owned(),
        text: Some("taken back".to_owned()),
        upstream_reference: None,
        at: NOW,
    };
    for _ in 0..3 {
        done(store, KeepLateOutcome(said.clone())).await;
    }
    assert_eq!(store.late_outcomes().unwrap(), [said]);
    let close = || CloseLateOutcomes {
        purchase,
        by: "rahim".to_owned(),
        evidence: "on the statement".to_owned(),
        at: NOW,
    };
    assert!(done(store, close()).await);
    assert_eq!(store.late_outcomes().unwrap(), []);
    assert!(!done(store, close()).await, "nothing is open any more");
    world.assert_sound();
}

/// The audit finds a file that was exchanged or damaged.
#[tokio::test]
async fn a_flipped_byte_of_an_archive_is_found() {
    let world = sqlite().await;
    let (_, may) = two_months(&world.store).await;
    let folder = tempfile::tempdir().unwrap();
    let file = archive(&world.store, may.next(), folder.path()).await;
    remove(&world).await;
    let whole = std::fs::read(&file).unwrap();
    let flipped = folder.path().join("flipped.db");
    let (mut found, mut named) = (0, 0);
    let places = 1_000;
    for n in 0..places {
        let mut bytes = whole.clone();
        bytes[n * whole.len() / places] ^= 1 << (n % 8);
        std::fs::write(&flipped, bytes).unwrap();
        let audit = world.store.audit_archives(std::slice::from_ref(&flipped)).unwrap();
        found += usize::from(!audit.is_sound());
        named += usize::from(
            audit_month(&flipped).map_or(true, |audit| audit.report.findings_count > 0),
        );
    }
    assert_eq!(found, places);
    // Most of a small file is unused space. Where a byte belongs to a row, the row is named.
    assert!(named > 0);
    assert_eq!(sound(&world.store, &[file]), 0);
}

/// "No row of money is ever updated or deleted" holds for every row that is in no archive file.
#[tokio::test]
async fn rows_go_only_once_a_file_has_them() {
    let world = sqlite().await;
    let (april, may) = two_months(&world.store).await;
    let refused = |statement: String, reason: &str| {
        let sql = rusqlite::Connection::open(world.database()).unwrap();
        let error = sql.execute(&statement, []).unwrap_err().to_string();
        assert!(error.contains(reason), "{statement}: {error}");
    };
    let of_money = |seq: i64, id: i64| {
        [
            (format!("DELETE FROM entries WHERE journal_seq = {seq}"), "append-only"),
            (format!("DELETE FROM journals WHERE seq = {seq}"), "append-only"),
            (format!("DELETE FROM purchases WHERE id = {id}"), "not deleted"),
        ]
    };
    let closing = world.store.next_to_archive(may, NOW).unwrap().unwrap();
    close(&world.store, &closing).await;
    // A closed month without a file cannot be deleted.
    for (statement, reason) in of_money(1, april.first_id()) {
        refused(statement.replace(&format!("id = {}", april.first_id()), "id > 0"), reason);
    }
    let folder = tempfile::tempdir().unwrap();
    archive(&world.store, may, folder.path()).await;
    let id = bought(2, may, 1, State::Sent).key.id.0;
    for (statement, reason) in of_money(closing.journals.1 + 1, id) {
        refused(statement, reason);
    }
    refused("UPDATE journals SET note = 'x' WHERE seq = 1".to_owned(), "append-only");
    refused("UPDATE archives SET last_journal = 99".to_owned(), "stays archived");
    refused("DELETE FROM archives".to_owned(), "stays closed");
    refused("UPDATE carried SET balance = 0".to_owned(), "append-only");
    remove(&world).await;
    // The file is read-only.
    let mode = std::fs::metadata(folder.path().join("2026-04.db")).unwrap().permissions();
    assert!(mode.readonly());
}

/// If the process ends while it writes the file, the month stays closed and is next again.
#[tokio::test]
async fn an_archive_that_is_cut_off_is_begun_again() {
    let world = sqlite().await;
    let (_, may) = two_months(&world.store).await;
    let closing = world.store.next_to_archive(may, NOW).unwrap().unwrap();
    close(&world.store, &closing).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("2026-04.db");
    let filed = world.store.write_archive(&closing, &file, &|| true).unwrap();
    let world = world.reopened();
    assert_eq!(world.store.next_to_archive(may, NOW).unwrap(), Some(closing.clone()));
    std::fs::remove_file(&file).unwrap();
    let again = world.store.write_archive(&closing, &file, &|| true).unwrap();
    assert_eq!((again.journals, again.purchases), (filed.journals, filed.purchases));
    world.assert_sound();
}
