//! Webhooks that a step adds, their ids, and the schedule of retries.
//!
//! Not here: sending (engine) and the texts (dialects). Invariant: an event's body is fixed in the
//! commit of its step; a later state of the purchase does not change it.

use crate::clock::Timestamp;
use crate::ids::{EndpointId, PurchaseNumber};
use crate::retry::WEBHOOK_TRIES;
use std::borrow::Cow;
use std::time::Duration;

/// A webhook for one endpoint, inserted in the commit of the step that caused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingWebhook {
    /// The event's name in its dialect; at most once for a purchase and an endpoint.
    pub event: Cow<'static, str>,
    /// Counts from 1 within the purchase.
    pub sequence: u32,
    /// The endpoint, whose secret signs it.
    pub endpoint: EndpointId,
    /// The address at the time of the event.
    pub url: String,
    /// The exact bytes to send.
    pub body: String,
    /// The time of the event.
    pub at: Timestamp,
    /// When a node may lease it; none: it will not be sent.
    pub due: Option<Timestamp>,
    /// The inserting node's lease is on it already; it ends at `due`.
    pub is_leased: bool,
}

/// When a dialect's `success` event is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SuccessEvent {
    /// Once the purchase is delivered.
    #[default]
    OnFinal,
    /// Once the purchase is accepted (the literal reading of CONTRACT A-14).
    OnAccept,
}

codes! {
    SuccessEvent {
        OnFinal => "on_final",
        OnAccept => "on_accept",
    }
}

/// A webhook's id, the same at every try: a receiver recognises a repeat by it.
pub fn webhook_id(purchase: PurchaseNumber, event: &str) -> String {
    let tail = event.rsplit('.').next().unwrap_or(event);
    format!("evt_{purchase}_{tail}")
}

/// Parses [`webhook_id`]: the purchase and the last part of the event's name.
pub fn parse_webhook_id(text: &str) -> Option<(PurchaseNumber, &str)> {
    let (purchase, tail) = text.strip_prefix("evt_")?.split_once('_')?;
    Some((PurchaseNumber(purchase.parse().ok()?), tail))
}

/// A webhook that has been pending for this time is not tried again.
pub const GIVEN_UP_AFTER: Duration = Duration::from_secs(72 * 3600);
/// An endpoint where every try has failed for this time is switched off.
pub const OFF_AFTER: Duration = Duration::from_secs(5 * 24 * 3600);
/// After this many refusals (4xx), a webhook no longer blocks the later ones of its purchase.
pub const BLOCKING_REFUSALS_MAX: u32 = 3;

/// What the wait before a retry depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Failed tries so far, including the last one: from 1.
    pub tries: u32,
    /// The receiver's `Retry-After`, if it was busy.
    pub retry_after: Option<Duration>,
    /// Any number: spreads the waits by a fifth to either side.
    pub random: u32,
    /// Waits are divided by this; 1 in production.
    pub time_divisor: u32,
}

/// The wait before the next try; `None`: the webhook has been pending for too long. A busy
/// receiver's `Retry-After` is respected up to twice the usual wait.
pub fn retry_wait(retry: Retry, pending_for: Duration) -> Option<Duration> {
    let time_divisor = retry.time_divisor.max(1);
    if pending_for >= GIVEN_UP_AFTER / time_divisor {
        return None;
    }
    let base = WEBHOOK_TRIES.wait(retry.tries.saturating_sub(1)) / time_divisor;
    let spread = base * (800 + retry.random % 401) / 1000;
    Some(retry.retry_after.map_or(spread, |requested| requested.clamp(spread, base * 2)))
}

/// Host and port of a URL, in lower case: `hooks.example.com:8443`.
pub fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(random: u32) -> Vec<u64> {
        let mut pending_for = Duration::ZERO;
        let mut waits = Vec::new();
        for tries in 1.. {
            let retry = Retry { tries, retry_after: None, random, time_divisor: 1 };
            let Some(wait) = retry_wait(retry, pending_for) else { break };
            pending_for += wait;
            waits.push(wait.as_secs());
        }
        assert!(pending_for >= GIVEN_UP_AFTER, "{pending_for:?}");
        waits
    }

    #[test]
    fn tries_are_spread_over_three_days() {
        let hour = 3600;
        let planned =
            [5, 300, 1800, 2 * hour, 5 * hour, 10 * hour, 10 * hour, 24 * hour, 24 * hour];
        assert_eq!(waits(200), planned);
        assert_eq!(waits(0)[..9], planned.map(|wait| wait * 4 / 5));
        assert_eq!(waits(400)[..8], planned.map(|wait| wait * 6 / 5)[..8]);
    }

    #[test]
    fn retry_after_is_respected_up_to_a_bound() {
        let wait = |seconds: u64| {
            let retry_after = Some(Duration::from_secs(seconds));
            let retry = Retry { tries: 2, retry_after, random: 200, time_divisor: 1 };
            retry_wait(retry, Duration::ZERO).unwrap().as_secs()
        };
        assert_eq!([wait(0), wait(400), wait(86_400)], [300, 400, 600]);
    }

    #[test]
    fn parsing_an_id_reverses_writing() {
        let id = webhook_id(PurchaseNumber(12), "billing.recharge.approved");
        assert_eq!(id, "evt_12_approved");
        assert_eq!(parse_webhook_id(&id), Some((PurchaseNumber(12), "approved")));
        for bad in ["", "evt_", "evt_12", "evt_x_approved", "12_approved"] {
            assert_eq!(parse_webhook_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_host_includes_its_port() {
        for (url, host) in [
            ("https://Hooks.Example.com/a?b", "hooks.example.com"),
            ("https://hooks.example.com.:8443", "hooks.example.com.:8443"),
            ("http://127.0.0.1:9000/x", "127.0.0.1:9000"),
            ("https://example.com?x=1", "example.com"),
        ] {
            assert_eq!(host_of(url), host);
        }
    }
}
