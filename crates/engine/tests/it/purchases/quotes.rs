//! Quotes: a price that is valid for a quarter of an hour, and its acceptance.

use crate::purchases::bills::known;
use crate::world::*;
use domain::{Catalog, Operator, Product, Reason, ReferenceScope, State};
use engine::PurchaseRequest;
use std::time::Duration;
use tokio::task::JoinSet;

pub const QUARTER: Duration = Duration::from_secs(15 * 60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quote_is_charged_once_however_often_it_is_accepted() {
    let world = world().await;
    let quote = world.engine.quote(world.request("Q1", TO_A)).await.unwrap().purchase;
    assert_eq!((quote.state, quote.fee), (State::Quoted, bdt(FEE)));
    assert_eq!(world.wallet(), (START, 0, 0));
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (engine, caller) = (world.engine.clone(), world.caller());
        tasks.spawn(async move { engine.authorise(&caller, quote.key.id).await });
    }
    while let Some(answer) = tasks.join_next().await {
        let now = answer.unwrap().unwrap();
        assert!(matches!(now.state, State::Held | State::Sent | State::Delivered), "{now:?}");
    }
    until(|| world.state(quote.key.id) == State::Delivered).await;
    let after = world.engine.authorise(&world.caller(), quote.key.id).await.unwrap();
    assert_eq!((after.state, after.available_after), (State::Delivered, bdt(START - TOTAL)));
    assert_eq!(world.a.count(Call::Submit), 1);
    assert_eq!(world.wallet(), (START - TOTAL, 0, COMMISSION));
    world.assert_sound().await;
}

