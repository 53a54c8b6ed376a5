//! Webhooks: events in order, again after a failure, for three days at most. Here is what these
//! tests share.

mod accounts;
mod delivery;
mod endpoints;
mod jumps;
mod retries;

use crate::world::*;
use domain::ids::{EndpointId, KeyId};
use domain::{
    AccountId, BoxFuture, Clock, Delivery, DeliveryResult, Environment, Purchase, PurchaseId,
    State, SuccessEvent, Timestamp, WebhookPost, WebhookSender,
};
use engine::{
    AccountEvent, Caller, Endpoint, LogPage, NewEndpoint, PurchaseRequest, RenderedEvent,
    ReplayScope, WebhookParts, WebhookRenderer, Workers,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HOOK: &str = "https://hooks.example/a";
const HOUR: u64 = 3600;

/// How a receiver responds.
#[derive(Clone)]
enum Response {
    Status(u16),
    Busy(Option<u64>),
    Never,
}

type Script = Arc<dyn Fn(&WebhookPost) -> Response + Send + Sync>;

/// Records what it sends and when; receivers respond by a script.
struct ScriptedSender {
    script: Mutex<Script>,
    sent: Mutex<Vec<(Timestamp, WebhookPost)>>,
    clock: Arc<TestClock>,
    in_flight: Mutex<HashMap<String, usize>>,
    in_flight_max: AtomicUsize,
}

impl ScriptedSender {
    fn new(clock: Arc<TestClock>) -> Arc<ScriptedSender> {
        Arc::new(ScriptedSender {
            script: Mutex::new(Arc::new(|_| Response::Status(200))),
            sent: Mutex::default(),
            clock,
            in_flight: Mutex::default(),
            in_flight_max: AtomicUsize::new(0),
        })
    }

    fn answers(&self, script: impl Fn(&WebhookPost) -> Response + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    fn always(&self, response: Response) {
        self.answers(move |_| response.clone());
    }

    fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    /// The bodies that were sent, in order.
    fn bodies(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|(_, p)| String::from_utf8(p.body.clone()).unwrap()).collect()
    }

    /// When each was sent, in seconds since [`NOW`].
    fn times_s(&self) -> Vec<u64> {
        self.sent.lock().unwrap().iter().map(|(at, _)| at.since(NOW).as_secs()).collect()
    }

    fn last(&self) -> WebhookPost {
        self.sent.lock().unwrap().last().unwrap().1.clone()
    }
}

impl WebhookSender for ScriptedSender {
    fn deliver<'a>(&'a self, post: &'a WebhookPost) -> BoxFuture<'a, Delivery> {
        self.sent.lock().unwrap().push((Clock::now(&*self.clock), post.clone()));
        let response = self.script.lock().unwrap().clone()(post);
        let url = post.url.clone();
        Box::pin(async move {
            let in_flight = {
                let mut in_flight = self.in_flight.lock().unwrap();
                let count = in_flight.entry(url.clone()).or_default();
                *count += 1;
                *count
            };
            self.in_flight_max.fetch_max(in_flight, Ordering::SeqCst);
            let (result, status) = match response {
                Response::Status(410) => (DeliveryResult::Gone, Some(410)),
                Response::Status(status @ 200..=299) => (DeliveryResult::Accepted, Some(status)),
                Response::Status(status) => (DeliveryResult::Failed, Some(status)),
                Response::Busy(after_s) => {
                    (DeliveryResult::Busy { after: after_s.map(Duration::from_secs) }, Some(429))
                }
                Response::Never => std::future::pending().await,
            };
            *self.in_flight.lock().unwrap().get_mut(&url).unwrap() -= 1;
            Delivery { result, status, took: Duration::from_millis(7), text: "hm".to_owned() }
        })
    }
}

/// The body is the event, the purchase's reference and its state.
struct PlainRenderer;

const EVENTS: [&str; 6] = ["x.success", "x.approved", "x.rejected", "x.test", "x.low", "x.paid"];

impl WebhookRenderer for PlainRenderer {
    fn render(&self, purchase: &Purchase, success: SuccessEvent) -> Vec<RenderedEvent> {
        let rendered = |n: usize, sequence| RenderedEvent {
            event: EVENTS[n],
            sequence,
            body: format!("{} {} {}", EVENTS[n], purchase.reference, purchase.state.code()),
        };
        match (purchase.state, success) {
            (State::Delivered, SuccessEvent::OnFinal) => vec![rendered(0, 1), rendered(1, 2)],
            (State::Delivered, SuccessEvent::OnAccept) => vec![rendered(1, 2)],
            (State::Failed | State::Rejected, _) => vec![rendered(2, 1)],
            (State::Refunded, _) => vec![rendered(2, 3)],
            (State::Sent, SuccessEvent::OnAccept) => vec![rendered(0, 1)],
            _ => Vec::new(),
        }
    }

    fn render_test(&self, _: &Endpoint, _: Timestamp) -> RenderedEvent {
        RenderedEvent { event: EVENTS[3], sequence: 1, body: "x.test".to_owned() }
    }

    fn render_account(
        &self,
        account: AccountId,
        event: AccountEvent<'_>,
        _: Timestamp,
    ) -> RenderedEvent {
        let (event, about) = match event {
            AccountEvent::LowBalance { available, below } => {
                (EVENTS[4], format!("{available} below {below}"))
            }
            AccountEvent::DepositPaid { amount, rail, reference } => {
                (EVENTS[5], format!("{amount} by {rail} {reference}"))
            }
        };
        RenderedEvent { event, sequence: 1, body: format!("{event} {account} {about}") }
    }

    fn event_names(&self) -> &'static [&'static str] {
        &EVENTS
    }
}

