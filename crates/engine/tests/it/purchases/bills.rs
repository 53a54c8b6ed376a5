//! Bills: the look-up of a bill reference, and the slip that is stored. Also the statement.

use crate::world::*;
use domain::{
    Answer, BillAnswer, BillCustomer, Charge, Kind, Purchase, ReferenceScope, Slip, State, Token,
    TokenKind,
};
use engine::{Balance, Caller, Page, Quote};

pub const METER: &str = "41234567891";

pub fn known(name: &str) -> BillAnswer {
    BillAnswer::Known(BillCustomer { name: name.to_owned(), address: None, amount_due: None })
}

fn down() -> BillAnswer {
    BillAnswer::Unavailable { reason: "it is down".to_owned() }
}

fn slip(kinds: &[TokenKind]) -> Slip {
    let token = |(n, kind): (usize, &TokenKind)| {
        Token::new(&format!("{n:020}"), Some("4.5".to_owned()), *kind).unwrap()
    };
    let mut slip = Slip::of_tokens(kinds.iter().enumerate().map(token).collect());
    slip.units = Some("4.5".to_owned());
    slip.charges = vec![Charge { label: "RE levy (6%)".to_owned(), amount: bdt(57) }];
    slip
}

fn delivered_with<T: From<Answer>>(slip: Option<Slip>) -> T {
    Answer::Delivered { reference: None, text: None, slip: slip.map(Box::new), cost: None }.into()
}

async fn accept(world: &World, quote: Quote) -> Purchase {
    world.engine.authorise(&world.caller(), quote.purchase.key.id).await.unwrap()
}

/// The same caller with a login instead of a key pair.
fn logged_in(caller: Caller) -> Caller {
    Caller { key: None, session: Some(domain::ids::SessionId(1)), ..caller }
}

#[tokio::test]
async fn a_price_is_quoted_only_for_a_known_bill_reference() {
    let world = world().await;
    let unknown = world.engine.quote(world.bill("Q1", METER)).await.unwrap_err();
    assert_eq!(unknown, BillUnknown.into());
    world.a.on_look_up(|_| down());
    let down = world.engine.quote(world.bill("Q1", METER)).await.unwrap_err();
    assert!(matches!(down, QuoteRefused::BillUnavailable(_)), "{down:?}");
    // Neither used up the reference.
    world.a.on_look_up(|enquiry| known(&format!("{} <b>\u{7}", enquiry.recipient)));
    let quote = world.engine.quote(world.bill("Q1", METER)).await.unwrap();
    let name = quote.purchase.details.get("customerName").map(String::as_str);
    assert_eq!(name, Some("41234567891 <b>"));
    assert_eq!(world.wallet(), (START, 0, 0));
}

#[tokio::test]
async fn the_next_upstream_looks_it_up_when_the_first_is_down() {
    let world = world().await;
    world.a.on_look_up(|_| BillAnswer::Unavailable { reason: "it is down".to_owned() });
    world.b.on_look_up(|_| known("T. Moyo"));
    let quote = world.engine.quote(world.bill("Q1", "41234567893")).await.unwrap();
    assert_eq!(quote.purchase.details["customerName"], "T. Moyo");
}

#[tokio::test]
async fn without_a_look_up_it_is_quoted_as_it_is() {
    let world = world().await;
    let request =
        engine::PurchaseRequest { kind: Kind::Recharge, product: None, ..world.bill("Q1", METER) };
    assert!(world.engine.quote(request).await.unwrap().purchase.details.is_empty());
}

#[tokio::test]
async fn a_slip_is_stored_with_its_delivery_and_shown_again() {
    use TokenKind::{Credit, KeyChange};
    let world = world().await;
    world.a.on_look_up(|_| known("T. Moyo"));
    let mine = slip(&[Credit, KeyChange, KeyChange]);
    world.a.answers(delivered_with(Some(mine.clone())), unknown());
    let quote = world.engine.quote(world.bill("Q1", METER)).await.unwrap();
    let customer = logged_in(world.caller());
    let early = world.engine.delivery_again(&customer, ReferenceScope::Rechargely, "Q1").await;
    let because = "Nothing was delivered, so there is nothing to send again.".to_owned();
    assert_eq!(early.unwrap_err(), NotPossible { because }.into());
    let bought = accept(&world, quote).await;
    assert_eq!(world.engine.delivery(&bought).await.unwrap().slip, Some(mine.clone()));
    let kinds: Vec<_> = mine.tokens().iter().map(|t| t.kind).collect();
    assert_eq!(kinds, [KeyChange, KeyChange, Credit]);
    for _ in 0..3 {
        let again = world
            .engine
            .delivery_again(&logged_in(world.caller()), ReferenceScope::Rechargely, "Q1")
            .await
            .unwrap();
        assert_eq!((again.0, again.1.slip), (bought.clone(), Some(mine.clone())));
    }
    assert_eq!((world.a.count(Call::Submit), world.a.count(Call::Enquire)), (1, 0));
    let other = logged_in(world.caller_of(world.account("other").await));
    let theirs = world.engine.delivery_again(&other, ReferenceScope::Rechargely, "Q1").await;
    assert_eq!(theirs.unwrap_err(), PurchaseUnknown.into());
    world.assert_sound().await;
}

