//! What devices are told: each event once to each device, again on trouble, never to one that is gone.

use crate::bills::{METER, known};
use crate::people::{ANNA, with_anna, with_anna_and};
use crate::quotes::QUARTER;
use crate::world::*;
use domain::catalog::kind::Kind;
use domain::ledger::journal::Reason;
use domain::purchase::lifecycle::State;
use domain::purchase::{Purchase, ReferenceScope};
use domain::push::{Push, Pushed, Pusher};
use domain::upstream::BoxFuture;
use domain::{Catalog, Currency, Environment, Money};
use engine::{BookingNote, Caller, LogInForm, PurchaseRequest, PushParts, PushRenderer, PushText};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Script = Box<dyn Fn(usize) -> Pushed + Send>;

/// A push service that answers as the test says, by the number of the call.
struct Service {
    sent: Mutex<Vec<Push>>,
    script: Mutex<Script>,
}

impl Service {
    fn answering(script: impl Fn(usize) -> Pushed + Send + 'static) -> Arc<Service> {
        Arc::new(Service { sent: Mutex::default(), script: Mutex::new(Box::new(script)) })
    }

    /// To whom, with what tag, in which words.
    fn sent(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|p| format!("{} {} {}", p.device_token, p.title, p.body)).collect()
    }
}

impl Pusher for Service {
    fn push<'a>(&'a self, push: &'a Push) -> BoxFuture<'a, Pushed> {
        let mut sent = self.sent.lock().unwrap();
        sent.push(push.clone());
        let answer = (self.script.lock().unwrap())(sent.len());
        Box::pin(async move { answer })
    }
}

struct Speaks;

impl PushRenderer for Speaks {
    fn render(&self, purchase: &Purchase, state: State, _: &Catalog) -> Option<PushText> {
        let (title, body) = (state.code().to_owned(), purchase.reference.clone());
        Some(PushText { title, body, data: BTreeMap::new() })
    }
}

fn later(after_s: Option<u64>) -> Pushed {
    Pushed::Later { reason: "busy".to_owned(), after: after_s.map(Duration::from_secs) }
}

/// Anna with money, logged in on these phones.
async fn anna(phones: &[&str], service: &Arc<Service>) -> (World, Caller) {
    let push = PushParts { pusher: service.clone(), renderer: Arc::new(Speaks) };
    let (world, _) = with_anna_and(Some(push)).await;
    let mut caller = None;
    for phone in phones {
        let ask = LogInForm {
            email: ANNA,
            password: crate::people::PASSWORD,
            push_token: phone,
            environment: Environment::Live,
            from: IpAddr::from([192, 0, 2, 1]),
        };
        let token = world.engine.log_in(ask).await.unwrap();
        let access = world.engine.authenticate_token(Some(&token.text));
        caller = Some(access.await.caller.unwrap());
    }
    let caller = caller.unwrap();
    let paper = BookingNote { reference: "in", by: "rahim", note: "" };
    let (account, environment) = (caller.account, caller.environment);
    let money = Money::new(START, Currency::BDT);
    world.engine.fund(Reason::Deposit, account, environment, money, paper).await.unwrap();
    (world, caller)
}

async fn buy(world: &World, caller: Caller, reference: &str) -> Purchase {
    let request = PurchaseRequest {
        caller,
        scope: ReferenceScope::Rechargely,
        kind: Kind::Recharge,
        product: None,
        ..world.bill(reference, TO_A)
    };
    bought(world.engine.purchase(PurchaseRequest { operator: "GP".to_owned(), ..request }).await)
}

fn owed(world: &World) -> i64 {
    world.home.sql("SELECT count(*) FROM pushes")[0].parse().unwrap()
}

#[tokio::test]
async fn each_device_is_told_each_end_once() {
    let service = Service::answering(|_| Pushed::Accepted);
    let (world, caller) = anna(&["one", "two", ""], &service).await;
    buy(&world, caller, "R1").await;
    world.a.answers(refused(), unknown());
    buy(&world, caller, "R2").await;
    // Whoever buys with keys has webhooks.
    world.buy("R3", TO_A).await;
    assert_eq!(owed(&world), 4);
    world.work_until(|| owed(&world) == 0).await;
    let mut told = service.sent();
    told.sort();
    assert_eq!(told, ["one delivered R1", "one failed R2", "two delivered R1", "two failed R2"]);
    let again =
        world.engine.delivery_again(&caller, ReferenceScope::Rechargely, "R1").await.unwrap();
    assert_eq!(again.0.state, State::Delivered);
    world.work_until(|| owed(&world) == 0).await;
    assert_eq!(service.sent().len(), 6);
    world.assert_sound().await;
}

