//! Floats: what is paid, what deliveries cost, what the upstream tells; the ledger adds up.

use super::{TO_X, TO_X_B, world_with_x};
use crate::world::*;
use domain::account::HOUSE;
use domain::{
    Answer, BalanceAnswer, Capabilities, Currency, Environment, Money, PauseCause, Refused as _,
    State, UpstreamCode,
};
use engine::{NewEndpoint, UpstreamChange};
use std::time::Duration;

fn at_cost<T: From<Answer>>(cost: Money) -> T {
    Answer::Delivered { reference: None, text: None, slip: None, cost: Some(cost) }.into()
}

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::USD)
}

#[tokio::test]
async fn each_delivery_books_what_it_cost_and_a_refund_gives_that_back() {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    let float = world.engine.fund_upstream("x", bdt(100_000), "BANK-1").await.unwrap();
    assert_eq!(float.ours, bdt(100_000));
    x.answers(at_cost(bdt(AMOUNT - 30)), unknown());
    let cheap = world.buy("R1", TO_X).await;
    assert_eq!(world.house_balance("float", "x"), -(100_000 - AMOUNT + 30));
    assert_eq!(world.house_balance("fees", ""), FEE + 30);
    x.answers(at_cost(bdt(AMOUNT + 20)), unknown());
    world.buy("R2", TO_X).await;
    assert_eq!(world.house_balance("fees", ""), 2 * FEE + 30 - 20);
    world.assert_sound().await;
    world.engine.refund(cheap.key.id, "rahim", "wrong number").await.unwrap();
    assert_eq!(world.house_balance("float", "x"), -(100_000 - AMOUNT - 20));
    assert_eq!(world.house_balance("fees", ""), FEE - 20);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_float_in_another_currency_is_spent_in_its_own() {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    world.engine.fund_upstream("x", usd(5_000), "BANK-1").await.unwrap();
    x.answers(at_cost(usd(95)), unknown());
    let bought = world.buy("R1", TO_X).await;
    let history = world.engine.history(bought.key.id.number()).unwrap().unwrap();
    assert_eq!(history.attempts[0].cost, Some(usd(95)));
    let balance = |currency: &str| {
        let sum = format!(
            "SELECT balance FROM ledger_accounts WHERE purpose = 'float' AND upstream = 'x'
             AND currency = '{currency}'"
        );
        world.database.sql(&sum).first().map_or(0, |text| text.parse::<i64>().unwrap())
    };
    assert_eq!((balance("USD"), balance("BDT")), (-(5_000 - 95), 0));
    world.assert_sound().await;
    world.engine.refund(bought.key.id, "rahim", "wrong number").await.unwrap();
    assert_eq!((balance("USD"), balance("BDT")), (-5_000, 0));
    world.assert_sound().await;
}

#[tokio::test]
async fn a_payment_is_booked_once() {
    let world = world_with_x().await;
    world.engine.fund_upstream("x", bdt(100), "BANK-1").await.unwrap();
    let again = world.engine.fund_upstream("x", bdt(100), "BANK-1").await.unwrap_err();
    assert_eq!(again.code(), "PAYMENT_KNOWN");
    assert_eq!(world.house_balance("float", "x"), -100);
    let nothing = world.engine.fund_upstream("x", bdt(0), "BANK-2").await.unwrap_err();
    assert_eq!(nothing.code(), "VALIDATION_ERROR");
    world.assert_sound().await;
}

#[tokio::test]
async fn ours_and_theirs_and_their_difference() {
    let world = world_with_x().await;
    let (code, x) = (UpstreamCode::new("x"), world.factory.upstream("x"));
    assert_eq!(world.engine.upstream_float(&code).await.unwrap().float, None);
    world.engine.fund_upstream("x", bdt(100_000), "BANK-1").await.unwrap();
    *x.balance.lock().unwrap() = BalanceAnswer::Reported(bdt(99_000));
    world.buy("R1", TO_X).await;
    let float = world.engine.upstream_float(&code).await.unwrap().float.unwrap();
    assert_eq!(float.ours, bdt(100_000 - AMOUNT));
    assert_eq!(float.theirs, Some(bdt(99_000)));
    assert_eq!(float.difference, Some(bdt(AMOUNT - 1_000)));
    let reason = "maintenance".to_owned();
    *x.balance.lock().unwrap() = BalanceAnswer::Unavailable { reason: reason.clone() };
    let answer = world.engine.upstream_float(&code).await.unwrap();
    let theirs = answer.float.and_then(|float| float.theirs);
    assert_eq!((theirs, answer.unavailable), (Some(bdt(99_000)), Some(reason)));
}

/// Unknown passes nothing over; known and too low does, before money moves.
#[tokio::test]
async fn a_float_that_is_known_and_too_low_is_passed_over() {
    let world = world_with_x().await;
    assert_eq!(world.buy("R1", TO_X_B).await.upstream, Some(UpstreamCode::new("x")));
    world.engine.fund_upstream("x", bdt(3 * AMOUNT - 1), "BANK-1").await.unwrap();
    // What was delivered before is counted: less than two are left.
    assert_eq!(world.buy("R2", TO_X_B).await.upstream, Some(UpstreamCode::new("x")));
    world.engine.fund_upstream("x", bdt(1), "BANK-2").await.unwrap();
    assert_eq!(world.buy("R3", TO_X_B).await.upstream, Some(UpstreamCode::new("x")));
    world.engine.fund_upstream("x", bdt(AMOUNT - 1), "BANK-3").await.unwrap();
    let bought = world.buy("R4", TO_X_B).await;
    assert_eq!(bought.upstream, Some(UpstreamCode::new("b")));
    let history = world.engine.history(bought.key.id.number()).unwrap().unwrap();
    assert_eq!(history.attempts[0].passed_over[0].why, "float too low");
    world.assert_sound().await;
}

/// The watcher pauses what is empty, resumes it once there is money again, and each node knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_float_pauses_its_upstream_until_it_is_filled() {
    let world = world_with_x().await;
    let change = UpstreamChange { float_stop: Some(bdt(500)), ..UpstreamChange::default() };
    world.engine.change_upstream("x", change).await.unwrap();
    world.engine.fund_upstream("x", bdt(AMOUNT + 500), "BANK-1").await.unwrap();
    let paused = || {
        let views = world.engine.upstreams().unwrap();
        views.into_iter().find_map(|v| v.stored).unwrap().paused
    };
    assert_eq!(world.buy("R1", TO_X).await.state, State::Delivered);
    world.work_until(|| paused().is_some()).await;
    assert_eq!(paused().unwrap().cause, PauseCause::Float, "{:?}", paused());
    let refused = world.engine.purchase(world.request("R2", TO_X)).await.unwrap_err();
    assert_eq!(refused.code(), "UPSTREAM_UNAVAILABLE");
    world.engine.fund_upstream("x", bdt(100_000), "BANK-2").await.unwrap();
    assert_eq!(paused(), None);
    assert_eq!(world.buy("R2", TO_X).await.state, State::Delivered);
    // What staff have paused stays paused.
    world.engine.pause_upstream("x").await.unwrap();
    world.engine.fund_upstream("x", bdt(100_000), "BANK-3").await.unwrap();
    let pause = paused().unwrap();
    assert_eq!((pause.cause, &*pause.reason), (PauseCause::Staff, "it is slow"));
    // Whatever staff say: only the watcher's own pause ends by itself.
    world.engine.resume_upstream("x").await.unwrap();
    world.engine.pause_upstream_for("x", "float: 0 left, they say").await.unwrap();
    world.engine.fund_upstream("x", bdt(100_000), "BANK-4").await.unwrap();
    assert_eq!(paused().unwrap().cause, PauseCause::Staff);
    world.assert_sound().await;
}