#[tokio::test]
async fn a_missing_slip_is_enquired_for_once() {
    let world = world().await;
    world.a.on_look_up(|_| known("T. Moyo"));
    world.a.answers(delivered_with(None), delivered_with(Some(slip(&[TokenKind::Credit]))));
    let quote = world.engine.quote(world.bill("Q1", METER)).await.unwrap();
    accept(&world, quote).await;
    for _ in 0..2 {
        let (_, again) = world
            .engine
            .delivery_again(&logged_in(world.caller()), ReferenceScope::Rechargely, "Q1")
            .await
            .unwrap();
        assert_eq!(again.slip, Some(slip(&[TokenKind::Credit])));
    }
    assert_eq!((world.a.count(Call::Submit), world.a.count(Call::Enquire)), (1, 1));
    world.assert_sound().await;
}

#[tokio::test]
async fn a_slip_survives_a_doubt_and_a_clash() {
    let world = world().await;
    world.a.on_look_up(|_| known("T. Moyo"));
    world.a.answers(unknown(), delivered_with(Some(slip(&[TokenKind::Credit]))));
    let quote = world.engine.quote(world.bill("Q1", METER)).await.unwrap();
    let doubt = accept(&world, quote).await;
    assert_eq!(doubt.state, State::InDoubt);
    world.clock.advance(std::time::Duration::from_secs(60));
    let workers = world.engine.start_workers().await.unwrap();
    until(|| world.state(doubt.key.id) == State::Delivered).await;
    let settled = world.stored(doubt.key.id);
    assert!(world.engine.delivery(&settled).await.unwrap().slip.is_some());
    // Delivered after it failed: no money moves, but the slip is stored for staff.
    world.a.answers(refused(), unknown());
    let quote = world.engine.quote(world.bill("Q2", METER)).await.unwrap();
    let failed = accept(&world, quote).await;
    world.report(failed.key.id, 1, delivered_with(Some(slip(&[TokenKind::Credit]))));
    until(|| !world.engine.open_cases().unwrap().is_empty()).await;
    stop(workers).await;
    assert_eq!(world.state(failed.key.id), State::Failed);
    let kept = format!("SELECT count(*) FROM slips WHERE purchase_id = {}", failed.key.id.0);
    assert_eq!(world.database.sql(&kept), ["1"]);
    assert_eq!(world.engine.delivery(&failed).await.unwrap().slip, None);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_statement_lists_the_wallets_entries_by_page() {
    let world = world().await;
    let caller = logged_in(world.caller());
    let login = |reference| engine::PurchaseRequest { caller, ..world.request(reference, TO_A) };
    world.engine.purchase(login("L1")).await.unwrap();
    world.a.answers(refused(), unknown());
    world.engine.purchase(login("L2")).await.unwrap();
    let read = async |before, limit| {
        let page = Page { before, limit };
        world
            .engine
            .statement(&caller, domain::Currency::BDT, Balance::Available, page)
            .await
            .unwrap()
    };
    let all = read(None, 100).await;
    let listed: Vec<_> = all
        .iter()
        .map(|line| (line.reason.code(), line.change.minor(), line.available_after.minor()))
        .collect();
    assert_eq!(
        listed,
        [
            ("release", TOTAL, START - TOTAL),
            ("hold", -TOTAL, START - 2 * TOTAL),
            ("hold", -TOTAL, START - TOTAL),
            ("deposit", START, START),
        ]
    );
    let first = read(None, 2).await;
    let rest = read(Some(first[1].journal.0), 100).await;
    assert_eq!([first, rest].concat(), all);
    let dollars = world.engine.statement(
        &caller,
        domain::Currency::USD,
        Balance::Available,
        Page { before: None, limit: 9 },
    );
    assert_eq!(dollars.await.unwrap_err(), NoWallet.into());
    let page = Page { before: None, limit: 10 };
    let listed = |states: &'static [State]| {
        world.engine.purchases_of(&caller, ReferenceScope::Irecharge, states, page)
    };
    let names = |list: Vec<Purchase>| list.into_iter().map(|p| p.reference).collect::<Vec<_>>();
    assert_eq!(names(listed(&[]).await.unwrap()), ["L2", "L1"]);
    assert_eq!(names(listed(&[State::Failed]).await.unwrap()), ["L2"]);
    assert_eq!(names(listed(&[State::Failed, State::Delivered]).await.unwrap()), ["L2", "L1"]);
    assert_eq!(names(listed(&[State::Held]).await.unwrap()), Vec::<String>::new());
    let other = world.engine.purchases_of(&caller, ReferenceScope::Rechargely, &[], page).await;
    assert_eq!(names(other.unwrap()), Vec::<String>::new());
}

/// An update without tokens overtakes the reply that has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slip_that_comes_after_the_delivery_is_stored() {
    let world = world().await;
    world.a.on_look_up(|_| known("T. Moyo"));
    let mine = slip(&[TokenKind::Credit]);
    let gate = world.a.submits_wait(delivered_with(Some(mine.clone())));
    let quote = world.engine.quote(world.bill("Q1", METER)).await.unwrap();
    let id = quote.purchase.key.id;
    let (engine, caller) = (world.engine.clone(), world.caller());
    let paying = tokio::spawn(async move { engine.authorise(&caller, id).await });
    until(|| world.a.count(Call::Submit) == 1).await;
    let workers = world.engine.start_workers().await.unwrap();
    world.report(id, 1, delivered_with(None));
    until(|| world.state(id) == State::Delivered).await;
    gate.add_permits(1);
    let paid = paying.await.unwrap().unwrap();
    assert_eq!(world.engine.delivery(&paid).await.unwrap().slip, Some(mine));
    stop(workers).await;
    world.assert_sound().await;
}
