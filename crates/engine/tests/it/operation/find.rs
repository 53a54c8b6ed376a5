//! What staff look for among all purchases, in the ledger and in archive files.

use super::archive::{DAY, archive};
use crate::world::*;
use domain::{
    Answer, BillAnswer, BillCustomer, Purchase, Slip, State, Timestamp, Token, TokenKind,
};
use engine::{Page, PurchaseFilter};

const PAGE: Page = Page { before: None, limit: 50 };

fn found(world: &World, filter: &PurchaseFilter, page: Page) -> Vec<String> {
    let found = world.engine.find_purchases(None, None, filter, page, &[]).unwrap();
    found.into_iter().map(|purchase| purchase.reference).collect()
}

async fn three(world: &World) -> [Purchase; 3] {
    world.a.answers(delivered(), delivered());
    let one = world.buy("R1", TO_A).await;
    world.clock.advance(DAY);
    let other = world.account("Other").await;
    let caller = world.caller_of(other);
    let request = engine::PurchaseRequest { caller, ..world.request("R1", TO_A_B) };
    world.a.answers(refused(), refused());
    let two = bought(world.engine.purchase(request).await);
    world.clock.advance(DAY);
    world.a.answers(unknown(), unknown());
    let three = world.buy("R3", TO_A).await;
    [one, two, three]
}

#[tokio::test]
async fn each_filter_finds_its_purchases_of_all_accounts() {
    let world = world().await;
    let [one, two, three] = three(&world).await;
    let all = || PurchaseFilter::default();
    assert_eq!(found(&world, &all(), PAGE), ["R3", "R1", "R1"]);
    let state = |states: &[State]| PurchaseFilter { states: states.to_vec(), ..all() };
    assert_eq!(found(&world, &state(&[State::Delivered]), PAGE), ["R1"]);
    assert_eq!(found(&world, &state(&[two.state]), PAGE), ["R1"]);
    assert_eq!(found(&world, &state(&[three.state]), PAGE), ["R3"]);
    assert_eq!(found(&world, &state(&[State::Delivered, three.state]), PAGE), ["R3", "R1"]);
    let reference = PurchaseFilter { reference: Some("R1".to_owned()), ..all() };
    assert_eq!(found(&world, &reference, PAGE), ["R1", "R1"]);
    let recipient = PurchaseFilter { recipient: Some(one.recipient.clone()), ..all() };
    assert_eq!(found(&world, &recipient, PAGE), ["R3", "R1"]);
    let since = PurchaseFilter { since: Some(two.opened_at), ..all() };
    assert_eq!(found(&world, &since, PAGE), ["R3", "R1"]);
    let until = PurchaseFilter { until: Some(two.opened_at), ..all() };
    assert_eq!(found(&world, &until, PAGE), ["R1"]);
    let mine = world.engine.find_purchases(Some(world.merchant), None, &all(), PAGE, &[]);
    assert_eq!(mine.unwrap().len(), 2);
    let sandbox = Some(domain::Environment::Sandbox);
    assert!(world.engine.find_purchases(None, sandbox, &all(), PAGE, &[]).unwrap().is_empty());
    // Page by page, each once.
    let mut seen = Vec::new();
    let mut before = None;
    while let [last] = &world
        .engine
        .find_purchases(None, None, &all(), Page { before, limit: 1 }, &[])
        .unwrap()[..]
    {
        seen.push(last.key.id);
        before = Some(last.key.id.number().0);
    }
    assert_eq!(seen, [three.key.id, two.key.id, one.key.id]);
}

/// What left the ledger is found in its file, with the tokens that were bought.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_purchases_are_found_and_their_tokens_shown() {
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    let token = Token::new("12345678901234567890", None, TokenKind::Credit).unwrap();
    let slip = Slip::of_tokens(vec![token]);
    let known = BillCustomer { name: "T. Moyo".to_owned(), address: None, amount_due: None };
    world.a.on_look_up(move |_| BillAnswer::Known(known.clone()));
    let given = Some(Box::new(slip.clone()));
    let answer = Answer::Delivered { reference: None, text: None, slip: given, cost: None };
    world.a.answers(answer.into(), unknown());
    let quote = world.engine.quote(world.bill("Q1", "41234567891")).await.unwrap();
    let id = quote.purchase.key.id;
    world.engine.authorise(&world.caller(), id).await.unwrap();
    assert_eq!(world.engine.history(id.number()).unwrap().unwrap().slip, Some(slip.clone()));
    world.clock.advance(400 * DAY);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(archive(&world, folder.path()).await.len(), 1);
    stop(workers).await;

    assert!(world.engine.history(id.number()).unwrap().is_none());
    let filter = PurchaseFilter { reference: Some("Q1".to_owned()), ..PurchaseFilter::default() };
    assert_eq!(found(&world, &filter, PAGE), [""; 0]);
    let files = [folder.path().join("2026-04.db")];
    let late = PurchaseFilter { since: Some(Timestamp(0)), ..PurchaseFilter::default() };
    for filter in [filter, late] {
        let found = world.engine.find_purchases(None, None, &filter, PAGE, &files).unwrap();
        assert_eq!(found.iter().map(|p| p.key.id).collect::<Vec<_>>(), [id]);
    }
    let history = world.engine.archived_history(&files, id.number()).unwrap().unwrap();
    assert_eq!((history.slip, history.purchase.state), (Some(slip), State::Delivered));
    assert!(!history.attempts.is_empty());
}
