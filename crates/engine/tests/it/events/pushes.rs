//! Pushes to devices: each event once to each device, again after a failure, never to a device that
//! is gone.

use crate::logins::{ANNA, PASSWORD, with_anna};
use crate::purchases::bills::{METER, known};
use crate::purchases::quotes::QUARTER;
use crate::world::*;
use domain::{
    BoxFuture, Catalog, Environment, Kind, Purchase, Push, Pushed, Pusher, Reason, ReferenceScope,
    State,
};
use engine::{Caller, LogInForm, PurchaseRequest, PushParts, PushRenderer, PushText};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Script = Box<dyn Fn(usize) -> Pushed + Send>;

/// A push service that answers by a script; its argument is the number of the call.
struct ScriptedPusher {
    sent: Mutex<Vec<Push>>,
    script: Mutex<Script>,
}

impl ScriptedPusher {
    fn answering(script: impl Fn(usize) -> Pushed + Send + 'static) -> Arc<ScriptedPusher> {
        Arc::new(ScriptedPusher { sent: Mutex::default(), script: Mutex::new(Box::new(script)) })
    }

    /// Device token, title and body of each.
    fn sent(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|p| format!("{} {} {}", p.device_token, p.title, p.body)).collect()
    }
}

impl Pusher for ScriptedPusher {
    fn push<'a>(&'a self, push: &'a Push) -> BoxFuture<'a, Pushed> {
        let mut sent = self.sent.lock().unwrap();
        sent.push(push.clone());
        let answer = (self.script.lock().unwrap())(sent.len());
        Box::pin(async move { answer })
    }
}

/// The title is the state, the body the purchase's reference.
struct PlainRenderer;

impl PushRenderer for PlainRenderer {
    fn render(&self, purchase: &Purchase, state: State, _: &Catalog) -> Option<PushText> {
        let (title, body) = (state.code().to_owned(), purchase.reference.clone());
        Some(PushText { title, body, data: BTreeMap::new() })
    }
}

fn later(after_s: Option<u64>) -> Pushed {
    Pushed::Later { reason: "busy".to_owned(), after: after_s.map(Duration::from_secs) }
}

/// Anna with money in her wallet, logged in on these phones.
async fn anna(phones: &[&str], pusher: &Arc<ScriptedPusher>) -> (World, Caller) {
    let push = PushParts { pusher: pusher.clone(), renderer: Arc::new(PlainRenderer) };
    let (world, _) = with_anna(Some(push)).await;
    let mut caller = None;
    for phone in phones {
        caller = Some(log_in(&world, phone).await);
    }
    let caller = caller.unwrap();
    let note = Note { reference: "in", note: "" };
    let (account, environment) = (caller.account, caller.environment);
    world.engine.fund(Reason::Deposit, account, environment, bdt(START), note).await.unwrap();
    (world, caller)
}

