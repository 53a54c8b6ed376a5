//! The order of sending: hosts in turn, hosts that are not trusted or that fail one at a time.

use super::*;
use domain::{
    AccountId, EndpointId, Environment, PendingWebhook, PurchaseId, PurchaseKey, Timestamp,
};
use std::sync::Arc;
use store::DueWebhook;

fn series(id: i64, count: u32) -> WebhookSeries {
    let key =
        PurchaseKey { account: AccountId(2), environment: Environment::Live, id: PurchaseId(id) };
    let webhook = |sequence| PendingWebhook {
        event: "e".into(),
        sequence,
        endpoint: EndpointId(1),
        url: String::new(),
        body: String::new(),
        at: Timestamp(0),
        due: None,
        is_leased: true,
    };
    let due = |sequence| DueWebhook {
        key,
        pending: Arc::new(webhook(sequence)),
        pending_since: Timestamp(0),
        tries: 0,
        refusals: 0,
        epoch: 0,
        until: Timestamp(0),
    };
    (1..=count).map(due).collect()
}

const ACCEPTED: SeriesCounts = SeriesCounts { accepted: 1, failed: 0 };
const FAILED: SeriesCounts = SeriesCounts { accepted: 0, failed: 1 };

fn drained(queues: &mut HostQueues, now: Duration) -> Vec<(String, i64)> {
    let mut sent = Vec::new();
    while let Some((host, series)) = queues.next(now) {
        sent.push((host, series[0].key.id.0));
    }
    sent
}

#[test]
fn hosts_take_turns_and_a_slow_one_delays_no_other() {
    let mut queues = HostQueues::default();
    for id in 0..1000 {
        queues.enqueue("slow".into(), series(id, 1), true).unwrap();
    }
    for id in 0..3 {
        queues.enqueue("fast".into(), series(id, 1), true).unwrap();
    }
    let sent = drained(&mut queues, Duration::ZERO);
    assert_eq!(sent.iter().filter(|(host, _)| host == "fast").count(), 3);
    assert!(sent.iter().position(|(host, _)| host == "fast").unwrap() < 2);
    assert_eq!(sent.len(), 3 + limits::WEBHOOKS_AT_ONCE_TO_HOST);
    // The slow host has finished nothing; the fast one continues.
    queues.enqueue("fast".into(), series(9, 1), true).unwrap();
    assert_eq!(drained(&mut queues, Duration::ZERO), [("fast".to_owned(), 9)]);
}

/// One account, a thousand URLs of one victim (RELIABILITY O5).
#[test]
fn a_host_that_is_not_trusted_gets_one_at_a_time_and_sixty_a_minute() {
    let mut queues = HostQueues::default();
    for id in 0..1000 {
        queues.enqueue("victim".into(), series(id, 1), false).unwrap();
    }
    let mut sent = Vec::new();
    for s in 0..600 {
        let now = Duration::from_secs(s);
        queues.tick(now);
        while queues.next(now).is_some() {
            assert!(queues.next(now).is_none(), "two at once");
            sent.push(s);
            queues.finish("victim", FAILED);
        }
    }
    assert_eq!(sent.len(), 600);
    for minute in 0..540 {
        let within = sent.iter().filter(|s| (minute..minute + 60).contains(*s)).count();
        assert!(within <= 60, "{within} from {minute}");
    }
}

#[test]
fn a_host_that_accepts_webhooks_becomes_trusted() {
    let mut queues = HostQueues::default();
    let mut trusted = 0;
    for id in 0..i64::from(limits::ACCEPTED_UNTIL_TRUSTED) {
        queues.enqueue("new".into(), series(id, 1), false).unwrap();
        assert_eq!(drained(&mut queues, Duration::ZERO).len(), 1);
        trusted += u32::from(queues.finish("new", ACCEPTED));
    }
    assert_eq!(trusted, 1);
    for id in 0..100 {
        queues.enqueue("new".into(), series(id, 1), false).unwrap();
    }
    assert_eq!(drained(&mut queues, Duration::ZERO).len(), limits::WEBHOOKS_AT_ONCE_TO_HOST);
}

#[test]
fn a_host_that_only_fails_gets_one_at_a_time() {
    let mut queues = HostQueues::default();
    for id in 0..100 {
        queues.enqueue("dead".into(), series(id, 1), true).unwrap();
    }
    assert_eq!(drained(&mut queues, Duration::ZERO).len(), limits::WEBHOOKS_AT_ONCE_TO_HOST);
    for _ in 0..limits::WEBHOOKS_AT_ONCE_TO_HOST {
        queues.finish("dead", FAILED);
    }
    assert_eq!(drained(&mut queues, Duration::ZERO).len(), 1);
    queues.finish("dead", ACCEPTED);
    assert_eq!(drained(&mut queues, Duration::ZERO).len(), limits::WEBHOOKS_AT_ONCE_TO_HOST);
}

#[test]
fn memory_is_bounded() {
    let mut queues = HostQueues::default();
    let max = i64::try_from(limits::WEBHOOKS_WAITING_FOR_HOST).unwrap();
    for id in 0..max {
        queues.enqueue("one".into(), series(id, 1), true).unwrap();
    }
    assert!(queues.enqueue("one".into(), series(max, 1), true).is_err());
    queues.enqueue("other".into(), series(0, 1), true).unwrap();
    assert_eq!(queues.waiting(), limits::WEBHOOKS_WAITING_FOR_HOST + 1);
    for host in 0..3 * limits::HOSTS_KNOWN {
        let name = format!("host {host}");
        queues.enqueue(name.clone(), series(0, 1), false).unwrap();
        while let Some((host, _)) = queues.next(Duration::ZERO) {
            queues.finish(&host, FAILED);
            if host == name {
                break;
            }
        }
        if host % 5000 == 0 {
            queues.tick(Duration::ZERO);
        }
    }
    queues.tick(Duration::ZERO);
    assert!(queues.queues.len() <= limits::HOSTS_KNOWN, "{}", queues.queues.len());
}