#[tokio::test]
async fn an_acceptance_answers_what_is_available_after() {
    let world = world().await;
    let quote = world.engine.quote(world.request("Q1", TO_A)).await.unwrap().purchase;
    world.buy("R1", TO_A).await;
    let accepted = world.engine.authorise(&world.caller(), quote.key.id).await.unwrap();
    assert_eq!(accepted.state, State::Delivered);
    assert_eq!(accepted.available_after, bdt(START - 2 * TOTAL));
    assert_eq!(accepted, world.stored(quote.key.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quote_expires_whether_or_not_a_worker_runs() {
    let world = world().await;
    let [swept, unswept, accepted] = {
        let mut ids = Vec::new();
        for name in ["Q1", "Q2", "Q3"] {
            ids.push(world.engine.quote(world.request(name, TO_A)).await.unwrap().purchase.key.id);
        }
        [ids[0], ids[1], ids[2]]
    };
    world.clock.advance(QUARTER - Duration::from_secs(1));
    assert_eq!(
        world.engine.authorise(&world.caller(), accepted).await.unwrap().state,
        State::Delivered
    );
    world.clock.advance(Duration::from_secs(1));
    // It has expired although no worker has run.
    let late = world.engine.authorise(&world.caller(), unswept).await;
    assert_eq!(late.unwrap_err(), QuoteExpired.into());
    world.work_until(|| world.state(swept) == State::Rejected).await;
    let late = world.engine.authorise(&world.caller(), swept).await;
    assert_eq!(late.unwrap_err(), QuoteExpired.into());
    assert_eq!(world.wallet(), (START - TOTAL, 0, COMMISSION));
    world.assert_sound().await;
}

#[tokio::test]
async fn without_enough_money_the_quote_stays_open() {
    let world = world().await;
    let request = PurchaseRequest { amount: bdt(START), ..world.request("Q1", TO_A) };
    let quote = world.engine.quote(request).await.unwrap().purchase;
    let caller = world.caller();
    let short = world.engine.authorise(&caller, quote.key.id).await.unwrap_err();
    assert_eq!(short, InsufficientBalance { available: bdt(START) }.into());
    assert_eq!((world.state(quote.key.id), world.a.count(Call::Submit)), (State::Quoted, 0));
    let note = Note { reference: "more", note: "paid in" };
    let (account, environment) = (world.merchant, caller.environment);
    world.engine.fund(Reason::Deposit, account, environment, bdt(FEE), note).await.unwrap();
    let accepted = world.engine.authorise(&caller, quote.key.id).await.unwrap();
    assert_eq!((accepted.state, world.wallet().0), (State::Delivered, 0));
    world.assert_sound().await;
}

#[tokio::test]
async fn a_quote_belongs_to_its_account() {
    let world = world().await;
    let quote = world.engine.quote(world.request("Q1", TO_A)).await.unwrap().purchase;
    let other = world.caller_of(world.account("other").await);
    let answer = world.engine.authorise(&other, quote.key.id).await;
    assert_eq!(answer.unwrap_err(), PurchaseUnknown.into());
    let again = world.engine.quote(world.request("Q1", TO_A)).await.unwrap_err();
    assert!(
        matches!(again, QuoteRefused::ReferenceKnown(ReferenceKnown { first: Some(_) })),
        "{again:?}"
    );
}

/// The state of the purchase that used the reference up.
fn state_of_first(refused: QuoteRefused) -> Option<State> {
    let QuoteRefused::ReferenceKnown(ReferenceKnown { first }) = refused else { return None };
    first.map(|purchase| purchase.state)
}

#[tokio::test]
async fn a_repeated_request_gets_its_quote_and_another_one_none() {
    let world = world().await;
    let request = || PurchaseRequest { digest: Some([1; 32]), ..world.request("Q1", TO_A) };
    let first = world.engine.quote(request()).await.unwrap();
    assert_eq!(world.engine.quote(request()).await.unwrap(), first);
    assert_eq!(first.acceptance.len(), 43);
    for digest in [Some([2; 32]), None] {
        let other = world.engine.quote(PurchaseRequest { digest, ..request() }).await.unwrap_err();
        assert!(
            matches!(other, QuoteRefused::ReferenceKnown(ReferenceKnown { first: Some(_) })),
            "{other:?}"
        );
    }
    let id = first.purchase.key.id;
    world.engine.authorise(&world.caller(), id).await.unwrap();
    let late = world.engine.quote(request()).await.unwrap_err();
    assert_eq!(state_of_first(late), Some(State::Delivered));
    let second =
        world.engine.quote(PurchaseRequest { reference: "Q2".into(), ..request() }).await.unwrap();
    world.clock.advance(QUARTER);
    let over = world
        .engine
        .quote(PurchaseRequest { reference: "Q2".into(), ..request() })
        .await
        .unwrap_err();
    assert_eq!(state_of_first(over), Some(State::Rejected));
    assert_eq!(world.state(second.purchase.key.id), State::Rejected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_sent_many_times_at_once_is_one_quote() {
    let world = world().await;
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let request = PurchaseRequest { digest: Some([1; 32]), ..world.request("Q1", TO_A) };
        let engine = world.engine.clone();
        tasks.spawn(async move { engine.quote(request).await.unwrap() });
    }
    let quotes = tasks.join_all().await;
    assert!(quotes.iter().all(|quote| *quote == quotes[0]));
}

#[tokio::test]
async fn a_quote_is_accepted_with_its_own_secret_only() {
    let world = world().await;
    let [one, two] = ["Q1", "Q2"].map(|name| world.engine.quote(world.request(name, TO_A)));
    let (one, two) = (one.await.unwrap(), two.await.unwrap());
    assert_ne!(one.acceptance, two.acceptance);
    let other = world.caller_of(world.account("other").await);
    let (caller, long) = (world.caller(), format!("{}A", one.acceptance));
    for (caller, reference, secret) in [
        (&caller, "Q1", two.acceptance.as_str()),
        (&caller, "Q2", one.acceptance.as_str()),
        (&caller, "Q1", ""),
        (&caller, "Q1", &one.acceptance[1..]),
        (&caller, "Q1", &long),
        (&caller, "Q3", one.acceptance.as_str()),
        (&other, "Q1", one.acceptance.as_str()),
    ] {
        let answer =
            world.engine.accept(caller, ReferenceScope::Irecharge, reference, secret).await;
        assert_eq!(answer.unwrap_err(), PurchaseUnknown.into(), "{reference} {secret}");
    }
    assert_eq!(world.wallet(), (START, 0, 0));
    let accepted =
        world.engine.accept(&caller, ReferenceScope::Irecharge, "Q1", &one.acceptance).await;
    assert_eq!(accepted.unwrap().state, State::Delivered);
}

/// A thousand quotes are accepted while they expire: each is either paid and delivered, or rejected
/// without cost, and its caller's answer says which.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_acceptance_and_expiry_exactly_one_wins() {
    const ROUNDS: usize = 20;
    const QUOTES: usize = 50;
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    let (mut paid, mut expired) = (0, 0);
    for round in 0..ROUNDS {
        let mut ids = Vec::new();
        for n in 0..QUOTES {
            let quote = world.engine.quote(world.request(&format!("Q{round}-{n}"), TO_A)).await;
            ids.push(quote.unwrap().purchase.key.id);
        }
        world.clock.advance(QUARTER - Duration::from_micros(1));
        let mut tasks = JoinSet::new();
        for (n, id) in ids.into_iter().enumerate() {
            let (engine, caller, clock) =
                (world.engine.clone(), world.caller(), world.clock.clone());
            tasks.spawn(async move {
                tokio::time::sleep(Duration::from_micros(n as u64 * 200)).await;
                if n == QUOTES / 2 {
                    clock.advance(Duration::from_micros(1));
                }
                (id, engine.authorise(&caller, id).await)
            });
        }
        for (id, answer) in tasks.join_all().await {
            match answer {
                Ok(_) => paid += 1,
                Err(refusal) => {
                    assert_eq!((refusal, world.state(id)), (QuoteExpired.into(), State::Rejected));
                    expired += 1;
                }
            }
        }
    }
    let left = i64::try_from(paid).unwrap() * TOTAL;
    until(|| world.wallet() == (START - left, 0, COMMISSION * i64::try_from(paid).unwrap())).await;
    stop(workers).await;
    assert_eq!(paid + expired, ROUNDS * QUOTES);
    assert!(paid > 0 && expired > 0, "{paid} paid, {expired} expired");
    assert_eq!(world.a.count(Call::Submit), paid);
    world.assert_sound().await;
}

/// A worker does not overtake the caller that accepts: the answer is final, not "held" or "sent".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acceptance_answers_the_final_state() {
    let world = world().await;
    let workers = world.engine.start_workers().await.unwrap();
    for n in 0..100 {
        let quote = world.engine.quote(world.request(&format!("Q{n}"), TO_A)).await.unwrap();
        let paid = world.engine.authorise(&world.caller(), quote.purchase.key.id).await.unwrap();
        assert_eq!(paid.state, State::Delivered, "{n}");
    }
    stop(workers).await;
}

/// Quotes cost nothing and are stored for ever: a customer gets a limited number a minute.
#[tokio::test]
async fn the_rate_of_quotes_is_limited() {
    let world = world().await;
    let caller = engine::Caller {
        key: None,
        session: Some(domain::ids::SessionId(1)),
        plan: None,
        ..world.caller()
    };
    world.engine.change_account(world.merchant, |a| a.subscription = None).await.unwrap();
    let quote = |n: u32| {
        let request = PurchaseRequest {
            caller,
            digest: Some([1; 32]),
            ..world.request(&format!("Q{n}"), TO_A)
        };
        world.engine.quote(request)
    };
    for n in 0..20 {
        quote(n).await.unwrap();
    }
    let refused = quote(20).await.unwrap_err();
    assert!(matches!(refused, QuoteRefused::TooFast(_)), "{refused:?}");
    // A repeated request is no new quote.
    quote(0).await.unwrap();
    world.clock.advance(Duration::from_secs(61));
    quote(20).await.unwrap();
}

/// Nothing is charged for what was switched off after its quote.
#[tokio::test]
async fn what_is_not_sold_any_more_is_not_accepted() {
    let world = world().await;
    world.a.on_look_up(|_| known("T. Moyo"));
    let quote = world.engine.quote(world.bill("B1", TO_A)).await.unwrap().purchase;
    let off = |product: Product| Product { is_active: false, ..product };
    let closed = |operator: Operator| Operator { is_active: false, ..operator };
    let Catalog { products, operators, .. } = catalog();
    for changed in [
        Catalog { products: products.into_iter().map(off).collect(), ..catalog() },
        Catalog { operators: operators.into_iter().map(closed).collect(), ..catalog() },
    ] {
        world.engine.set_catalog(changed).await.unwrap();
        let refused = world.engine.authorise(&world.caller(), quote.key.id).await;
        assert_eq!(refused.unwrap_err(), NotSold.into());
        assert_eq!((world.wallet(), world.state(quote.key.id)), ((START, 0, 0), State::Quoted));
        world.engine.set_catalog(catalog()).await.unwrap();
    }
    let accepted = world.engine.authorise(&world.caller(), quote.key.id).await.unwrap();
    assert_eq!(accepted.state, State::Delivered);
    // What was accepted before is answered as it stands.
    world.engine.set_catalog(Catalog { products: vec![], ..catalog() }).await.unwrap();
    let again = world.engine.authorise(&world.caller(), quote.key.id).await.unwrap();
    assert_eq!(again.state, State::Delivered);
}

/// Once the money is held no fault is answered as a refusal (CONTRACT B-08): the job sends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_is_answered_although_its_attempt_cannot_be_recorded() {
    let world = world().await;
    let quote = world.engine.quote(world.request("Q1", TO_A)).await.unwrap().purchase;
    let sql = |sqlite, postgresql| world.database.sql(world.database.dialect(sqlite, postgresql));
    sql(
        "CREATE TRIGGER no_row BEFORE INSERT ON attempts BEGIN SELECT RAISE(ABORT, 'no'); END",
        "ALTER TABLE attempts ADD CONSTRAINT no_row CHECK (number < 0) NOT VALID",
    );
    let held = world.engine.authorise(&world.caller(), quote.key.id).await.unwrap();
    assert_eq!((held.state, held.available_after), (State::Held, bdt(START - TOTAL)));
    assert_eq!(world.a.count(Call::Submit), 0);
    sql("DROP TRIGGER no_row", "ALTER TABLE attempts DROP CONSTRAINT no_row");
    world.work_until(|| world.state(quote.key.id) == State::Delivered).await;
    assert_eq!(world.wallet(), (START - TOTAL, 0, COMMISSION));
    world.assert_sound().await;
}
