//! Webhooks: inserted in the commit of the step, sent in order, under a lease.

use crate::harness::world::*;
use domain::ids::{EndpointId, first_at};
use domain::{
    AccountId, Environment, Event, PendingWebhook, PurchaseId, PurchaseKey, PurchaseNumber,
    Sequence, State, SuccessEvent, Timestamp,
};
use std::sync::Arc;
use std::time::Duration;
use store::{
    DeliveryAttempt, Destination, DueWebhook, EndedLease, Endpoint, EndpointHealth, EnqueueWebhook,
    Lease, LeaseEnd, LogPage, LoggedWebhook, OpenPurchase, PruneWebhooks, ReplayScope,
    ReplayWebhooks, SetEndpoint, SetEndpointHealth, Setting, Store, TakeNumbers, TakeOver,
    TakeStep, TrustHost, Webhooks,
};

const LEASE: Duration = Duration::from_secs(30);
const HERE: EndpointId = EndpointId(7);

fn pending(event: &'static str, sequence: u32, due: Option<Timestamp>) -> Arc<PendingWebhook> {
    Arc::new(PendingWebhook {
        event: event.into(),
        sequence,
        endpoint: HERE,
        url: "https://hooks.example/a".to_owned(),
        body: format!("{{\"event\":\"{event}\"}}"),
        at: NOW,
        due,
        is_leased: due.is_some_and(|due| due > NOW),
    })
}

/// A delivered purchase whose last step has inserted these webhooks.
async fn delivered(store: &Store, id: i64, webhooks: Vec<Arc<PendingWebhook>>) -> PurchaseKey {
    let sent = live(store, purchase(2, id, State::Sent), &[]).await;
    let mut step = step(&sent, Event::Deliver).unwrap();
    step.webhooks = webhooks;
    store.write(TakeStep(step)).await.unwrap().unwrap();
    sent.key
}

async fn lease(store: &Store, after_s: u64) -> Vec<DueWebhook> {
    let now = NOW.after(seconds(after_s));
    store.commit(Lease::<Webhooks>::new(now, LEASE, 100)).await.unwrap()
}

async fn enqueue(store: &Store, key: PurchaseKey, webhook: Arc<PendingWebhook>) {
    store.commit(EnqueueWebhook(key, webhook)).await.unwrap();
}

fn events(due: &[DueWebhook]) -> Vec<(i64, &str)> {
    due.iter().map(|w| (w.key.id.0, w.pending.event.as_ref())).collect()
}

fn tried(after_s: u64, verdict: &str) -> Option<DeliveryAttempt> {
    Some(DeliveryAttempt {
        at: NOW.after(seconds(after_s)),
        verdict: verdict.to_owned(),
        status: Some(if verdict == "taken" { 200 } else { 500 }),
        took_ms: 12,
        text: "ok".to_owned(),
    })
}

async fn end(store: &Store, webhook: &DueWebhook, end: LeaseEnd, after_s: u64) {
    let is_over = !matches!(end, LeaseEnd::PutOff { .. });
    let verdict = if end == LeaseEnd::Accepted { "taken" } else { "failed" };
    let ended = EndedLease {
        webhook: webhook.clone(),
        end,
        attempt: tried(after_s, verdict),
        release: is_over.then(|| NOW.after(seconds(after_s))),
    };
    store.commit(ended).await.unwrap();
}

const fn put_off(until_s: u64, refused: bool) -> LeaseEnd {
    LeaseEnd::PutOff { until: Timestamp(NOW.0 + until_s as i64 * 1_000_000), refused }
}

fn states(store: &Store, id: i64) -> Vec<(String, String, u32)> {
    let log = store.webhooks_of(PurchaseId(id)).unwrap();
    log.into_iter().map(|w| (w.event, w.state, w.tries)).collect()
}

fn state(event: &str, state: &str, tries: u32) -> (String, String, u32) {
    (event.to_owned(), state.to_owned(), tries)
}

