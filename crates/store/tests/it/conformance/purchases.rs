//! Purchases and payments: references, versions, balances, evidence, slips.

use crate::harness::world::*;
use domain::purchase::settle;
use domain::{
    AccountId, AttemptRef, Case, CaseKind, Charge, Currency, Decision, Environment, Event,
    Exchange, MoneyDenial, OpeningDenied, PaymentOwner, PostingDenied, Proof, Purchase, PurchaseId,
    PurchaseKey, Purpose, Reason, ReferenceOwner, ReferenceScope, Slip, Source, State, StepDenied,
    Timestamp, Token, TokenKind, UpstreamCode, UsedReference,
};
use std::sync::Arc;
use store::{
    Fault, KeepEvidence, KeepExchanges, KeepResponse, KeepSlip, MoveRecheckMark, OpenPurchase,
    Posting, PruneExchanges, StoredReference, TakeStep,
};
use tokio::task::JoinSet;

pub async fn a_reference_has_one_winner(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    let changes = (0..64)
        .map(|n| Purchase { reference: "ONE".to_owned(), ..purchase(2, 100 + n, State::Sent) })
        .map(open)
        .collect();
    let answers = write_all(store, changes).await;
    let won = (0..).zip(&answers).filter(|(_, a)| matches!(a, Ok(Ok(_))));
    let winners: Vec<i64> = won.map(|(n, _)| 100 + n).collect();
    assert_eq!(winners.len(), 1);
    let winner = key(2, winners[0]);
    let denied = OpeningDenied::ReferenceUsed(UsedReference {
        reference: reference(2, ReferenceScope::Irecharge, "ONE"),
        by: ReferenceOwner { purchase: Some(winner) },
    });
    assert_eq!(answers.iter().filter(|a| matches!(a, Ok(Err(d)) if *d == denied)).count(), 63);
    let stored_reference =
        store.stored_reference(&reference(2, ReferenceScope::Irecharge, "ONE")).unwrap();
    assert_eq!(stored_reference, Some(StoredReference { purchase: Some(winner), digest: None }));
    assert_eq!(wallet(store, 2), (99 * TOTAL, TOTAL, 0));
    world.assert_sound();
}

/// Money for N purchases, 4 N requests from several tasks: exactly N are opened.
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
            Ok(available_after) => left.push(available_after),
            Err(OpeningDenied::Money(MoneyDenial::InsufficientBalance { available })) => {
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
    let rivals = [Event::Deliver, Event::Refuse, Event::Doubt, Event::Escalate];
    let changes =
        (0..64).map(|n| TakeStep(step(&sent, rivals[n % 4]).unwrap())).collect::<Vec<_>>();
    let answers = write_all(store, changes).await;
    let won: Vec<_> = answers.iter().filter(|a| matches!(a, Ok(Ok(_)))).collect();
    assert_eq!(won.len(), 1);
    let now = store.purchase(&sent.key).unwrap().unwrap();
    assert_eq!(now.version, 2);
    let is_moved = |a: &&Answer<TakeStep>| matches!(a, Ok(Err(StepDenied::VersionConflict)));
    assert_eq!(answers.iter().filter(is_moved).count(), 63);
    let unknown = Purchase { key: key(2, 404), ..sent };
    let answer = store.write(TakeStep(step(&unknown, Event::Deliver).unwrap())).await.unwrap();
    assert_eq!(answer, Err(StepDenied::VersionConflict));
    world.assert_sound();
}

pub async fn a_payment_is_booked_once(world: World) {
    let store = &world.store;
    let deposits = (0..32).map(|_| fund(Reason::Deposit, 2, 500, "BANK-1")).collect();
    let answers = write_all(store, deposits).await;
    assert_eq!(answers.iter().filter(|a| matches!(a, Ok(Ok(_)))).count(), 1);
    assert_eq!(wallet(store, 2), (500, 0, 0));
    // Not for a withdrawal either.
    let first = PaymentOwner { account: AccountId(2), at: NOW };
    let again = store.write(fund(Reason::Withdraw, 2, 500, "BANK-1")).await.unwrap();
    assert_eq!(again, Err(PostingDenied::Known(first)));
    assert_eq!(deposit(store, 3, 700, "BANK-1").await, 700);
    world.assert_sound();
}

