//! What accounts' servers are told: each event in order, again on trouble, for three days at most.

use crate::world::*;
use domain::account::{AccountId, Environment};
use domain::ids::{EndpointId, KeyId};
use domain::purchase::Purchase;
use domain::purchase::lifecycle::State;
use domain::upstream::BoxFuture;
use domain::webhook::schedule::SuccessEvent;
use domain::webhook::{Delivery, DeliveryResult, WebhookPost, WebhookSender};
use domain::{Clock, PurchaseId, Refusal, Timestamp};
use engine::{
    Caller, Endpoint, LogPage, NewEndpoint, PurchaseRequest, RenderedEvent, ReplayScope,
    WebhookParts, WebhookRenderer, Workers,
};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Change, Done, HaltChange};
use tokio::sync::Semaphore;

const HOOK: &str = "https://hooks.example/a";
const HOUR: u64 = 3600;

/// What a receiver answers.
#[derive(Clone)]
enum Says {
    Status(u16),
    Busy(Option<u64>),
    Nothing,
}

type Script = Arc<dyn Fn(&WebhookPost) -> Says + Send + Sync>;

/// A courier that writes down what it takes, and when.
struct Carrier {
    script: Mutex<Script>,
    sent: Mutex<Vec<(Timestamp, WebhookPost)>>,
    clock: Arc<TestClock>,
    out: Mutex<HashMap<String, usize>>,
    most_out: AtomicUsize,
}

impl Carrier {
    fn new(clock: Arc<TestClock>) -> Arc<Carrier> {
        Arc::new(Carrier {
            script: Mutex::new(Arc::new(|_| Says::Status(200))),
            sent: Mutex::default(),
            clock,
            out: Mutex::default(),
            most_out: AtomicUsize::new(0),
        })
    }

    fn answers(&self, script: impl Fn(&WebhookPost) -> Says + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    fn always(&self, says: Says) {
        self.answers(move |_| says.clone());
    }

    fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    /// The bodies that were sent, in order.
    fn bodies(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|(_, p)| String::from_utf8(p.body.clone()).unwrap()).collect()
    }

    /// When each was sent, in seconds since the start.
    fn times_s(&self) -> Vec<u64> {
        self.sent.lock().unwrap().iter().map(|(at, _)| at.since(NOW).as_secs()).collect()
    }

    fn last(&self) -> WebhookPost {
        self.sent.lock().unwrap().last().unwrap().1.clone()
    }
}

impl WebhookSender for Carrier {
    fn deliver<'a>(&'a self, post: &'a WebhookPost) -> BoxFuture<'a, Delivery> {
        self.sent.lock().unwrap().push((Clock::now(&*self.clock), post.clone()));
        let says = self.script.lock().unwrap().clone()(post);
        let url = post.url.clone();
        Box::pin(async move {
            let now_out = {
                let mut out = self.out.lock().unwrap();
                let count = out.entry(url.clone()).or_default();
                *count += 1;
                *count
            };
            self.most_out.fetch_max(now_out, Ordering::SeqCst);
            let (verdict, status) = match says {
                Says::Status(410) => (DeliveryResult::Gone, Some(410)),
                Says::Status(status @ 200..=299) => (DeliveryResult::Accepted, Some(status)),
                Says::Status(status) => (DeliveryResult::Failed, Some(status)),
                Says::Busy(after_s) => {
                    (DeliveryResult::Busy { after: after_s.map(Duration::from_secs) }, Some(429))
                }
                Says::Nothing => std::future::pending().await,
            };
            *self.out.lock().unwrap().get_mut(&url).unwrap() -= 1;
            Delivery {
                result: verdict,
                status,
                took: Duration::from_millis(7),
                text: "hm".to_owned(),
            }
        })
    }
}

/// Speaks plainly: the event, the purchase's reference and its state.
struct Speaks;

const EVENTS: [&str; 4] = ["x.success", "x.approved", "x.rejected", "x.test"];

impl WebhookRenderer for Speaks {
    fn tell(&self, purchase: &Purchase, success: SuccessEvent) -> Vec<RenderedEvent> {
        let tale = |n: usize, sequence| RenderedEvent {
            event: EVENTS[n],
            sequence,
            body: format!("{} {} {}", EVENTS[n], purchase.reference, purchase.state.code()),
        };
        match (purchase.state, success) {
            (State::Delivered, SuccessEvent::OnFinal) => vec![tale(0, 1), tale(1, 2)],
            (State::Delivered, SuccessEvent::OnAccept) => vec![tale(1, 2)],
            (State::Failed | State::Rejected, _) => vec![tale(2, 1)],
            (State::Refunded, _) => vec![tale(2, 3)],
            (State::Sent, SuccessEvent::OnAccept) => vec![tale(0, 1)],
            _ => Vec::new(),
        }
    }