pub async fn webhooks_of_a_step_are_sent_once_and_in_order(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    assert_eq!(store.next_due::<Webhooks>().unwrap(), None);
    let due = Some(NOW.after(LEASE));
    delivered(store, 1, vec![pending("success", 1, due), pending("approved", 2, due)]).await;
    delivered(store, 2, Vec::new()).await;
    assert_eq!(store.next_due::<Webhooks>().unwrap(), due);
    assert_eq!(lease(store, 29).await, []);
    let due = lease(store, 30).await;
    assert_eq!(events(&due), [(1, "success"), (1, "approved")]);
    assert!(due.iter().all(|w| (w.epoch, w.tries, w.refusals) == (1, 0, 0)));
    assert_eq!(lease(store, 59).await, [], "under a lease");
    end(store, &due[0], LeaseEnd::Accepted, 31).await;
    end(store, &due[1], LeaseEnd::Accepted, 31).await;
    assert_eq!(store.next_due::<Webhooks>().unwrap(), None);
    assert_eq!(states(store, 1), [state("success", "taken", 0), state("approved", "taken", 0)]);
    // The same event cannot be inserted again: it was sent.
    enqueue(store, key(2, 1), pending("success", 1, Some(NOW))).await;
    assert_eq!(store.next_due::<Webhooks>().unwrap(), None);
    world.assert_sound();
}

pub async fn a_later_event_waits_for_the_one_before(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    let due = Some(NOW);
    let key =
        delivered(store, 1, vec![pending("success", 1, due), pending("approved", 2, due)]).await;
    let first = lease(store, 0).await;
    end(store, &first[0], put_off(300, false), 1).await;
    end(store, &first[1], put_off(300, false), 1).await;
    enqueue(store, key, pending("rejected", 3, Some(NOW.after(seconds(60))))).await;
    assert_eq!(lease(store, 60).await, []);
    assert_eq!(states(store, 1)[2], state("rejected", "waits", 0));
    assert_eq!(store.next_due::<Webhooks>().unwrap(), Some(NOW.after(seconds(300))));
    let again = lease(store, 300).await;
    assert_eq!(events(&again), [(1, "success"), (1, "approved"), (1, "rejected")]);
    assert_eq!((again[0].tries, again[0].epoch), (1, 2));
    // A waiting webhook is due as soon as the one before it was accepted.
    end(store, &again[2], put_off(900, false), 301).await;
    enqueue(store, key, pending("later", 4, Some(NOW.after(seconds(310))))).await;
    assert_eq!(lease(store, 310).await, []);
    end(store, &again[0], LeaseEnd::Accepted, 311).await;
    end(store, &again[1], LeaseEnd::Accepted, 311).await;
    let third = lease(store, 900).await;
    assert_eq!(events(&third), [(1, "rejected"), (1, "later")]);
}

pub async fn a_waiting_webhook_is_due_once_the_one_before_is_accepted(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    let key = delivered(store, 1, vec![pending("success", 1, Some(NOW))]).await;
    let first = lease(store, 0).await;
    enqueue(store, key, pending("approved", 2, Some(NOW))).await;
    assert_eq!(lease(store, 1).await, [], "the first is under a lease");
    end(store, &first[0], LeaseEnd::Accepted, 2).await;
    assert_eq!(events(&lease(store, 2).await), [(1, "approved")]);
}

pub async fn after_three_refusals_later_events_do_not_wait(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    let key = delivered(store, 1, vec![pending("success", 1, Some(NOW))]).await;
    for n in 0..3 {
        let due = lease(store, n * 100).await;
        assert_eq!(events(&due)[0], (1, "success"));
        end(store, &due[0], put_off(n * 100 + 100, true), n * 100).await;
        if n == 0 {
            let webhook = pending("approved", 2, Some(NOW.after(seconds(150))));
            enqueue(store, key, webhook).await;
        }
        if n == 1 {
            assert_eq!(lease(store, 150).await, []);
        }
    }
    // The second was leased together with the first and skipped; it is due when its lease ends.
    assert_eq!(events(&lease(store, 240).await), [(1, "approved")]);
}