async fn log_in(world: &World, push_token: &str) -> Caller {
    let request = LogInForm {
        email: ANNA,
        password: PASSWORD,
        push_token,
        environment: Environment::Live,
        from: IpAddr::from([192, 0, 2, 1]),
    };
    let token = world.engine.log_in(request).await.unwrap();
    world.engine.authenticate_token(Some(&token.text)).await.caller.unwrap()
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

fn pending(world: &World) -> i64 {
    world.database.sql("SELECT count(*) FROM pushes")[0].parse().unwrap()
}

#[tokio::test]
async fn each_device_gets_each_final_state_once() {
    let pusher = ScriptedPusher::answering(|_| Pushed::Accepted);
    let (world, caller) = anna(&["one", "two", ""], &pusher).await;
    buy(&world, caller, "R1").await;
    world.a.answers(refused(), unknown());
    buy(&world, caller, "R2").await;
    // A purchase by key pair has webhooks instead.
    world.buy("R3", TO_A).await;
    assert_eq!(pending(&world), 4);
    world.work_until(|| pending(&world) == 0).await;
    let mut sent = pusher.sent();
    sent.sort();
    assert_eq!(sent, ["one delivered R1", "one failed R2", "two delivered R1", "two failed R2"]);
    let again =
        world.engine.delivery_again(&caller, ReferenceScope::Rechargely, "R1").await.unwrap();
    assert_eq!(again.0.state, State::Delivered);
    world.work_until(|| pending(&world) == 0).await;
    assert_eq!(pusher.sent().len(), 6);
    world.assert_sound().await;
}

#[tokio::test]
async fn an_expired_quote_is_pushed() {
    let pusher = ScriptedPusher::answering(|_| Pushed::Accepted);
    let (world, caller) = anna(&["one"], &pusher).await;
    world.a.on_look_up(|_| known("T. Moyo"));
    let request = PurchaseRequest { caller, ..world.bill("Q1", METER) };
    world.engine.quote(request).await.unwrap();
    assert_eq!(pending(&world), 0, "a quote is an answer, not an event");
    world.clock.advance(QUARTER);
    world.work_until(|| pusher.sent().len() == 1).await;
    assert_eq!(pusher.sent(), ["one rejected Q1"]);
    assert_eq!(pending(&world), 0);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_failed_push_is_repeated_by_a_schedule_for_a_day() {
    let pusher = ScriptedPusher::answering(|n| if n == 1 { later(Some(90)) } else { later(None) });
    let (world, caller) = anna(&["one"], &pusher).await;
    buy(&world, caller, "R1").await;
    let workers = world.engine.start_workers().await.unwrap();
    until(|| pusher.sent().len() == 1).await;
    world.clock.advance(Duration::from_secs(80));
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(pusher.sent().len(), 1, "the service said when to try again");
    for (span_s, count) in [(15, 2), (61, 3), (301, 4), (1_801, 5)] {
        world.clock.advance(Duration::from_secs(span_s));
        until(|| pusher.sent().len() == count).await;
    }
    world.clock.advance(Duration::from_secs(23 * 3600));
    until(|| pending(&world) == 0).await;
    stop(workers).await;
    assert_eq!(pusher.sent().len(), 6);
}

#[tokio::test]
async fn a_device_that_is_gone_is_deleted() {
    let gone = || Pushed::Unregistered { reason: "gone".to_owned() };
    let pusher = ScriptedPusher::answering(move |_| gone());
    let (world, caller) = anna(&["one"], &pusher).await;
    buy(&world, caller, "R1").await;
    world.work_until(|| pending(&world) == 0).await;
    until(|| world.engine.devices_of(caller.account).unwrap().is_empty()).await;
    buy(&world, caller, "R2").await;
    assert_eq!(pending(&world), 0);
    assert_eq!(pusher.sent(), ["one delivered R1"]);
}

/// An app logs in again every hour: pushes that are pending by then are still sent.
#[tokio::test]
async fn a_push_survives_a_new_log_in() {
    let pusher = ScriptedPusher::answering(|_| Pushed::Accepted);
    let (world, caller) = anna(&["one"], &pusher).await;
    buy(&world, caller, "R1").await;
    assert_eq!(pending(&world), 1);
    let newer = log_in(&world, "one").await;
    world.work_until(|| pending(&world) == 0).await;
    assert_eq!(pusher.sent(), ["one delivered R1"]);
    // The device belongs to its newest session: ending an older one does not delete it.
    let devices = || world.engine.devices_of(newer.account).unwrap().len();
    world.engine.log_out(&caller).await.unwrap();
    assert_eq!(devices(), 1);
    world.engine.log_out(&newer).await.unwrap();
    assert_eq!(devices(), 0);
}

#[tokio::test]
async fn what_is_refused_is_not_sent_again() {
    let pusher = ScriptedPusher::answering(|_| Pushed::Refused { reason: "too big".to_owned() });
    let (world, caller) = anna(&["one"], &pusher).await;
    buy(&world, caller, "R1").await;
    world.work_until(|| pending(&world) == 0).await;
    assert_eq!(world.engine.devices_of(caller.account).unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_push_service_no_push_stays_pending() {
    let (world, _) = with_anna(None).await;
    let account = world.engine.users().unwrap().iter().find(|u| u.email == ANNA).unwrap().account;
    let mark = world.database.dialect("zeroblob(32)", "decode(repeat('00', 32), 'hex')");
    let sealed = world.database.dialect("x'00'", "decode('00', 'hex')");
    world.database.sql(&format!(
        "INSERT INTO devices (id, account_id, user_id, mark, sealed, seen_at)
         SELECT 1, account_id, id, {mark}, {sealed}, 0 FROM users WHERE account_id = {account}"
    ));
    let caller = Caller {
        account,
        key: None,
        session: Some(domain::ids::SessionId(1)),
        plan: None,
        ..world.caller()
    };
    let environment = caller.environment;
    let note = Note { reference: "in", note: "" };
    world.engine.fund(Reason::Deposit, account, environment, bdt(START), note).await.unwrap();
    buy(&world, caller, "R1").await;
    assert_eq!(pending(&world), 1);
    world.work_until(|| pending(&world) == 0).await;
}