/// A TrxID credits one account, however it is typed, in one commit with others and alone.
pub async fn a_payment_is_one_accounts_in_the_whole_house(world: World) {
    let store = &world.store;
    let paid = |account, rail, typed| Posting {
        payment: payment_of(rail, typed),
        ..fund(Reason::Deposit, account, 500, "")
    };
    let first = PaymentOwner { account: AccountId(2), at: NOW };
    assert_eq!(store.write(paid(2, "bkash", "DKT5A1B2C3")).await.unwrap(), Ok(500));
    for typed in ["DKT5A1B2C3", "dkt5a1b2c3", " DKT5 A1B2C3 "] {
        let other = store.write(paid(3, "bkash", typed)).await.unwrap();
        assert_eq!(other, Err(PostingDenied::Known(first)), "{typed}");
    }
    let rivals = (0..32).map(|n| paid(2 + n % 2, "bkash", "DKT5A1B2C4")).collect();
    let answers = write_all(store, rivals).await;
    assert_eq!(answers.iter().filter(|a| matches!(a, Ok(Ok(_)))).count(), 1);
    assert_eq!(wallet(store, 2).0 + wallet(store, 3).0, 1000);
    // Another rail's numbers are its own.
    assert!(store.write(paid(3, "nagad", "DKT5A1B2C3")).await.unwrap().is_ok());
    let listed = store.payments_of(AccountId(2), Timestamp(i64::MAX), 10).unwrap();
    let first = listed.iter().find(|p| p.reference == "DKT5A1B2C3").unwrap();
    assert_eq!((first.rail.as_str(), first.journal.map(|j| j.0)), ("bkash", Some(1)));
    assert_eq!(first.moved.map(|moved| moved.minor()), Some(500));
    assert_eq!(store.payments_of(AccountId(2), NOW, 10).unwrap(), Vec::new());
    let world = world.reopened();
    world.assert_sound();
}

pub async fn a_payment_needs_a_wallet_and_stays_in_range(world: World) {
    let store = &world.store;
    let unknown = store.write(fund(Reason::Deposit, 99, 1, "x")).await.unwrap();
    let Err(PostingDenied::Money(MoneyDenial::NoLedgerAccount(account))) = unknown else {
        panic!("{unknown:?}")
    };
    assert_eq!(account.purpose, Purpose::Available);
    assert_eq!(deposit(store, 2, i64::MAX - 10, "much").await, i64::MAX - 10);
    let more = store.write(fund(Reason::Deposit, 2, 11, "more")).await.unwrap();
    assert_eq!(more, Err(PostingDenied::Money(MoneyDenial::TooLarge)));
    let out = store.write(fund(Reason::Withdraw, 3, 1, "out")).await.unwrap();
    let short = MoneyDenial::InsufficientBalance { available: 0 };
    assert_eq!(out, Err(PostingDenied::Money(short)));
    let report = world.assert_sound();
    assert_eq!(report.journals, 1);
}

pub async fn a_first_answer_is_kept_for_ever(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    let asked = reference(2, ReferenceScope::IrechargeKey, "K-1");
    let remember = |status, body: &str| KeepResponse {
        reference: asked.clone(),
        status,
        body: body.to_owned(),
    };
    // No purchase has used this key yet, so no answer can be kept for it.
    assert!(matches!(store.commit(remember(200, "{}")).await, Err(Fault::Database(_))));
    let digest = Some([7; 32]);
    let mut opens = open(purchase(2, 1, State::Sent));
    opens.reference_keys.push(asked.clone());
    store.write(OpenPurchase { digest, ..opens }).await.unwrap().unwrap();
    let by = Some(StoredReference { purchase: Some(key(2, 1)), digest });
    assert_eq!(store.stored_reference(&asked).unwrap(), by);
    assert_eq!(store.stored_reference(&reference(2, ReferenceScope::Irecharge, "R1")).unwrap(), by);
    assert_eq!(store.kept_response(&asked).unwrap(), None);
    store.commit(remember(200, "{\"a\": \"é\"}")).await.unwrap();
    store.commit(remember(500, "later")).await.unwrap();
    assert_eq!(store.kept_response(&asked).unwrap(), Some((200, "{\"a\": \"é\"}".to_owned())));
    let world = world.reopened();
    assert_eq!(
        world.store.kept_response(&asked).unwrap(),
        Some((200, "{\"a\": \"é\"}".to_owned()))
    );
}