pub async fn a_webhook_whose_lease_was_lost_cannot_be_ended(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    delivered(store, 1, vec![pending("success", 1, Some(NOW))]).await;
    let lost = lease(store, 0).await;
    let held = lease(store, 30).await;
    end(store, &lost[0], put_off(9_999, true), 31).await;
    assert_eq!(store.next_due::<Webhooks>().unwrap(), Some(NOW.after(seconds(60))));
    end(store, &held[0], LeaseEnd::GivenUp, 32).await;
    end(store, &lost[0], LeaseEnd::Accepted, 33).await;
    assert_eq!(states(store, 1), [state("success", "given_up", 0)]);
}

pub async fn a_start_makes_leased_webhooks_due(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    delivered(store, 1, vec![pending("success", 1, Some(NOW.after(LEASE)))]).await;
    delivered(store, 2, vec![pending("success", 1, Some(NOW))]).await;
    let held = lease(store, 0).await;
    assert_eq!(events(&held), [(2, "success")]);
    end(store, &held[0], put_off(20, false), 0).await;
    // A live run keeps its leases. A data folder has only one process, so there the lease is over.
    let is_listed = world.count("nodes") > 0;
    let now = NOW.after(seconds(1));
    store.commit(TakeOver { dead: Vec::new(), is_start: false, now }).await.unwrap();
    let due = lease(store, 1).await;
    assert_eq!(events(&due), if is_listed { Vec::new() } else { vec![(1, "success")] });
    // A webhook that was put off is under no lease and keeps its time.
    assert_eq!(lease(store, 19).await, []);
    assert_eq!(events(&lease(store, 20).await), [(2, "success")]);
}

pub async fn a_replay_sends_again_and_keeps_the_log(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    for id in [1, 2] {
        let due = Some(NOW);
        delivered(store, id, vec![pending("x.success", 1, due), pending("x.approved", 2, due)])
            .await;
    }
    let due = lease(store, 0).await;
    end(store, &due[0], put_off(5, false), 0).await;
    end(store, &due[1], LeaseEnd::GivenUp, 0).await;
    end(store, &due[2], LeaseEnd::Accepted, 0).await;
    end(store, &due[3], LeaseEnd::Off, 0).await;
    let kept_response = async |which, s| {
        store.commit(ReplayWebhooks { which, at: NOW.after(seconds(s)) }).await.unwrap()
    };
    assert_eq!(
        kept_response(ReplayScope::One(PurchaseNumber(2), "success".to_owned()), 10).await,
        1
    );
    let again = lease(store, 10).await;
    assert_eq!(events(&again), [(1, "x.success"), (2, "x.success")]);
    assert_eq!((again[1].tries, again[1].pending_since), (0, NOW.after(seconds(10))));
    end(store, &again[1], LeaseEnd::Accepted, 11).await;
    let log: Vec<LoggedWebhook> = store.webhooks_of(PurchaseId(2)).unwrap();
    assert_eq!(log[0].accepted, tried(11, "taken"));
    assert_eq!(store.webhook_attempts(&log[0]).unwrap(), [tried(0, "taken").unwrap()]);
    assert_eq!(store.webhook_attempts(&log[1]).unwrap(), [tried(0, "failed").unwrap()]);
    let all = ReplayScope::Since(AccountId(2), NOW, Some(HERE));
    assert_eq!(kept_response(all, 20).await, 4);
    assert_eq!(kept_response(ReplayScope::Since(AccountId(3), NOW, None), 20).await, 0);
    assert_eq!(lease(store, 20).await.len(), 4);
    let page =
        |since, only_pending| LogPage { account: AccountId(2), since, only_pending, limit: 3 };
    assert_eq!(store.webhook_log(page(NOW, true)).unwrap().len(), 3);
    assert_eq!(store.webhook_log(page(NOW.after(seconds(1)), false)).unwrap(), []);
}

