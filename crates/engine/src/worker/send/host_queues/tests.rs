//! Who goes when: hosts in turn, strangers one at a time, failing ones alone.

use super::*;
use domain::account::{AccountId, Environment};
use domain::ids::EndpointId;
use domain::webhook::schedule::PendingWebhook;
use domain::{PurchaseId, PurchaseKey, Timestamp};
use std::sync::Arc;

fn thread(id: i64, count: u32) -> Thread {
    let key =
        PurchaseKey { account: AccountId(2), environment: Environment::Live, id: PurchaseId(id) };
    let owed = |sequence| PendingWebhook {
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
        pending: Arc::new(owed(sequence)),
        pending_since: Timestamp(0),
        tries: 0,
        refusals: 0,
        epoch: 0,
        until: Timestamp(0),
    };
    (1..=count).map(due).collect()
}

const TAKEN: Went = Went { taken: 1, failed: 0 };
const FAILED: Went = Went { taken: 0, failed: 1 };

fn drained(lines: &mut HostQueues, now: Duration) -> Vec<(String, i64)> {
    let mut out = Vec::new();
    while let Some((host, thread)) = lines.next(now) {
        out.push((host, thread[0].key.id.0));
    }
    out
}

#[test]
fn hosts_take_turns_and_a_slow_one_holds_up_nobody() {
    let mut lines = HostQueues::default();
    for id in 0..1000 {
        lines.arrive("slow".into(), thread(id, 1), true).unwrap();
    }
    for id in 0..3 {
        lines.arrive("fast".into(), thread(id, 1), true).unwrap();
    }
    let out = drained(&mut lines, Duration::ZERO);
    assert_eq!(out.iter().filter(|(host, _)| host == "fast").count(), 3);
    assert!(out.iter().position(|(host, _)| host == "fast").unwrap() < 2);
    assert_eq!(out.len(), 3 + limits::WEBHOOKS_AT_ONCE_TO_HOST);
    // Nothing came back from the slow one; the fast one goes on.
    lines.arrive("fast".into(), thread(9, 1), true).unwrap();
    assert_eq!(drained(&mut lines, Duration::ZERO), [("fast".to_owned(), 9)]);
}

/// One account, a thousand URLs of one victim (RELIABILITY O5).
#[test]
fn a_stranger_gets_one_at_a_time_and_sixty_a_minute() {
    let mut lines = HostQueues::default();
    for id in 0..1000 {
        lines.arrive("victim".into(), thread(id, 1), false).unwrap();
    }
    let mut sent = Vec::new();
    for s in 0..600 {
        let now = Duration::from_secs(s);
        lines.tick(now);
        while lines.next(now).is_some() {
            assert!(lines.next(now).is_none(), "two at once");
            sent.push(s);
            lines.back("victim", FAILED);
        }
    }
    assert_eq!(sent.len(), 600);
    for minute in 0..540 {
        let within = sent.iter().filter(|s| (minute..minute + 60).contains(*s)).count();
        assert!(within <= 60, "{within} from {minute}");
    }
}

#[test]
fn whoever_takes_what_it_is_sent_is_trusted() {
    let mut lines = HostQueues::default();
    let mut trusted = 0;
    for id in 0..i64::from(limits::TAKEN_UNTIL_TRUSTED) {
        lines.arrive("new".into(), thread(id, 1), false).unwrap();
        assert_eq!(drained(&mut lines, Duration::ZERO).len(), 1);
        trusted += u32::from(lines.back("new", TAKEN));
    }
    assert_eq!(trusted, 1);
    for id in 0..100 {
        lines.arrive("new".into(), thread(id, 1), false).unwrap();
    }
    assert_eq!(drained(&mut lines, Duration::ZERO).len(), limits::WEBHOOKS_AT_ONCE_TO_HOST);
}

#[test]
fn whoever_only_fails_is_sent_one_at_a_time() {
    let mut lines = HostQueues::default();
    for id in 0..100 {
        lines.arrive("dead".into(), thread(id, 1), true).unwrap();
    }
    assert_eq!(drained(&mut lines, Duration::ZERO).len(), limits::WEBHOOKS_AT_ONCE_TO_HOST);
    for _ in 0..limits::WEBHOOKS_AT_ONCE_TO_HOST {
        lines.back("dead", FAILED);
    }
    assert_eq!(drained(&mut lines, Duration::ZERO).len(), 1);
    lines.back("dead", TAKEN);
    assert_eq!(drained(&mut lines, Duration::ZERO).len(), limits::WEBHOOKS_AT_ONCE_TO_HOST);
}

#[test]
fn memory_is_bounded() {
    let mut lines = HostQueues::default();
    let most = i64::try_from(limits::WEBHOOKS_WAITING_FOR_HOST).unwrap();
    for id in 0..most {
        lines.arrive("one".into(), thread(id, 1), true).unwrap();
    }
    assert!(lines.arrive("one".into(), thread(most, 1), true).is_err());
    lines.arrive("other".into(), thread(0, 1), true).unwrap();
    assert_eq!(lines.waiting(), limits::WEBHOOKS_WAITING_FOR_HOST + 1);
    for host in 0..3 * limits::HOSTS_KNOWN {
        let name = format!("host {host}");
        lines.arrive(name.clone(), thread(0, 1), false).unwrap();
        while let Some((host, _)) = lines.next(Duration::ZERO) {
            lines.back(&host, FAILED);
            if host == name {
                break;
            }
        }
        if host % 5000 == 0 {
            lines.tick(Duration::ZERO);
        }
    }
    lines.tick(Duration::ZERO);
    assert!(lines.lines.len() <= limits::HOSTS_KNOWN, "{}", lines.lines.len());
}