/// Else a process that dies between the two would lose the alert: the crossing is no news any more.
#[tokio::test]
async fn the_alert_of_a_crossing_is_queued_in_the_commit_that_notes_it() {
    let world = world_with_x().await;
    let url = "https://staff.example.com/alerts";
    let (environment, events) = (Environment::Live, Vec::new());
    let endpoint = NewEndpoint { account: HOUSE, environment, url, events };
    world.engine.add_endpoint(endpoint).await.unwrap();
    let change = UpstreamChange { float_alert: Some(bdt(5_000)), ..UpstreamChange::default() };
    world.engine.change_upstream("x", change).await.unwrap();
    world.engine.fund_upstream("x", bdt(100_000), "BANK-1").await.unwrap();
    let level = || world.database.sql("SELECT level FROM upstream_watch WHERE code = 'x'");
    let alerts = || world.database.sql("SELECT body FROM webhooks WHERE event = 'upstream.float'");
    assert_eq!((level(), alerts().len()), (vec!["enough".to_owned()], 0));
    let (code, x) = (UpstreamCode::new("x"), world.factory.upstream("x"));
    *x.balance.lock().unwrap() = BalanceAnswer::Reported(bdt(4_000));
    world.engine.upstream_float(&code).await.unwrap();
    // Nothing can be queued, as if the process died before it did.
    world.database.sql(world.database.dialect(
        "CREATE TRIGGER no_queue BEFORE INSERT ON webhooks
         BEGIN SELECT RAISE(ABORT, 'no room'); END",
        "CREATE FUNCTION no_queue() RETURNS trigger LANGUAGE plpgsql
         AS 'BEGIN RAISE EXCEPTION ''no room''; END';
         CREATE TRIGGER no_queue BEFORE INSERT ON webhooks
         FOR EACH ROW EXECUTE FUNCTION no_queue()",
    ));
    world.engine.fund_upstream("x", bdt(1), "BANK-2").await.unwrap_err();
    assert_eq!((level(), alerts().len()), (vec!["enough".to_owned()], 0));
    world.database.sql(world.database.dialect(
        "DROP TRIGGER no_queue",
        "DROP TRIGGER no_queue ON webhooks; DROP FUNCTION no_queue()",
    ));
    world.engine.fund_upstream("x", bdt(1), "BANK-3").await.unwrap();
    world.engine.fund_upstream("x", bdt(1), "BANK-4").await.unwrap();
    assert_eq!((level(), alerts().len()), (vec!["low".to_owned()], 1));
    assert!(alerts()[0].contains("\"level\":\"low\""), "{:?}", alerts());
}