pub async fn a_second_doubt_opens_its_case_again(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    let take = async |event| {
        let now = store.purchase(&key(2, 1)).unwrap().unwrap();
        store.write(TakeStep(step(&now, event).unwrap())).await.unwrap().unwrap();
        let cases = store.open_cases().unwrap();
        cases.iter().map(|case| case.why.clone()).collect::<Vec<_>>().join(",")
    };
    live(store, purchase(2, 1, State::Sent), &[]).await;
    assert_eq!(take(Event::Escalate).await, "doubt");
    assert_eq!(take(Event::Reroute).await, "");
    assert_eq!(take(Event::Submit).await, "");
    assert_eq!(take(Event::Escalate).await, "doubt");
    assert_eq!(take(Event::Deny).await, "");
    let said = upstream_says(&store.purchase(&key(2, 1)).unwrap().unwrap(), "delivered");
    for _ in 0..3 {
        let case = Some(Case { why: CaseKind::Clash, proof: said.clone() });
        let keep = KeepEvidence { key: key(2, 1), proof: said.clone(), case, at: NOW };
        store.write(keep).await.unwrap().unwrap();
    }
    let cases = store.open_cases().unwrap();
    let shown: Vec<_> = cases.iter().map(|c| (c.key, c.why.as_str(), c.text.as_str())).collect();
    let text = "upstream sim-2 said delivered: delivered, says the upstream";
    assert_eq!(shown, [(key(2, 1), "clash", text)]);
    assert_eq!(store.evidence(&key(2, 1)).unwrap().len(), 1 + 3);
    world.assert_sound();
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
    for foreign in elsewhere {
        assert_eq!(store.purchase(&foreign).unwrap(), None);
        assert_eq!(store.attempts(&foreign).unwrap(), []);
    }
    assert_eq!(store.any_purchase(PurchaseId(1)).unwrap().unwrap().key, key(2, 1));
    // Live money cannot be spent in the sandbox or by another account; the reference is free there.
    let mut sandbox = purchase(2, 5, State::Sent);
    sandbox.key.environment = Environment::Sandbox;
    sandbox.reference = "R1".to_owned();
    let of_another = Purchase { reference: "R1".to_owned(), ..purchase(3, 6, State::Sent) };
    for purchase in [sandbox, of_another] {
        let answer = store.write(open(purchase)).await.unwrap();
        let short = MoneyDenial::InsufficientBalance { available: 0 };
        assert_eq!(answer, Err(OpeningDenied::Money(short)));
    }
    assert_eq!(store.available(AccountId(2), Environment::Live, Currency::USD).unwrap(), None);
    assert_eq!(wallet(store, 3), (0, 0, 0));
    world.assert_sound();
}

/// When a quote is accepted, the balance after this hold is stored, not the balance at the quote.
pub async fn a_hold_at_acceptance_stores_the_remaining_balance(world: World) {
    let store = &world.store;
    deposit(store, 2, 3 * TOTAL, "in").await;
    live(store, purchase(2, 1, State::Quoted), &[]).await;
    live(store, purchase(2, 2, State::Sent), &[]).await;
    let quoted = store.purchase(&key(2, 1)).unwrap().unwrap();
    store.write(TakeStep(step(&quoted, Event::Authorise).unwrap())).await.unwrap().unwrap();
    assert_eq!(store.purchase(&key(2, 1)).unwrap().unwrap().available_after, bdt(TOTAL));
}

/// Upstreams may send a NUL, which PostgreSQL refuses in a text.
pub async fn a_nul_in_a_text_stops_nothing(world: World) {
    let store = &world.store;
    let mut posting = fund(Reason::Deposit, 2, 2 * TOTAL, "in");
    posting.note = "pa\0per".to_owned();
    store.write(posting).await.unwrap().unwrap();
    let sent = live(store, purchase(2, 1, State::Sent), &[]).await;
    let proof = upstream_says(&sent, "delivered").with_text("don\0e");
    let Decision::Move(delivers) = settle::decide(&sent, Event::Deliver, proof, NOW) else {
        panic!("it delivers");
    };
    store.write(TakeStep(delivers)).await.unwrap().unwrap();
    let said = store.attempts(&key(2, 1)).unwrap()[0].text.clone().unwrap();
    assert_eq!(said.replace(['\0', '\u{fffd}'], "?"), "don?e");
    world.assert_sound();
}

/// A slip is stored with the evidence that brought it, by a step or later. The first slip of each
/// upstream stays.
pub async fn a_slip_is_stored_with_its_evidence(world: World) {
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
    let Decision::Move(delivers) = settle::decide(&opened, Event::Deliver, proof, NOW) else {
        panic!("it delivers");
    };
    assert_eq!(store.slip(&key(2, 1), &sim).unwrap(), None);
    store.write(TakeStep(delivers)).await.unwrap().unwrap();
    assert_eq!(store.slip(&key(2, 1), &sim).unwrap(), Some(slip("1")));
    // Another upstream's slip is stored beside it, and later slips replace neither.
    let other = UpstreamCode::new("other");
    let source = Source::Upstream { attempt: 1, upstream: other.clone() };
    let proof = Proof { slip: Some(Box::new(slip("2"))), ..Proof::new(source, "delivered") };
    let keep = KeepEvidence { key: key(2, 1), proof, case: None, at: NOW };
    store.write(keep).await.unwrap().unwrap();
    for (upstream, digit) in [(&sim, "3"), (&other, "4")] {
        let (upstream, slip) = (upstream.clone(), Box::new(slip(digit)));
        let later = KeepSlip { key: key(2, 1), upstream, slip, at: NOW };
        store.write(later).await.unwrap().unwrap();
    }
    assert_eq!(store.slip(&key(2, 1), &sim).unwrap(), Some(slip("1")));
    assert_eq!(store.slip(&key(2, 1), &other).unwrap(), Some(slip("2")));
    assert_eq!(store.slip(&key(3, 1), &sim).unwrap(), None);
}