#[tokio::test]
async fn the_end_of_a_quote_that_nobody_accepts_is_told() {
    let service = Service::answering(|_| Pushed::Accepted);
    let (world, caller) = anna(&["one"], &service).await;
    world.a.on_look_up(|_| known("T. Moyo"));
    let request = PurchaseRequest { caller, ..world.bill("Q1", METER) };
    world.engine.quote(request).await.unwrap();
    assert_eq!(owed(&world), 0, "a price is an answer, not news");
    world.clock.advance(QUARTER);
    world.work_until(|| service.sent().len() == 1).await;
    assert_eq!(service.sent(), ["one rejected Q1"]);
    assert_eq!(owed(&world), 0);
    world.assert_sound().await;
}

#[tokio::test]
async fn trouble_is_tried_again_in_its_time_and_given_up_after_a_day() {
    let service = Service::answering(|n| if n == 1 { later(Some(90)) } else { later(None) });
    let (world, caller) = anna(&["one"], &service).await;
    buy(&world, caller, "R1").await;
    let workers = world.engine.start_workers().await.unwrap();
    until(|| service.sent().len() == 1).await;
    world.clock.advance(Duration::from_secs(80));
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(service.sent().len(), 1, "it was told when to come again");
    for (span_s, count) in [(15, 2), (61, 3), (301, 4), (1_801, 5)] {
        world.clock.advance(Duration::from_secs(span_s));
        until(|| service.sent().len() == count).await;
    }
    world.clock.advance(Duration::from_secs(23 * 3600));
    until(|| owed(&world) == 0).await;
    stop(workers).await;
    assert_eq!(service.sent().len(), 6);
}

#[tokio::test]
async fn a_device_that_is_gone_is_forgotten() {
    let gone = || Pushed::Unregistered { reason: "gone".to_owned() };
    let service = Service::answering(move |_| gone());
    let (world, caller) = anna(&["one"], &service).await;
    buy(&world, caller, "R1").await;
    world.work_until(|| owed(&world) == 0).await;
    until(|| world.engine.devices_of(caller.account).unwrap().is_empty()).await;
    buy(&world, caller, "R2").await;
    assert_eq!(owed(&world), 0);
    assert_eq!(service.sent(), ["one delivered R1"]);
}

/// An app logs in again every hour: what it is owed by then, it is still told.
#[tokio::test]
async fn a_push_outlives_a_new_log_in() {
    let service = Service::answering(|_| Pushed::Accepted);
    let (world, caller) = anna(&["one"], &service).await;
    buy(&world, caller, "R1").await;
    assert_eq!(owed(&world), 1);
    let log_in = async || {
        let ask = LogInForm {
            email: ANNA,
            password: crate::people::PASSWORD,
            push_token: "one",
            environment: Environment::Live,
            from: IpAddr::from([192, 0, 2, 1]),
        };
        let token = world.engine.log_in(ask).await.unwrap();
        world.engine.authenticate_token(Some(&token.text)).await.caller.unwrap()
    };
    let newer = log_in().await;
    world.work_until(|| owed(&world) == 0).await;
    assert_eq!(service.sent(), ["one delivered R1"]);
    // Whoever is in on this phone later is told more, whatever becomes of an older session.
    let devices = || world.engine.devices_of(newer.account).unwrap().len();
    world.engine.log_out(&caller).await.unwrap();
    assert_eq!(devices(), 1);
    world.engine.log_out(&newer).await.unwrap();
    assert_eq!(devices(), 0);
}

#[tokio::test]
async fn what_is_refused_is_not_sent_again() {
    let service = Service::answering(|_| Pushed::Refused { reason: "too big".to_owned() });
    let (world, caller) = anna(&["one"], &service).await;
    buy(&world, caller, "R1").await;
    world.work_until(|| owed(&world) == 0).await;
    assert_eq!(world.engine.devices_of(caller.account).unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_service_nothing_piles_up() {
    let (world, _) = with_anna().await;
    let account = world.engine.users().unwrap().iter().find(|u| u.email == ANNA).unwrap().account;
    let mark = world.home.called("zeroblob(32)", "decode(repeat('00', 32), 'hex')");
    let sealed = world.home.called("x'00'", "decode('00', 'hex')");
    world.home.sql(&format!(
        "INSERT INTO devices (id, account_id, user_id, mark, sealed, seen_at) SELECT 1, account_id, id, {mark}, {sealed}, 0 FROM users WHERE account_id = {account}"
    ));
    let caller = Caller { account, key: None, plan: None, ..world.caller() };
    let environment = caller.environment;
    let paper = BookingNote { reference: "in", by: "rahim", note: "" };
    world.engine.fund(Reason::Deposit, account, environment, bdt(START), paper).await.unwrap();
    buy(&world, caller, "R1").await;
    assert_eq!(owed(&world), 1);
    world.work_until(|| owed(&world) == 0).await;
}