/// What would never act is refused, and what was set or booked by mistake can be put right.
#[tokio::test]
async fn levels_and_payments_are_in_the_currency_of_the_float() {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    let level = |money: Money| UpstreamChange { float_stop: Some(money), ..Default::default() };
    // Nothing is known yet: the wrong one is put right by the next.
    let both = UpstreamChange { float_alert: Some(usd(900)), ..level(usd(500)) };
    world.engine.change_upstream("x", both).await.unwrap();
    world.engine.change_upstream("x", level(bdt(700))).await.unwrap();
    let stored = || {
        let views = world.engine.upstreams().unwrap();
        let stored = views.into_iter().find_map(|view| view.stored).unwrap();
        (stored.float_currency, stored.float_alert, stored.float_stop)
    };
    assert_eq!(stored(), (Some(Currency::BDT), None, Some(700)));
    // What was paid first says it, then the settings, then what it tells.
    world.engine.fund_upstream("x", usd(1_000), "BANK-1").await.unwrap();
    let refused = world.engine.fund_upstream("x", bdt(100_000), "BANK-2").await.unwrap_err();
    assert!(format!("{refused:?}").contains("--currency USD"), "{refused:?}");
    assert!(world.engine.change_upstream("x", level(bdt(700))).await.is_err());
    // It was a mistake: taken back, once, and by name.
    assert!(world.engine.reverse_funding("x", "BANK-2").await.is_err());
    let float = world.engine.reverse_funding("x", " bank-1 ").await.unwrap();
    assert_eq!(float.ours, usd(0));
    let again = world.engine.reverse_funding("x", "BANK-1").await.unwrap_err();
    assert_eq!(again.code(), "PAYMENT_KNOWN");
    assert!(world.engine.reverse_funding("x", "REVERSAL-OF:BANK-1").await.is_err());
    let acts = world.engine.acts(Some("upstream x"), 1).unwrap();
    assert!(acts[0].after.as_ref().unwrap().contains("taken_back"), "{acts:?}");
    world.engine.fund_upstream("x", bdt(100_000), "BANK-2").await.unwrap();
    assert_eq!(world.buy("R1", TO_X).await.state, State::Delivered);
    let currency = Some(Currency::EUR);
    *x.capabilities.lock().unwrap() = Capabilities { currency, ..CAPABILITIES };
    let refused = world.engine.fund_upstream("x", bdt(1), "BANK-3").await.unwrap_err();
    assert!(format!("{refused:?}").contains("--currency EUR"), "{refused:?}");
    *x.balance.lock().unwrap() = BalanceAnswer::Reported(bdt(90_000));
    world.engine.upstream_float(&UpstreamCode::new("x")).await.unwrap();
    world.engine.fund_upstream("x", bdt(1), "BANK-3").await.unwrap();
    world.engine.change_upstream("x", level(bdt(800))).await.unwrap();
    world.assert_sound().await;
}