/// What was sent to an upstream is kept once, no more of an attempt than staff read, and goes when
/// it is old.
pub async fn exchanges_are_kept_for_staff(world: World) {
    let exchange = |number, sent_at, step: &str| Exchange {
        attempt: AttemptRef { purchase: PurchaseId(7).number(), number },
        upstream: UpstreamCode::new("a"),
        step: step.to_owned(),
        sent_at: Timestamp(sent_at),
        request: "POST https://a.example".to_owned(),
        reply: "HTTP 200".to_owned(),
    };
    let (first, second) = (exchange(1, 5, "submit"), exchange(2, 9, "query"));
    let keep = KeepExchanges(vec![second.clone(), first.clone(), first.clone()]);
    world.store.write(keep.clone()).await.unwrap().unwrap();
    world.store.write(keep).await.unwrap().unwrap();
    let kept = |id| world.store.exchanges(PurchaseId(id)).unwrap();
    assert_eq!((kept(7), kept(8)), (vec![first, second.clone()], Vec::new()));

    let many = (0..60).map(|n| exchange(1, 100 + n, "query")).collect();
    world.store.write(KeepExchanges(many)).await.unwrap().unwrap();
    // The first ones and the latest.
    let of_first: Vec<i64> =
        kept(7).iter().filter(|one| one.attempt.number == 1).map(|one| one.sent_at.0).collect();
    let expected: Vec<i64> = [5].into_iter().chain(100..138).chain([159]).collect();
    assert_eq!(of_first, expected);
    // What is older, and what is known, takes no place.
    let again =
        vec![exchange(1, 120, "query"), exchange(1, 141, "query"), exchange(1, 159, "query")];
    world.store.write(KeepExchanges(again)).await.unwrap().unwrap();
    let latest = kept(7).iter().map(|one| one.sent_at.0).max();
    assert_eq!((kept(7).len(), latest), (41, Some(159)));

    let prune = PruneExchanges { before: Timestamp(9), limit: 10 };
    assert_eq!(world.store.write(prune).await.unwrap().unwrap(), 1);
    assert_eq!(kept(7)[0], second);
    let some = PruneExchanges { before: Timestamp(1_000), limit: 10 };
    assert_eq!(world.store.write(some).await.unwrap().unwrap(), 10);
    assert_eq!(kept(7).len(), 30);
}

/// Attempts without an outcome, of another upstream, and outside the ids are not among them.
pub async fn what_has_ended_is_asked_about_again_by_one_node(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    for (id, events) in [
        (1, &[Event::Deliver][..]),
        (2, &[Event::Refuse]),
        (3, &[]),
        (4, &[Event::Deliver]),
        (5, &[Event::Deliver]),
    ] {
        live(store, purchase(2, id, State::Sent), events).await;
    }
    let code = store.attempts(&key(2, 1)).unwrap()[0].upstream.clone();
    let ended = |code: &UpstreamCode, after, before, limit| {
        let found = store.ended_attempts(code, PurchaseId(after), PurchaseId(before), limit);
        found.unwrap().iter().map(|one| (one.purchase, one.number)).collect::<Vec<_>>()
    };
    assert_eq!(ended(&code, 1, 5, 10), [(key(2, 2), 1), (key(2, 4), 1)]);
    assert_eq!(ended(&code, 0, 5, 1), [(key(2, 1), 1)]);
    assert_eq!(ended(&UpstreamCode::new("other"), 0, 9, 10), []);

    let move_mark = async |days, from: Option<i64>, to| {
        let (from, to) = (from.map(PurchaseId), PurchaseId(to));
        let change = MoveRecheckMark { code: code.clone(), days, from, to };
        store.write(change).await.unwrap().unwrap()
    };
    assert_eq!(store.recheck_mark(&code, 1).unwrap(), None);
    assert!(move_mark(1, None, 4).await);
    assert!(!move_mark(1, None, 4).await, "another node has moved it");
    assert!(move_mark(1, Some(4), 9).await);
    assert!(move_mark(3, None, 2).await, "each wait has a mark of its own");
    let marks = [1, 3].map(|days| store.recheck_mark(&code, days).unwrap());
    assert_eq!(marks, [Some(PurchaseId(9)), Some(PurchaseId(2))]);
}