pub async fn the_log_is_pruned_after_its_time(world: World) {
    let store = &world.store;
    deposit(store, 2, 1_000 * TOTAL, "in").await;
    let month = seconds(30 * 24 * 3600);
    let take = TakeNumbers { of: Sequence::Purchase, count: 5, at: NOW };
    assert_eq!(store.commit(take).await.unwrap().first, 1);
    let first_id = first_at(NOW);
    for n in 1..=5 {
        delivered(store, first_id + n, vec![pending("success", 1, Some(NOW))]).await;
    }
    let due = lease(store, 0).await;
    for webhook in &due[..3] {
        end(store, webhook, LeaseEnd::GivenUp, 0).await;
    }
    let prune = async |now: Timestamp, limit| {
        let before = now.before(month);
        let before_id = PurchaseId(first_at(before.after(seconds(24 * 3600))));
        store.commit(PruneWebhooks { before, before_id, limit }).await.unwrap()
    };
    assert_eq!(prune(NOW.after(month), 10).await, 0);
    let later = NOW.after(month).after(seconds(1));
    assert_eq!((prune(later, 2).await, prune(later, 2).await, prune(later, 2).await), (2, 1, 0));
    assert_eq!(
        (world.count("webhooks"), world.count("webhook_tries")),
        (2, 0),
        "pending webhooks stay"
    );
    world.assert_sound();
}

pub async fn endpoints_and_their_health_are_read_back(world: World) {
    let store = &world.store;
    let versions = store.endpoints_version().unwrap();
    let mut endpoint = Endpoint {
        id: HERE,
        account: AccountId(2),
        environment: Environment::Live,
        key: None,
        url: Some("https://hooks.example/a".to_owned()),
        events: vec!["success".to_owned()],
        success_event: SuccessEvent::OnAccept,
        secret: Some(vec![1, 2, 3]),
        old_secret: Some((vec![4], NOW)),
        created_at: NOW,
        removed_at: None,
    };
    set(store, Setting::Endpoint(endpoint.clone())).await;
    assert_eq!(store.endpoints().unwrap(), [endpoint.clone()]);
    endpoint.removed_at = Some(NOW);
    endpoint.old_secret = None;
    store.commit(SetEndpoint(endpoint.clone())).await.unwrap();
    assert_eq!(store.endpoints().unwrap(), [endpoint]);
    let address = Destination {
        account: AccountId(2),
        environment: Environment::Live,
        url: "https://hooks.example/a".to_owned(),
    };
    let mut last = store.endpoints_version().unwrap();
    assert!(last > versions);
    let failing = EndpointHealth { since: Some(NOW), off: None };
    let off = EndpointHealth { since: None, off: Some((NOW, "gone".to_owned())) };
    for health in [Some(failing), Some(off), None] {
        store.commit(SetEndpointHealth(address.clone(), health.clone())).await.unwrap();
        let expected: Vec<_> = health.map(|t| (address.clone(), t)).into_iter().collect();
        assert_eq!(store.endpoint_health().unwrap(), expected);
        let version = store.endpoints_version().unwrap();
        assert!(version > last);
        last = version;
    }
    for _ in 0..2 {
        let trust = TrustHost { host: "hooks.example".to_owned(), at: NOW };
        store.commit(trust).await.unwrap();
    }
    assert_eq!(store.trusted_hosts().unwrap(), ["hooks.example"]);
}

/// A step that was denied sends no webhook.
pub async fn a_step_that_loses_its_race_sends_nothing(world: World) {
    let store = &world.store;
    deposit(store, 2, 100 * TOTAL, "in").await;
    let sent = live(store, purchase(2, 1, State::Sent), &[]).await;
    let mut won = step(&sent, Event::Deliver).unwrap();
    let mut lost = step(&sent, Event::Refuse).unwrap();
    won.webhooks = vec![pending("approved", 1, Some(NOW))];
    lost.webhooks = vec![pending("rejected", 1, Some(NOW))];
    let answers = write_all(store, vec![TakeStep(won), TakeStep(lost)]).await;
    assert!(matches!(answers[..], [Ok(Ok(_)), Ok(Err(_))]), "{answers:?}");
    assert_eq!(events(&lease(store, 0).await), [(1, "approved")]);
    let mut opening = fixtures::opening(purchase(2, 2, State::Sent));
    opening.webhooks = vec![pending("success", 1, Some(NOW))];
    let opens = open(purchase(2, 2, State::Sent));
    let opening = Box::new(opening);
    store.write(OpenPurchase { opening, ..opens }).await.unwrap().unwrap();
    assert_eq!(events(&lease(store, 0).await), [(2, "success")]);
}