    fn test(&self, _: &Endpoint, _: Timestamp) -> RenderedEvent {
        RenderedEvent { event: EVENTS[3], sequence: 1, body: "x.test".to_owned() }
    }

    fn events(&self) -> &'static [&'static str] {
        &EVENTS
    }
}

/// A world whose merchant has a key pair, and a courier.
struct Post {
    world: World,
    carrier: Arc<Carrier>,
    key: KeyId,
}

fn services(carrier: &Arc<Carrier>) -> Services {
    let webhooks = WebhookParts {
        sender: carrier.clone(),
        renderer: Arc::new(Speaks),
        allow_loopback: true,
        time_divisor: 1,
    };
    Services { webhooks: Some(webhooks), ..Services::default() }
}

async fn post() -> Post {
    let clock = Arc::new(TestClock::default());
    let carrier = Carrier::new(clock.clone());
    let world = world_with(clock, services(&carrier)).await;
    let made = world.engine.make_key(world.merchant, Environment::Live).await;
    Post { key: made.unwrap().0, world, carrier }
}

impl Post {
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

    /// What is in the log of a purchase: event, state, tries in vain.
    fn log(&self, id: PurchaseId) -> Vec<String> {
        let told = self.world.engine.webhooks_of(id).unwrap();
        told.iter().map(|(w, tries)| format!("{} {} {}", w.event, w.state, tries.len())).collect()
    }

    fn owed(&self) -> usize {
        let page = LogPage {
            account: self.world.merchant,
            since: NOW,
            only_pending: true,
            limit: 100_000,
        };
        self.world.engine.webhook_log(page).unwrap().len()
    }

    /// Has the worker look what is due: it sleeps by the machine's clock.
    async fn look(&self) {
        let nothing = ReplayScope::Since(AccountId(99), NOW, None);
        assert_eq!(self.world.engine.replay_webhooks(nothing).await.unwrap(), 0);
    }