/// A world with a webhook sender, whose merchant has a key pair.
struct WebhookWorld {
    world: World,
    sender: Arc<ScriptedSender>,
    key: KeyId,
}

fn services(sender: &Arc<ScriptedSender>) -> Services {
    let webhooks = WebhookParts {
        sender: sender.clone(),
        renderer: Arc::new(PlainRenderer),
        allow_loopback: true,
        time_divisor: 1,
    };
    Services { webhooks: Some(webhooks), ..Services::default() }
}

async fn webhook_world() -> WebhookWorld {
    let clock = Arc::new(TestClock::default());
    let sender = ScriptedSender::new(clock.clone());
    let world = world_with(clock, services(&sender)).await;
    let made = world.engine.make_key(world.merchant, Environment::Live).await;
    WebhookWorld { key: made.unwrap().0, world, sender }
}

impl WebhookWorld {
    fn request(&self, reference: &str, recipient: &str, url: Option<&str>) -> PurchaseRequest {
        let caller = Caller { key: Some(self.key), ..self.world.caller() };
        let webhook_url = url.map(str::to_owned);
        PurchaseRequest { caller, webhook_url, ..self.world.request(reference, recipient) }
    }

    async fn buy(&self, reference: &str, url: Option<&str>) -> Purchase {
        bought(self.world.engine.purchase(self.request(reference, TO_A, url)).await)
    }

    async fn own_url(&self, url: &str) {
        let url = Some(url.to_owned());
        let change = |endpoint: &mut Endpoint| endpoint.url = url;
        self.world.engine.change_endpoint(EndpointId(self.key.0), change).await.unwrap();
    }

    async fn endpoint(&self, url: &str, events: &[&str]) -> EndpointId {
        let new = NewEndpoint {
            account: self.world.merchant,
            environment: Environment::Live,
            url,
            events: events.iter().map(|e| (*e).to_owned()).collect(),
        };
        self.world.engine.add_endpoint(new).await.unwrap().0
    }

    async fn start(&self) -> Workers {
        self.world.engine.start_workers().await.unwrap()
    }

    /// The log of a purchase: event, state and number of tries of each webhook.
    fn log(&self, id: PurchaseId) -> Vec<String> {
        let webhooks = self.world.engine.webhooks_of(id.number()).unwrap();
        webhooks
            .iter()
            .map(|(w, tries)| format!("{} {} {}", w.event, w.state, tries.len()))
            .collect()
    }

    fn pending(&self) -> usize {
        let page = LogPage {
            account: self.world.merchant,
            since: NOW,
            only_pending: true,
            limit: 100_000,
        };
        self.world.engine.webhook_log(page).unwrap().len()
    }

    /// Makes the worker look for due webhooks now: its idle wait is of the machine's clock.
    async fn wake_worker(&self) {
        let nothing = ReplayScope::Since(AccountId(99), NOW, None);
        assert_eq!(self.world.engine.replay_webhooks(nothing).await.unwrap(), 0);
    }

    /// Advances the clock by `step` at a time until this many were sent.
    async fn advance_until(&self, count: usize, step: Duration) {
        for _ in 0..100_000 {
            if self.sender.count() >= count {
                return;
            }
            self.world.clock.advance(step);
            self.wake_worker().await;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        panic!("only {} were sent", self.sender.count());
    }
}
