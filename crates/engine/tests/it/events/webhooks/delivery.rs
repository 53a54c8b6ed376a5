//! Delivery: which events go to which address, in which order, once each, across a restart.

use super::*;
use std::collections::HashSet;
use store::BeginHalt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_to_the_addresses_that_asked_for_them() {
    let webhooks = webhook_world().await;
    let workers = webhooks.start().await;
    // No address asked for events.
    let silent = webhooks.buy("R0", None).await;
    assert_eq!(webhooks.log(silent.key.id), [""; 0]);
    // The request's address has precedence over the key's.
    webhooks.own_url("https://own.example/").await;
    webhooks.buy("R1", Some(HOOK)).await;
    until(|| webhooks.sender.count() == 2).await;
    assert_eq!(webhooks.sender.last().url, HOOK);
    webhooks.buy("R2", None).await;
    until(|| webhooks.sender.count() == 4).await;
    assert_eq!(webhooks.sender.last().url, "https://own.example/");
    // An endpoint of the account gets the events it asked for; no address gets an event twice.
    webhooks.endpoint("https://more.example/", &["x.approved"]).await;
    // However it is spelled.
    webhooks.endpoint("HTTPS://OWN.example.:443", &[]).await;
    webhooks.buy("R3", None).await;
    until(|| webhooks.sender.count() == 7).await;
    let mut received: Vec<(String, String)> = {
        let sent = webhooks.sender.sent.lock().unwrap();
        let text = |p: &WebhookPost| String::from_utf8(p.body.clone()).unwrap();
        sent[4..].iter().map(|(_, p)| (p.url.clone(), text(p))).collect()
    };
    received.sort();
    let pair = |url: &str, body: &str| (url.to_owned(), body.to_owned());
    assert_eq!(
        received,
        [
            pair("https://more.example/", "x.approved R3 delivered"),
            pair("https://own.example/", "x.approved R3 delivered"),
            pair("https://own.example/", "x.success R3 delivered"),
        ]
    );
    // Purchases of another account or environment are not sent to these addresses.
    let other = webhooks.world.account("other").await;
    let caller = Caller {
        key: None,
        session: Some(domain::ids::SessionId(1)),
        ..webhooks.world.caller_of(other)
    };
    bought(
        webhooks
            .world
            .engine
            .purchase(PurchaseRequest { caller, ..webhooks.request("R4", TO_A, None) })
            .await,
    );
    let caller = Caller {
        environment: Environment::Sandbox,
        key: None,
        session: Some(domain::ids::SessionId(1)),
        ..webhooks.world.caller()
    };
    bought(
        webhooks
            .world
            .engine
            .purchase(PurchaseRequest { caller, ..webhooks.request("R5", TO_A, None) })
            .await,
    );
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(webhooks.sender.count(), 7);
    stop(workers).await;
    assert_eq!(webhooks.pending(), 0);
    webhooks.world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_may_get_the_success_event_at_acceptance() {
    let webhooks = webhook_world().await;
    let on_accept = |e: &mut Endpoint| e.success_event = SuccessEvent::OnAccept;
    webhooks.world.engine.change_endpoint(EndpointId(webhooks.key.0), on_accept).await.unwrap();
    let gate = webhooks.world.a.submits_wait(delivered());
    let workers = webhooks.start().await;
    let buying = webhooks.world.spawn_purchase(webhooks.request("R1", TO_A, Some(HOOK)));
    until(|| webhooks.sender.count() == 1).await;
    gate.add_permits(1);
    let id = bought(buying.await.unwrap()).key.id;
    until(|| webhooks.sender.count() == 2).await;
    stop(workers).await;
    assert_eq!(webhooks.sender.bodies(), ["x.success R1 sent", "x.approved R1 delivered"]);
    assert_eq!(webhooks.log(id), ["x.success taken 1", "x.approved taken 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pending_event_is_sent_as_it_was() {
    let webhooks = webhook_world().await;
    webhooks.sender.always(Response::Status(500));
    let workers = webhooks.start().await;
    let id = webhooks.buy("R1", Some(HOOK)).await.key.id;
    until(|| webhooks.sender.count() == 1).await;
    webhooks.world.engine.refund(id, "rahim", "a mistake").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(webhooks.sender.count(), 1, "later events wait for the first");
    webhooks.sender.always(Response::Status(204));
    webhooks.advance_until(4, Duration::from_secs(1)).await;
    until(|| webhooks.pending() == 0).await;
    stop(workers).await;
    let expected = [
        "x.success R1 delivered",
        "x.success R1 delivered",
        "x.approved R1 delivered",
        "x.rejected R1 refunded",
    ];
    assert_eq!(webhooks.sender.bodies(), expected);
    let sent = webhooks.sender.sent.lock().unwrap();
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

/// One receiver never responds; the other one's webhooks do not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_receiver_delays_no_other() {
    const EACH: usize = 300;
    let webhooks = webhook_world().await;
    let workers = webhooks.start().await;
    let run = async |tag: &str, with_slow: bool| {
        let before = webhooks.sender.count();
        let fast = |p: &WebhookPost| p.url.contains("fast");
        let began = tokio::time::Instant::now();
        for n in 0..EACH {
            if with_slow {
                webhooks.buy(&format!("S{tag}{n}"), Some("https://slow.example/")).await;
            }
            webhooks.buy(&format!("F{tag}{n}"), Some("https://127.0.0.1/fast")).await;
        }
        let bought = began.elapsed();
        let sent_fast = |webhooks: &WebhookWorld| {
            let sent = webhooks.sender.sent.lock().unwrap();
            sent[before..].iter().filter(|(_, p)| fast(p)).count()
        };
        until(|| sent_fast(&webhooks) == 2 * EACH).await;
        began.elapsed().saturating_sub(bought)
    };
    run("a", false).await;
    webhooks
        .sender
        .answers(|p| if p.url.contains("slow") { Response::Never } else { Response::Status(200) });
    // Once the last one is bought, only a few are left in flight.
    let left = run("b", true).await;
    assert!(left < Duration::from_secs(10), "{left:?}");
    assert!(webhooks.sender.in_flight_max.load(Ordering::SeqCst) <= 32);
    drop(workers);
}

/// Many purchases at once: each webhook is sent once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_webhooks_are_sent_once_each() {
    let webhooks = webhook_world().await;
    let workers = webhooks.start().await;
    let mut buying = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (engine, request) = (
            webhooks.world.engine.clone(),
            webhooks.request(&format!("R{n}"), TO_A, Some("https://127.0.0.1/a")),
        );
        buying.spawn(async move { bought(engine.purchase(request).await) });
    }
    buying.join_all().await;
    until(|| webhooks.pending() == 0).await;
    stop(workers).await;
    let bodies = webhooks.sender.bodies();
    assert_eq!((bodies.len(), bodies.iter().collect::<HashSet<_>>().len()), (400, 400));
}

/// What is pending when a process ends is sent after the next start, in order, with the same ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pending_webhooks_are_sent_after_a_start() {
    let webhooks = webhook_world().await;
    for n in 0..50 {
        webhooks.buy(&format!("R{n}"), Some("https://127.0.0.1/a")).await;
    }
    assert_eq!(webhooks.sender.count(), 0, "no worker runs");
    let (database, clock, merchant) = webhooks.world.closed();
    until(|| database.is_free()).await;
    let sender = ScriptedSender::new(clock.clone());
    let world = World { merchant, ..started_with(database, clock, services(&sender)) };
    let workers = world.engine.start_workers().await.unwrap();
    until(|| sender.count() == 100).await;
    stop(workers).await;
    let bodies = sender.bodies();
    assert_eq!(bodies.iter().collect::<HashSet<_>>().len(), 100);
    for n in 0..50 {
        let at = |event| bodies.iter().position(|b| *b == format!("x.{event} R{n} delivered"));
        assert!(at("success").unwrap() < at("approved").unwrap());
    }
}

/// A halted installation may be a copy: it sends no webhooks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halted_installation_sends_nothing() {
    let webhooks = webhook_world().await;
    webhooks.buy("R1", Some(HOOK)).await;
    let (database, clock, merchant) = webhooks.world.closed();
    until(|| database.is_free()).await;
    let store = database.open();
    store.commit(BeginHalt { why: "restored".to_owned(), at: NOW }).await.unwrap();
    let sender = ScriptedSender::new(clock.clone());
    let world = World { merchant, ..started_on(store, database, clock, services(&sender)) };
    let workers = world.engine.start_workers().await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(sender.count(), 0);
    world.engine.resume("rahim", "it is the right one").await.unwrap();
    until(|| sender.count() == 2).await;
    stop(workers).await;
}