/// What an upstream tells when it is tried is told.
#[tokio::test]
async fn what_is_reported_to_a_trial_is_kept() {
    let world = world_with_x().await;
    let (code, x) = (UpstreamCode::new("x"), world.factory.upstream("x"));
    let balance_gap = Some(Duration::from_secs(1800));
    *x.capabilities.lock().unwrap() = Capabilities { balance_gap, ..CAPABILITIES };
    *x.balance.lock().unwrap() = BalanceAnswer::Unavailable { reason: "maintenance".to_owned() };
    let answer = world.engine.upstream_float(&code).await.unwrap();
    assert_eq!((answer.float, answer.unavailable.as_deref()), (None, Some("maintenance")));
    world.clock.advance(Duration::from_secs(1800));
    *x.balance.lock().unwrap() = BalanceAnswer::Reported(bdt(4_000));
    let tried = world.engine.try_upstream(&code).await.unwrap();
    assert_eq!(tried.balance, BalanceAnswer::Reported(bdt(4_000)));
    let answer = world.engine.upstream_float(&code).await.unwrap();
    assert_eq!(answer.float.unwrap().theirs, Some(bdt(4_000)));
    assert!(answer.unavailable.unwrap().contains("once in 1800 s"));
}

/// Some panels block an account that is asked about more often, whoever asks.
#[tokio::test]
async fn a_balance_is_asked_for_no_more_often_than_the_upstream_wants() {
    let world = world_with_x().await;
    let (code, x) = (UpstreamCode::new("x"), world.factory.upstream("x"));
    let balance_gap = Some(Duration::from_secs(1800));
    *x.capabilities.lock().unwrap() = Capabilities { balance_gap, ..CAPABILITIES };
    let look = async |left: i64| {
        *x.balance.lock().unwrap() = BalanceAnswer::Reported(bdt(left));
        let answer = world.engine.upstream_float(&code).await.unwrap();
        (answer.float.and_then(|float| float.theirs), answer.unavailable)
    };
    assert_eq!(look(100).await, (Some(bdt(100)), None));
    let too_soon = "it is asked for the balance once in 1800 s at most".to_owned();
    assert_eq!(look(90).await, (Some(bdt(100)), Some(too_soon.clone())));
    let tried = world.engine.try_upstream(&code).await.unwrap();
    assert_eq!(tried.balance, BalanceAnswer::Unavailable { reason: too_soon });
    world.clock.advance(Duration::from_secs(1800));
    assert_eq!(look(80).await, (Some(bdt(80)), None));
}