    /// Lets the clock go on, a little at a time, until this many were sent.
    async fn advance_until(&self, count: usize, step: Duration) {
        for _ in 0..100_000 {
            if self.carrier.count() >= count {
                return;
            }
            self.world.clock.advance(step);
            self.look().await;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        panic!("only {} were sent", self.carrier.count());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_told_what_and_where() {
    let post = post().await;
    let workers = post.start().await;
    // Nobody asked for anything.
    let silent = post.buy("R0", None).await;
    assert_eq!(post.log(silent.key.id), [""; 0]);
    // The request's address wins over the key's.
    post.own_url("https://own.example/").await;
    post.buy("R1", Some(HOOK)).await;
    until(|| post.carrier.count() == 2).await;
    assert_eq!(post.carrier.last().url, HOOK);
    post.buy("R2", None).await;
    until(|| post.carrier.count() == 4).await;
    assert_eq!(post.carrier.last().url, "https://own.example/");
    // An endpoint of the account hears what it wants; no address hears anything twice.
    post.endpoint("https://more.example/", &["x.approved"]).await;
    post.endpoint("https://own.example/", &[]).await;
    post.buy("R3", None).await;
    until(|| post.carrier.count() == 7).await;
    let mut heard: Vec<(String, String)> = {
        let sent = post.carrier.sent.lock().unwrap();
        let text = |p: &WebhookPost| String::from_utf8(p.body.clone()).unwrap();
        sent[4..].iter().map(|(_, p)| (p.url.clone(), text(p))).collect()
    };
    heard.sort();
    let pair = |url: &str, body: &str| (url.to_owned(), body.to_owned());
    assert_eq!(
        heard,
        [
            pair("https://more.example/", "x.approved R3 delivered"),
            pair("https://own.example/", "x.approved R3 delivered"),
            pair("https://own.example/", "x.success R3 delivered"),
        ]
    );
    // Another account's key, another environment: nobody else hears of it.
    let other = post.world.account("other").await;
    let caller = Caller { key: None, ..post.world.caller_of(other) };
    bought(
        post.world
            .engine
            .purchase(PurchaseRequest { caller, ..post.request("R4", TO_A, None) })
            .await,
    );
    let caller = Caller { environment: Environment::Sandbox, key: None, ..post.world.caller() };
    bought(
        post.world
            .engine
            .purchase(PurchaseRequest { caller, ..post.request("R5", TO_A, None) })
            .await,
    );
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(post.carrier.count(), 7);
    stop(workers).await;
    assert_eq!(post.owed(), 0);
    post.world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_may_hear_of_a_success_when_it_is_accepted() {
    let post = post().await;
    let on_accept = |e: &mut Endpoint| e.success_event = SuccessEvent::OnAccept;
    post.world.engine.change_endpoint(EndpointId(post.key.0), on_accept).await.unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    post.world.a.on_submit(move |_| Reply::When(held.clone(), delivered()));
    let workers = post.start().await;
    let (engine, request) = (post.world.engine.clone(), post.request("R1", TO_A, Some(HOOK)));
    let buying = tokio::spawn(async move { engine.purchase(request).await });
    until(|| post.carrier.count() == 1).await;
    gate.add_permits(1);
    let id = bought(buying.await.unwrap()).key.id;
    until(|| post.carrier.count() == 2).await;
    stop(workers).await;
    assert_eq!(post.carrier.bodies(), ["x.success R1 sent", "x.approved R1 delivered"]);
    assert_eq!(post.log(id), ["x.success taken 1", "x.approved taken 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_owed_is_told_as_it_was() {
    let post = post().await;
    post.carrier.always(Says::Status(500));
    let workers = post.start().await;
    let id = post.buy("R1", Some(HOOK)).await.key.id;
    until(|| post.carrier.count() == 1).await;
    post.world.engine.refund(id, "rahim", "a mistake").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(post.carrier.count(), 1, "what came later waits for the first");
    post.carrier.always(Says::Status(204));
    post.advance_until(4, Duration::from_secs(1)).await;
    until(|| post.owed() == 0).await;
    stop(workers).await;
    let told = [
        "x.success R1 delivered",
        "x.success R1 delivered",
        "x.approved R1 delivered",
        "x.rejected R1 refunded",
    ];
    assert_eq!(post.carrier.bodies(), told);
    let sent = post.carrier.sent.lock().unwrap();
    let header = |n: usize, name: &str| {
        let headers = &sent[n].1.headers;
        headers.iter().find(|(h, _)| *h == name).unwrap().1.clone()
    };
    assert_eq!(header(0, "webhook-id"), header(1, "webhook-id"), "a repeat has the same id");
    assert_eq!(header(1, "webhook-id"), format!("evt_{id}_success"));
    assert_ne!(header(0, "webhook-timestamp"), header(1, "webhook-timestamp"));
    let sequence: Vec<String> = (0..4).map(|n| header(n, "saldo-sequence")).collect();
    assert_eq!(sequence, ["1", "1", "2", "3"]);
}

/// The schedule of RELIABILITY P8, within a fifth either way, to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_go_on_for_three_days() {
    let post = post().await;
    post.world.a.answers(refused(), unknown());
    post.carrier.always(Says::Status(302));
    let workers = post.start().await;
    let id = post.buy("R1", Some(HOOK)).await.key.id;
    let planned = [5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR, 24 * HOUR];
    for (n, wait) in planned.iter().enumerate() {
        until(|| post.carrier.count() == n + 1).await;
        post.advance_until(n + 2, Duration::from_secs((wait / 100).max(1))).await;
    }
    // The last ones are a day apart, as many as chance makes them.
    for _ in 0..400 {
        post.world.clock.advance(Duration::from_secs(HOUR / 2));
        post.look().await;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let times = post.carrier.times_s();
    for (n, wait) in planned.iter().enumerate() {
        let (took, slack) = (times[n + 1] - times[n], wait / 50 + 10);
        assert!(
            (wait * 4 / 5 - 1..=wait * 6 / 5 + slack).contains(&took),
            "{n}: {took} for {wait}"
        );
    }
    let span = *times.last().unwrap();
    assert!((72 * HOUR..=101 * HOUR).contains(&span), "{} h", span / HOUR);
    assert_eq!(post.owed(), 0);
    let tries = times.len();
    assert_eq!(post.log(id), [format!("x.rejected given_up {tries}")]);
    // It is told again if somebody asks for it.
    post.carrier.always(Says::Status(200));
    let which = ReplayScope::One(id, "rejected".to_owned());
    assert_eq!(post.world.engine.replay_webhooks(which).await.unwrap(), 1);
    until(|| post.owed() == 0).await;
    stop(workers).await;
    assert_eq!(post.log(id), [format!("x.rejected taken {}", tries + 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_receiver_is_left_alone_as_long_as_it_asks() {
    let post = post().await;
    post.world.a.answers(refused(), unknown());
    post.carrier.always(Says::Busy(Some(9)));
    let workers = post.start().await;
    post.buy("R1", Some(HOOK)).await;
    until(|| post.carrier.count() == 1).await;
    post.advance_until(2, Duration::from_millis(500)).await;
    post.carrier.always(Says::Busy(Some(100_000)));
    post.advance_until(3, Duration::from_secs(2)).await;
    post.carrier.always(Says::Status(200));
    post.advance_until(4, Duration::from_secs(10)).await;
    stop(workers).await;
    let times = post.carrier.times_s();
    assert!((9..=12).contains(&times[1]), "{times:?}");
    // At most twice the step.
    let (second, third) = (times[2] - times[1], times[3] - times[2]);
    assert!((240..=370).contains(&second), "{second}");
    assert!((3600..=3700).contains(&third), "{third}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_after_a_410() {
    let post = post().await;
    post.carrier.always(Says::Status(410));
    let workers = post.start().await;
    let first = post.buy("R1", Some(HOOK)).await.key.id;
    until(|| post.owed() == 0).await;
    assert_eq!(post.carrier.count(), 1);
    assert_eq!(post.log(first), ["x.success off 1", "x.approved off 0"]);
    let second = post.buy("R2", Some(HOOK)).await.key.id;
    post.carrier.always(Says::Status(200));
    // Elsewhere it goes on.
    post.buy("R3", Some("https://hooks.example/b")).await;
    until(|| post.carrier.count() == 3).await;
    assert!(post.log(second).iter().all(|line| line.ends_with("off 0")), "{:?}", post.log(second));
    // After a start it is still off; an endpoint of that address can be switched on.
    let id = post.endpoint(HOOK, &[]).await;
    let view = |post: &Post| {
        let views = post.world.engine.endpoints_of(post.world.merchant).unwrap();
        views.into_iter().find(|v| v.endpoint.id == id).unwrap()
    };
    assert!(view(&post).health.unwrap().off.is_some());
    post.world.engine.switch_on(id).await.unwrap();
    assert_eq!(view(&post).health, None);
    let since = ReplayScope::Since(post.world.merchant, NOW, None);
    assert!(post.world.engine.replay_webhooks(since).await.unwrap() >= 6);
    until(|| post.owed() == 0).await;
    stop(workers).await;
    assert_eq!(post.log(second)[0], "x.success taken 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_only_fails_is_switched_off_after_five_days() {
    let post = post().await;
    post.world.a.answers(refused(), unknown());
    post.carrier.always(Says::Status(500));
    post.own_url(HOOK).await;
    let workers = post.start().await;
    let off = |post: &Post| {
        let views = post.world.engine.endpoints_of(post.world.merchant).unwrap();
        views[0].health.clone().and_then(|health| health.off)
    };
    let mut day = 0;
    while off(&post).is_none() {
        assert!(day < 15, "never switched off");
        let before = post.carrier.count();
        post.buy(&format!("R{day}"), None).await;
        // Switched off by another try since it was looked at, it is sent nothing more.
        for _ in 0..5_000 {
            if post.carrier.count() > before || off(&post).is_some() {
                break;
            }
            post.world.clock.advance(Duration::from_secs(HOUR));
            post.look().await;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        post.world.clock.advance(Duration::from_secs(12 * HOUR));
        tokio::time::sleep(Duration::from_millis(50)).await;
        day += 1;
    }
    let (at, why) = off(&post).unwrap();
    assert!(at.since(NOW) >= Duration::from_secs(5 * 24 * HOUR), "{at:?}");
    assert!(why.contains("five days"), "{why}");
    let before = post.carrier.count();
    post.buy("LAST", None).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(post.carrier.count(), before);
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_three_refusals_the_next_event_goes() {
    let post = post().await;
    post.carrier
        .answers(|post| Says::Status(if post.body.starts_with(b"x.success") { 404 } else { 200 }));
    let workers = post.start().await;
    let id = post.buy("R1", Some(HOOK)).await.key.id;
    until(|| post.carrier.count() == 1).await;
    post.advance_until(2, Duration::from_secs(1)).await;
    assert!(!post.carrier.bodies().iter().any(|body| body.starts_with("x.approved")));
    post.advance_until(4, Duration::from_secs(4)).await;
    stop(workers).await;
    let bodies = post.carrier.bodies();
    assert_eq!(bodies[2..4], ["x.success R1 delivered", "x.approved R1 delivered"]);
    assert_eq!(post.log(id).len(), 2);
}

/// The slow one answers nothing; the fast one waits for nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_receiver_delays_no_other() {
    const EACH: usize = 300;
    let post = post().await;
    let workers = post.start().await;
    let run = async |tag: &str, with_slow: bool| {
        let before = post.carrier.count();
        let fast = |p: &WebhookPost| p.url.contains("fast");
        let began = tokio::time::Instant::now();
        for n in 0..EACH {
            if with_slow {
                post.buy(&format!("S{tag}{n}"), Some("https://slow.example/")).await;
            }
            post.buy(&format!("F{tag}{n}"), Some("https://127.0.0.1/fast")).await;
        }
        let bought = began.elapsed();
        let told = |post: &Post| {
            let sent = post.carrier.sent.lock().unwrap();
            sent[before..].iter().filter(|(_, p)| fast(p)).count()
        };
        until(|| told(&post) == 2 * EACH).await;
        began.elapsed().saturating_sub(bought)
    };
    run("a", false).await;
    post.carrier
        .answers(|p| if p.url.contains("slow") { Says::Nothing } else { Says::Status(200) });
    // All that is left once the last is bought are a few that are on their way.
    let left = run("b", true).await;
    assert!(left < Duration::from_secs(10), "{left:?}");
    assert!(post.carrier.most_out.load(Ordering::SeqCst) <= 32);
    drop(workers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_replaced_without_a_gap() {
    let post = post().await;
    let workers = post.start().await;
    let signatures = |post: &WebhookPost| {
        let header = post.headers.iter().find(|(name, _)| *name == "webhook-signature").unwrap();
        header.1.split(' ').count()
    };
    let first = post.world.engine.webhook_secret_of(post.key).unwrap();
    post.buy("R1", Some(HOOK)).await;
    until(|| post.carrier.count() == 2).await;
    assert_eq!(signatures(&post.carrier.last()), 1);
    let id = EndpointId(post.key.0);
    let second = post.world.engine.rotate_secret(id, Duration::from_secs(HOUR)).await.unwrap();
    assert!(first != second && second.starts_with("whsec_"));
    assert_eq!(post.world.engine.webhook_secret_of(post.key).unwrap(), second);
    post.buy("R2", Some(HOOK)).await;
    until(|| post.carrier.count() == 4).await;
    assert_eq!(signatures(&post.carrier.last()), 2);
    post.world.clock.advance(Duration::from_secs(HOUR - 1));
    post.buy("R3", Some(HOOK)).await;
    until(|| post.carrier.count() == 6).await;
    assert_eq!(signatures(&post.carrier.last()), 2);
    post.world.clock.advance(Duration::from_secs(1));
    post.buy("R4", Some(HOOK)).await;
    until(|| post.carrier.count() == 8).await;
    assert_eq!(signatures(&post.carrier.last()), 1, "it counts no longer");
    post.world.engine.rotate_secret(id, Duration::ZERO).await.unwrap();
    post.buy("R5", Some(HOOK)).await;
    until(|| post.carrier.count() == 10).await;
    assert_eq!(signatures(&post.carrier.last()), 1);
    stop(workers).await;
}

/// A secret opens in its own row only, and nothing of it lies about (RELIABILITY K1, O8).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_sealed_to_their_rows() {
    let post = post().await;
    let one = post.endpoint("https://one.example/", &[]).await;
    let two = post.endpoint("https://two.example/", &[]).await;
    let secret = post.world.engine.rotate_secret(one, Duration::ZERO).await.unwrap();
    let base64 = secret.trim_start_matches("whsec_");
    let home = &post.world.home;
    let bytes = home.bytes();
    assert!(!bytes.windows(20).any(|w| w == &base64.as_bytes()[..20]));
    home.sql(&format!(
        "UPDATE endpoints SET secret = (SELECT secret FROM endpoints WHERE id = {one}), changed = 1000 WHERE id = {two}"
    ));
    let (home, clock, merchant) = post.world.closed();
    drop(post.carrier);
    until(|| home.is_free()).await;
    let carrier = Carrier::new(clock.clone());
    let world = World { merchant, ..started_with(home, clock, services(&carrier)) };
    let workers = world.engine.start_workers().await.unwrap();
    world.engine.send_test(two).await.unwrap();
    world.engine.send_test(one).await.unwrap();
    until(|| carrier.count() == 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((carrier.count(), carrier.last().url.as_str()), (1, "https://one.example/"));
    stop(workers).await;
}

/// Killed with everything in hand: it is told at the next start, in order, by the same ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_in_hand_is_told_after_a_start() {
    let post = post().await;
    for n in 0..50 {
        post.buy(&format!("R{n}"), Some("https://127.0.0.1/a")).await;
    }
    assert_eq!(post.carrier.count(), 0, "no worker runs");
    let (home, clock, merchant) = post.world.closed();
    until(|| home.is_free()).await;
    let carrier = Carrier::new(clock.clone());
    let world = World { merchant, ..started_with(home, clock, services(&carrier)) };
    let workers = world.engine.start_workers().await.unwrap();
    until(|| carrier.count() == 100).await;
    stop(workers).await;
    let bodies = carrier.bodies();
    assert_eq!(bodies.iter().collect::<HashSet<_>>().len(), 100);
    for n in 0..50 {
        let at = |event| bodies.iter().position(|b| *b == format!("x.{event} R{n} delivered"));
        assert!(at("success").unwrap() < at("approved").unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_endpoint_is_refused_and_a_removed_one_hears_nothing() {
    let post = post().await;
    let new = |url, event: &str| NewEndpoint {
        account: post.world.merchant,
        environment: Environment::Live,
        url,
        events: vec![event.to_owned()],
    };
    let refused = post.world.engine.add_endpoint(new(HOOK, "x.unheard")).await;
    assert!(matches!(refused, Err(Refusal::Invalid(_))), "{refused:?}");
    let refused = post.world.engine.add_endpoint(new("ftp://hooks.example/", "x.success")).await;
    assert!(matches!(refused, Err(Refusal::Invalid(_))), "{refused:?}");
    let nobody = NewEndpoint { account: AccountId(99), ..new(HOOK, "x.success") };
    assert!(post.world.engine.add_endpoint(nobody).await.is_err());
    let id = post.endpoint(HOOK, &[]).await;
    let workers = post.start().await;
    let test = post.world.engine.send_test(id).await.unwrap();
    until(|| post.carrier.count() == 1).await;
    assert!(test.starts_with("evt_") && test.ends_with("_test"), "{test}");
    let now = post.world.engine.now();
    let remove = |e: &mut Endpoint| e.removed_at = Some(now);
    post.world.engine.change_endpoint(id, remove).await.unwrap();
    post.buy("R1", None).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(post.carrier.count(), 1);
    assert!(post.world.engine.send_test(id).await.is_err());
    stop(workers).await;
}

/// Two nodes with one store would both claim: each webhook is one's (the second engine shares it).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_told_once_each() {
    let post = post().await;
    let workers = post.start().await;
    let mut buying = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (engine, request) = (
            post.world.engine.clone(),
            post.request(&format!("R{n}"), TO_A, Some("https://127.0.0.1/a")),
        );
        buying.spawn(async move { bought(engine.purchase(request).await) });
    }
    buying.join_all().await;
    until(|| post.owed() == 0).await;
    stop(workers).await;
    let bodies = post.carrier.bodies();
    assert_eq!((bodies.len(), bodies.iter().collect::<HashSet<_>>().len()), (400, 400));
}

/// A halted installation may be a copy: it tells nobody anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halted_installation_tells_nothing() {
    let post = post().await;
    post.buy("R1", Some(HOOK)).await;
    let (home, clock, merchant) = post.world.closed();
    until(|| home.is_free()).await;
    let store = home.open();
    let begin = HaltChange::Begin { why: "restored".to_owned(), at: NOW };
    assert_eq!(store.write(Change::Halt(begin)).await.unwrap(), Ok(Done::Written));
    let carrier = Carrier::new(clock.clone());
    let world = World { merchant, ..started_on(store, home, clock, services(&carrier)) };
    let workers = world.engine.start_workers().await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(carrier.count(), 0);
    world.engine.resume("rahim", "it is the right one").await.unwrap();
    until(|| carrier.count() == 2).await;
    stop(workers).await;
}
